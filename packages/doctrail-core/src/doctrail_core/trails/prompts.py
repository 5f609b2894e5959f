"""Prompts without the chunks in them: a chunk's text is kept once, not in every prompt that had it.

A message's text becomes pieces: what stood there, the hash of a chunk's text, what stood after it, and
so on. So a text that is erased has gone from the prompts as well.
"""

from collections.abc import Mapping

from doctrail_core.model import Context, Generation, Trail

__all__ = ["ERASED", "Pieces", "fold", "unfold"]

Pieces = list[str]
"""A text, a hash, a text, a hash, ... a text."""

ERASED = "[erased]"
"""Stands in a prompt where a chunk's text was that is not kept any more."""

_Place = tuple[int, int, str]
"""Where a chunk's text is said to lie in a message: start, end, hash."""


def fold(trail: Trail, texts: Mapping[str, str]) -> list[list[Pieces | None]]:
    """The pieces of every message of every generation; None for a message without a text."""
    contexts = {context.generation_id: context for context in trail.contexts}
    hashes = {chunk_id: chunk.content_hash for chunk_id, chunk in trail.chunks.items()}
    return [
        _messages(generation, _places(contexts.get(generation.generation_id), hashes), texts)
        for generation in trail.generations
    ]


def unfold(pieces: Pieces | None, texts: Mapping[str, str]) -> str | None:
    """The message's text again."""
    if pieces is None:
        return None
    return "".join(
        texts.get(piece, ERASED) if number % 2 else piece for number, piece in enumerate(pieces)
    )


def _messages(
    generation: Generation, places: Mapping[int, list[_Place]], texts: Mapping[str, str]
) -> list[Pieces | None]:
    return [
        None if message.text is None else _pieces(message.text, places.get(number, []), texts)
        for number, message in enumerate(generation.messages)
    ]


def _places(context: Context | None, hashes: Mapping[str, str | None]) -> dict[int, list[_Place]]:
    places: dict[int, list[_Place]] = {}
    for arrival in context.arrivals if context else ():
        content_hash = hashes.get(arrival.chunk_id)
        if content_hash is not None and arrival.state == "full":
            for span in arrival.spans:
                places.setdefault(span.message, []).append((span.start, span.end, content_hash))
    return places


def _pieces(text: str, places: list[_Place], texts: Mapping[str, str]) -> Pieces:
    pieces: Pieces = []
    done = 0
    for start, end, content_hash in sorted(places):
        # A chunk may have arrived in full, but with other blanks: then the prompt's own text is kept.
        if start >= done and text[start:end] == texts.get(content_hash):
            pieces += (text[done:start], content_hash)
            done = end
    return [*pieces, text[done:]]
