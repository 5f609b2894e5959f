"""What one prompt holds of what was retrieved: observed in the prompt's text, never assumed.

The prompt that the model got is the truth, since users format context with their own code. The
model's own earlier turns are left out: it may quote itself.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from doctrail_core.capture.carrying import Behind, Earlier, Present
from doctrail_core.capture.events import ContextSelected
from doctrail_core.capture.response import Selection
from doctrail_core.model import (
    AbsenceReason,
    Arrival,
    Chunk,
    Context,
    Generation,
    Message,
    PromptSpan,
    Retrieval,
    Trail,
)
from doctrail_core.model.involvement import around, parents
from doctrail_core.text.arrival import Match
from doctrail_core.text.pieces import match_pieces
from doctrail_core.text.spans import Span, unexplained

_JOINT = "\n\n"
_ABSENT = Match("absent", 0.0)
_PREFIX = 32
_ELSEWHERE = "by another call of this answer"


@dataclass(frozen=True, slots=True)
class Prompt:
    """The readable messages as one text, with the way back to message and offset."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "Prompt":
        """Join what the model was told, in order."""
        told = [(n, m.text) for n, m in enumerate(messages) if m.text and m.role != "assistant"]
        lengths = [len(text) + len(_JOINT) for _, text in told]
        starts = tuple(accumulate(lengths[:-1], initial=0))
        ends = tuple(start + len(text) for start, (_, text) in zip(starts, told, strict=False))
        text = _JOINT.join(text for _, text in told)
        return cls(text, starts, ends, tuple(number for number, _ in told))

    def spans(self, found: Iterable[tuple[int, int]]) -> tuple[PromptSpan, ...]:
        """Offsets of the joined text as offsets into messages; a span never crosses messages."""
        parts: list[PromptSpan] = []
        for start, end in found:
            place = bisect_right(self.starts, start) - 1
            if end <= self.ends[place]:
                base = self.starts[place]
                parts.append(PromptSpan(self.numbers[place], start - base, end - base))
            else:
                parts += self._parts(start, end)
        return tuple(parts)

    def _parts(self, start: int, end: int) -> Iterator[PromptSpan]:
        place = bisect_right(self.starts, start) - 1
        while place < len(self.starts) and self.starts[place] < end:
            base, limit = self.starts[place], self.ends[place]
            if start < limit:
                yield PromptSpan(self.numbers[place], start - base, min(end, limit) - base)
            start = limit + len(_JOINT)
            place += 1


@dataclass(frozen=True, slots=True)
class Assembled:
    """A context, and what it holds of earlier turns."""

    context: Context
    present: Sequence[Present]
    behind: Sequence[Behind]


def assemble(
    generation: Generation,
    retrievals: Sequence[Retrieval],
    selections: Sequence[Selection],
    question: str,
    earlier: Earlier,
) -> Assembled:
    """Match every chunk retrieved before this generation against its prompt, then those of earlier turns.

    Pieces of a chunk that stand only in the question did not arrive: the user brought them along.
    """
    before = [r for r in retrievals if r.ended_at <= generation.started_at]
    offered = _chunks(r for r in before if r.enclosing_id is None)
    inner = _chunks(r for r in before if r.enclosing_id is not None)
    prompt = Prompt.of(generation.messages)
    asked = list(_occurrences(prompt.text, question))
    matches = {
        chunk_id: _ABSENT if found.state == "partial" and _within(found.spans, asked) else found
        for chunk_id, found in match_pieces(prompt.text, _texts(before)).items()
    }
    order = _order(matches)
    cut_after = _cut_after(prompt.text, offered, matches, order)
    present, behind = list[Present](), list[Behind]()
    if earlier.may_be_present:
        free = unexplained(len(prompt.text), [*_spans(matches), *asked])
        present, behind = earlier.present(prompt.text, free, [*offered.values(), *inner.values()])
        matches |= {each.carried.chunk.chunk_id: each.match for each in present}
        order = _order(matches)
    arrivals = [
        _arrival(chunk, matches.get(chunk_id, _ABSENT), order, prompt, selections, cut_after)
        for chunk_id, chunk in offered.items()
        if chunk.text is not None or _dropped(chunk, selections)  # else nobody can tell
    ]
    if inner:
        arrivals = _remade(arrivals, offered, before)
        droppers = _droppers(before)
        arrivals += [
            _dropped_inside(chunk, offered, selections, droppers[chunk_id])
            for chunk_id, chunk in inner.items()
            if chunk_id not in offered
        ]
    arrivals += [
        _arrival(each.carried.chunk, each.match, order, prompt, (), None) for each in present
    ]
    free = prompt.spans(unexplained(len(prompt.text), _spans(matches)))
    context = Context(
        generation_id=generation.generation_id,
        arrivals=tuple(arrivals),
        prompt_length=len(prompt.text),
        unexplained_length=sum(span.end - span.start for span in free),
        unexplained=free,
    )
    return Assembled(context, present, behind)


def with_arrivals(
    trail: Trail, selections: Sequence[Selection], question: str, earlier: Earlier
) -> Trail:
    """The trail with what each prompt of it holds, and what it builds on of earlier turns."""
    answers = [g for g in trail.generations if not g.auxiliary]
    known = parents(trail)
    found = [
        assemble(g, _seen_from(g, trail.retrievals, known), selections, question, earlier)
        for g in answers
    ]
    present = [each for one in found for each in one.present]
    behind = [each for one in found for each in one.behind]
    calls = {call.tool_call_id for call in trail.tool_calls if call.tool_call_id}
    behind += [each for g in answers for each in earlier.heard(g.messages, calls)]
    own = [hit.chunk for retrieval in trail.retrievals for hit in retrieval.hits]
    contexts = settled(each.context for each in found)
    return replace(trail, contexts=contexts, carried=earlier.carried(present, behind, own))


def _seen_from(
    generation: Generation, retrievals: Sequence[Retrieval], known: Mapping[str, str | None]
) -> Sequence[Retrieval]:
    """The retrievals as from within: an engine that a search asks got its own hits for itself."""
    if generation.parent_id is None:
        return retrievals
    inside = set(around(generation.parent_id, known))
    return [replace(r, enclosing_id=None) if r.enclosing_id in inside else r for r in retrievals]


def settled(contexts: Iterable[Context]) -> tuple[Context, ...]:
    """The contexts of one response, in the light of each other.

    A chunk that another call of the same answer read is missing from this one for no fault: engines
    that refine an answer read one part at a time, and cut chunks where one call's prompt is full.
    """
    found = tuple(contexts)
    if len(found) < 2:  # noqa: PLR2004  # there is no other
        return found
    states = [(a.chunk_id, a.state) for context in found for a in context.arrivals]
    read = {chunk_id for chunk_id, state in states if state == "full"}
    partly = Counter(chunk_id for chunk_id, state in states if state == "partial")

    def unblamed(arrival: Arrival) -> Arrival:
        if arrival.reason is None:
            return arrival
        if arrival.chunk_id in read:
            return replace(arrival, reason=None, reason_detail=f"read {_ELSEWHERE}")
        others = partly[arrival.chunk_id] - (arrival.state == "partial")
        if others and _left_out(arrival):
            return replace(arrival, reason=None, reason_detail=f"read in part {_ELSEWHERE}")
        return arrival

    return tuple(replace(c, arrivals=tuple(map(unblamed, c.arrivals))) for c in found)


def _left_out(arrival: Arrival) -> bool:
    """Whether it is missing by no step's choice, and the context does not end inside of it either."""
    ends = "truncated" if arrival.state == "absent" else None
    return arrival.reason in ("not observed", ends)


def _chunks(retrievals: Iterable[Retrieval]) -> dict[str, Chunk]:
    return {hit.chunk.chunk_id: hit.chunk for r in retrievals for hit in r.hits}


def _spans(matches: Mapping[str, Match]) -> Iterator[Span]:
    return (span for found in matches.values() for span in found.spans)


def _occurrences(prompt: str, question: str) -> Iterator[tuple[int, int]]:
    start = prompt.find(question) if question else -1
    while start >= 0:
        yield start, start + len(question)
        start = prompt.find(question, start + len(question))


def _within(spans: Iterable[tuple[int, int]], places: Sequence[tuple[int, int]]) -> bool:
    return all(any(first <= s and e <= last for first, last in places) for s, e in spans)


def _order(matches: dict[str, Match]) -> dict[str, int]:
    found = [(m.spans[0][0], chunk_id) for chunk_id, m in matches.items() if m.spans]
    return {chunk_id: place for place, (_, chunk_id) in enumerate(sorted(found))}


def _cut_after(
    prompt: str, chunks: dict[str, Chunk], matches: dict[str, Match], order: dict[str, int]
) -> str | None:
    """The last chunk in the prompt, if only its beginning is there: a budget cut the context."""
    if not order:
        return None
    last = max(order, key=order.__getitem__)
    text = (chunks[last].text or "").lstrip()
    start, _ = matches[last].spans[0]
    begins = prompt[start : start + _PREFIX] == text[:_PREFIX]
    return last if matches[last].state == "partial" and begins else None


def _arrival(
    chunk: Chunk,
    found: Match,
    order: dict[str, int],
    prompt: Prompt,
    selections: Sequence[Selection],
    cut_after: str | None,
) -> Arrival:
    reason, detail = _reason(chunk, found, order, selections, cut_after)
    covered = sum(end - start for start, end in found.spans)
    return Arrival(
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        state=found.state,
        coverage=found.coverage,
        share=round(covered / len(prompt.text), 4) if prompt.text else 0.0,
        order=order.get(chunk.chunk_id),
        spans=prompt.spans(found.spans),
        reason=reason,
        reason_detail=detail,
    )


def _reason(
    chunk: Chunk,
    found: Match,
    order: dict[str, int],
    selections: Sequence[Selection],
    cut_after: str | None,
) -> tuple[AbsenceReason | None, str | None]:
    if found.state in ("full", "ambiguous"):
        return None, None
    if found.state == "absent" and (dropped := _dropped(chunk, selections)):
        return dropped.reason, f"by {dropped.by}"
    if cut_after == chunk.chunk_id:
        return "truncated", "the context ends inside this chunk"
    if cut_after is not None and chunk.chunk_id not in order:
        return "truncated", f"the context ends inside {cut_after}"
    return "not observed", None


def _dropped(chunk: Chunk, selections: Sequence[Selection]) -> ContextSelected | None:
    """The step that dropped a chunk for good; a later search may have brought it back."""
    dropped = None
    for selection in selections:
        if chunk.chunk_id in selection.event.kept:
            dropped = None
        elif dropped is None and chunk.chunk_id in selection.among:
            dropped = selection.event
    return dropped


def _texts(retrievals: Iterable[Retrieval]) -> dict[str, list[str]]:
    """The texts that each chunk was handed on with: a step after the search may cut it into pieces.

    What a later step of the same search made of a chunk takes the place of what it was before.
    """
    texts: dict[str, dict[tuple[str | None, str], list[str]]] = {}
    outermost = [r for r in retrievals if r.enclosing_id is None]
    if len(outermost) == 1:
        return _pieces_of(outermost[0])
    for retrieval in outermost:
        own = _pieces_of(retrieval)
        search = (retrieval.parent_id, retrieval.query_hash)
        for chunk_id, pieces in own.items():
            texts.setdefault(chunk_id, {})[search] = pieces
    return {i: [p for pieces in found.values() for p in pieces] for i, found in texts.items()}


def _pieces_of(retrieval: Retrieval) -> dict[str, list[str]]:
    pieces: dict[str, list[str]] = {}
    for hit in retrieval.hits:
        if hit.chunk.text is not None:
            pieces.setdefault(hit.chunk.chunk_id, []).append(hit.chunk.text)
    return pieces


def _remade(
    arrivals: Iterable[Arrival], offered: Mapping[str, Chunk], retrievals: Sequence[Retrieval]
) -> list[Arrival]:
    """The arrivals, saying where the text that arrived is not the one that was found."""
    known = {r.retrieval_id: r.retriever for r in retrievals}
    inner = [r for r in retrievals if r.enclosing_id in known]
    found = {
        hit.chunk.chunk_id: (hit.chunk, known[r.enclosing_id or ""])
        for r in inner
        for hit in r.hits
    }

    def told(arrival: Arrival) -> Arrival:
        before, by = found.get(arrival.chunk_id, (None, ""))
        after = offered[arrival.chunk_id]
        if arrival.reason or before is None or before.content_hash in (None, after.content_hash):
            return arrival
        return replace(arrival, reason_detail=f"rewritten inside {by}")

    return [told(arrival) for arrival in arrivals]


def _droppers(retrievals: Sequence[Retrieval]) -> dict[str, str]:
    """Per chunk that an inner retriever found, the retriever around it that did not hand it on."""
    known = {r.retrieval_id: r for r in retrievals}
    handed_on = {r.retrieval_id: {hit.chunk.chunk_id for hit in r.hits} for r in retrievals}

    def outer(inner: Retrieval, chunk_id: str) -> str:
        around = known.get(inner.enclosing_id or "")
        while around and chunk_id in handed_on[around.retrieval_id]:
            around = known.get(around.enclosing_id or "")
        return around.retriever if around else "the outer retriever"

    inner = (r for r in retrievals if r.enclosing_id is not None)
    return {hit.chunk.chunk_id: outer(r, hit.chunk.chunk_id) for r in inner for hit in r.hits}


def _is_in(chunk: Chunk, other: Chunk) -> bool:
    """Whether the other has the same text, or is a larger piece of the same document around it."""
    if chunk.content_hash and chunk.content_hash == other.content_hash:
        return True
    same_document = chunk.document_id == other.document_id
    return same_document and bool(chunk.text) and (chunk.text or "") in (other.text or "")


def _dropped_inside(
    chunk: Chunk, offered: dict[str, Chunk], selections: Sequence[Selection], by: str
) -> Arrival:
    """A chunk that an inner retriever found and the outer one did not hand on."""
    dropped = _dropped(chunk, selections)
    twin = next((other for other in offered.values() if _is_in(chunk, other)), None)
    return Arrival(
        chunk_id=chunk.chunk_id,
        document_id=chunk.document_id,
        state="absent",
        coverage=0.0,
        reason="deduplicated" if twin else "filtered",
        reason_detail=(
            f"into {twin.chunk_id}"
            if twin
            else f"by {dropped.by} in {by}"
            if dropped
            else f"inside {by}"
        ),
    )
