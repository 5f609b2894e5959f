"""What an answer can be checked against: the chunks as they arrived in its prompts."""

from collections.abc import Iterator, Mapping

from doctrail_core.grounding.verifier import Passage
from doctrail_core.model import Arrival, Chunk, Context, Generation, Trail

__all__ = ["arrived", "other_prompt_text"]

_BLANK = " "


def arrived(trail: Trail) -> tuple[Passage, ...]:
    """Every chunk of which a text is known and that a prompt held, in the order of the prompts.

    Of a chunk that arrived in part, what did not arrive is blank. Chunks behind earlier answers of the
    session come last: the model may repeat what it said of them.
    """
    chunks = trail.chunks
    said = {g.generation_id: g for g in trail.generations}
    found: dict[str, Passage] = {}
    for context in trail.contexts:
        generation = said.get(context.generation_id)
        for arrival in _in_order(context):
            chunk = chunks.get(arrival.chunk_id)
            if chunk is not None and chunk.text and generation is not None:
                text = _as_arrived(chunk.text, arrival, generation)
                known = found.get(chunk.chunk_id)
                found[chunk.chunk_id] = _passage(chunk, _both(known.text, text) if known else text)
    for carried in trail.carried:
        if carried.chunk.text and carried.chunk.chunk_id not in found:
            found[carried.chunk.chunk_id] = _passage(carried.chunk, carried.chunk.text)
    return tuple(found.values())


def other_prompt_text(trail: Trail) -> tuple[Passage, ...]:
    """What the prompts held besides chunks and the question: instructions, history, tool results."""
    said: Mapping[str, Generation] = {g.generation_id: g for g in trail.generations}
    texts: dict[str, None] = {}
    for context in trail.contexts:
        generation = said.get(context.generation_id)
        for span in context.unexplained if generation else ():
            text = generation.messages[span.message].text or "" if generation else ""
            texts[text[span.start : span.end]] = None
    question = (trail.question or "").strip()
    return tuple(
        Passage(f"prompt:{number}", "prompt", text)
        for number, text in enumerate(texts)
        if text.strip() and text.strip() != question
    )


def _in_order(context: Context) -> Iterator[Arrival]:
    present = (a for a in context.arrivals if a.state != "absent")
    yield from sorted(present, key=lambda a: (a.order is None, a.order))


def _passage(chunk: Chunk, text: str) -> Passage:
    return Passage(chunk.chunk_id, chunk.document_id, text)


def _as_arrived(text: str, arrival: Arrival, generation: Generation) -> str:
    """The chunk's text, blank where it did not arrive."""
    if arrival.state != "partial":
        return text
    kept = [_BLANK] * len(text)
    place = 0
    for piece in _pieces(arrival, generation):
        for part in _findable(text, piece):
            start = text.find(part, place)
            start = start if start >= 0 else text.find(part)
            kept[start : start + len(part)] = part
            place = start + len(part)
    shown = "".join(kept)
    # Where it was reworded on the way it cannot be said what is missing.
    return shown if shown.strip() else text


def _findable(text: str, piece: str) -> Iterator[str]:
    """The piece, or those lines of it that the text has."""
    whole = piece.strip()
    parts = [whole] if whole in text else map(str.strip, whole.splitlines())
    yield from (part for part in parts if part and part in text)


def _pieces(arrival: Arrival, generation: Generation) -> Iterator[str]:
    for span in arrival.spans:
        yield (generation.messages[span.message].text or "")[span.start : span.end]


def _both(first: str, second: str) -> str:
    """What arrived in either of two prompts."""
    if first == second:
        return first
    return "".join(b if a == _BLANK else a for a, b in zip(first, second, strict=True))
