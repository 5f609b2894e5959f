"""What is wrong, or wasteful, about how a response came by its evidence.

Each finding rests on the trail alone and is told in one sentence. What cannot be judged, because nobody
checked the answer against its sources, is told as such: `checked` is False.
"""

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from doctrail_core.graph.runs import Runs
from doctrail_core.model import PromptSpan, Retrieval, ToolCall, Trail
from doctrail_core.model.involvement import answering
from doctrail_core.model.printable import one_line
from doctrail_core.model.wording import count, few, percent
from doctrail_core.text.spans import Span, merged

__all__ = [
    "KINDS",
    "Pathology",
    "PathologyKind",
    "pathologies",
    "wrong",
]

PathologyKind = Literal[
    "retrieval_thrash", "tool_storm", "context_bloat", "empty_retrieval", "repeated_chunk"
]
_WIDTH = 100

KINDS: tuple[PathologyKind, ...] = get_args(PathologyKind)

THRASH_OVERLAP = 0.8
"""A search that brings four chunks that an earlier one brought, and one that is new, has taught little."""
STORM_CALLS = 10
"""Agents make a handful of calls of one tool; from ten on they mostly go round in circles."""
STORM_REPEATS = 3
"""A second call with the same arguments is an ordinary retry, a third is not."""
BLOAT_SHARE = 0.5
"""Half of what was read is noise: a prompt this size could be half as long."""
REREAD_CALLS = 3
"""A loop that reads a chunk and then answers has read it twice; that is how agents work."""
REREAD_CHARACTERS = 8_000
"""About two thousand tokens: less is not worth a change to the application."""


@dataclass(frozen=True, slots=True)
class Pathology:
    """One finding.

    `ids` are those of the runs or chunks concerned, `count` is how many times it happened, `share` and
    `characters` say how large it is, where that can be said.
    """

    kind: PathologyKind
    count: int
    ids: tuple[str, ...]
    sentence: str
    share: float | None = None
    characters: int | None = None
    checked: bool = True


def pathologies(trail: Trail) -> tuple[Pathology, ...]:
    """All that is found about a response; at most one finding of a kind, but one storm per tool."""
    return (
        *_thrash(trail),
        *_storms(trail),
        *_bloat(trail),
        *_empty(trail),
        *_repeated(trail),
    )


def wrong(trail: Trail) -> Iterator[str]:
    """The findings as the end of a telling, safe to print; nothing where nothing was found.

    What was not checked is no finding, and is left out.
    """
    found = [pathology for pathology in pathologies(trail) if pathology.checked]
    if found:
        yield ""
        yield "What is wrong with the evidence"
    for pathology in found:
        lines = textwrap.wrap(pathology.sentence, _WIDTH - 4, break_on_hyphens=False)
        yield from (f"{'    ' if n else '  - '}{line}" for n, line in enumerate(lines))


def _thrash(trail: Trail) -> Iterator[Pathology]:
    """Searches that asked something else than an earlier one, and brought nearly what that brought.

    Measured on chunks: two passages of one long document are different finds. Searches inside
    another are meant to overlap.
    """
    earlier: list[tuple[Retrieval, frozenset[str]]] = []
    concerned: dict[str, None] = {}
    repeats = 0
    for retrieval in _outer(trail):
        found = frozenset(hit.chunk.chunk_id for hit in retrieval.hits)
        like = [
            r
            for r, known in earlier
            if r.query_hash != retrieval.query_hash and _same(found, known)
        ]
        if found and like:
            repeats += 1
            concerned |= dict.fromkeys([like[0].retrieval_id, retrieval.retrieval_id])
        earlier.append((retrieval, found))
    if repeats:
        yield Pathology(
            "retrieval_thrash",
            repeats,
            tuple(concerned),
            f"{count(repeats, 'search', 'searches')} asked something else than an earlier one and"
            " brought nearly the same chunks: nothing new was learnt by it.",
        )


def _same(found: frozenset[str], known: frozenset[str]) -> bool:
    return len(found & known) >= THRASH_OVERLAP * len(found)


def _storms(trail: Trail) -> Iterator[Pathology]:
    """Tools called too often from one place, or again and again with the same arguments."""
    runs = Runs(trail)
    by_tool: dict[tuple[str | None, str], list[ToolCall]] = defaultdict(list)
    for node in runs.in_time:
        if isinstance(node.record, ToolCall):
            by_tool[runs.tool_around(node), node.record.name].append(node.record)
    for (_, name), calls in by_tool.items():
        hashes = Counter(c.arguments_hash for c in calls if c.arguments_hash is not None)
        most = max(hashes.values(), default=0)
        if len(calls) >= STORM_CALLS or most >= STORM_REPEATS:
            alike = "always" if most == len(calls) else f"{most} times"
            again = f", {alike} with the same arguments" if most > 1 else ""
            yield Pathology(
                "tool_storm",
                len(calls),
                tuple(call.tool_run_id for call in calls),
                f"The tool {one_line(name, 60)} was called {len(calls)} times{again}.",
            )


def _bloat(trail: Trail) -> Iterator[Pathology]:
    """How much of what the answering calls read is text of chunks that the answer does not use."""
    answers = {g.generation_id for g in answering(trail)}
    contexts = [c for c in trail.contexts if c.generation_id in answers]
    used = {i for i, grade in trail.chunk_grades.items() if grade in ("cited", "supports")}
    idle = [
        (number, arrival)
        for number, context in enumerate(contexts)
        for arrival in context.arrivals
        if arrival.spans and arrival.chunk_id not in used
    ]
    characters = _characters((number, span) for number, a in idle for span in a.spans)
    total = sum(c.prompt_length for c in contexts)
    if not total or characters < BLOAT_SHARE * total:
        return
    ids = tuple(dict.fromkeys(arrival.chunk_id for _, arrival in idle))
    share, checked = characters / total, bool(used)
    what = (
        f"{percent(share)} of what the answering model read is text of {count(len(ids), 'chunk')}"
    )
    yield Pathology(
        "context_bloat",
        len(ids),
        ids,
        f"{what} that the answer neither cites nor follows from."
        if checked
        else f"{what}; whether the answer uses it was not checked.",
        share=round(share, 4),
        characters=characters,
        checked=checked,
    )


def _characters(spans: Iterable[tuple[int, PromptSpan]]) -> int:
    """How many characters the spans take of their prompts; those that several share count once."""
    stretches: dict[tuple[int, int], list[Span]] = defaultdict(list)
    for prompt, span in spans:
        stretches[prompt, span.message].append((span.start, span.end))
    return sum(end - start for found in stretches.values() for start, end in merged(found))


def _empty(trail: Trail) -> Iterator[Pathology]:
    """Searches that the application made and that found nothing; one that failed is no such search."""
    empty = [r for r in _outer(trail) if not r.hits and r.error is None]
    if empty:
        yield Pathology(
            "empty_retrieval",
            len(empty),
            tuple(r.retrieval_id for r in empty),
            f"{count(len(empty), 'search', 'searches')} found nothing:"
            f" {few(one_line(r.query or r.retriever, 60) for r in empty)}",
            share=round(len(empty) / len(list(_outer(trail))), 4),
        )


def _repeated(trail: Trail) -> Iterator[Pathology]:
    """Chunks that several calls read again, and what that cost beyond the first time."""
    read: dict[str, list[int]] = defaultdict(list)
    for context in trail.contexts:
        for arrival in context.arrivals:
            if arrival.state in ("full", "partial") and arrival.spans:
                read[arrival.chunk_id].append(sum(s.end - s.start for s in arrival.spans))
    again = {i: sum(cost) - max(cost) for i, cost in read.items() if len(cost) >= REREAD_CALLS}
    characters = sum(again.values())
    if characters >= REREAD_CHARACTERS:
        most = max(len(read[chunk_id]) for chunk_id in again)
        total = sum(c.prompt_length for c in trail.contexts)
        yield Pathology(
            "repeated_chunk",
            len(again),
            tuple(sorted(again, key=lambda i: -again[i])),
            f"{count(len(again), 'chunk')} stood in up to {most} prompts of this answer: {characters:,}"
            f" characters were paid for again, {percent(characters / total)} of all that was sent.",
            share=round(characters / total, 4),
            characters=characters,
        )


def _outer(trail: Trail) -> Iterable[Retrieval]:
    return (r for r in trail.retrievals if r.enclosing_id is None)
