"""How single facts of a trail are worded, in one place, so that every text says them alike."""

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from doctrail_core.model.carried import CarriedBy, CarriedChunk, Involvement
from doctrail_core.model.context import Arrival
from doctrail_core.model.diagnosis import Fault
from doctrail_core.model.generation import Generation
from doctrail_core.model.printable import one_line
from doctrail_core.model.retrieval import Hit, Retrieval
from doctrail_core.model.trail import Grade, Status

__all__ = [
    "CARRIED_WORDS",
    "FAULT_WORDS",
    "GRADE_WORDS",
    "STATUS_WORDS",
    "arrived",
    "call",
    "count",
    "duration",
    "few",
    "grade",
    "moment",
    "noun",
    "origin",
    "percent",
    "score",
    "search",
    "where",
]

GRADE_WORDS: dict[Grade, str] = {
    "cited": "cited by the answer",
    "supports": "supports the answer",
    "in_prompt": "in the prompt",
    "retrieved": "retrieved only",
}
STATUS_WORDS: dict[Status, str] = {
    "ok": "answered",
    "error": "failed",
    "aborted": "stopped by the caller before it was complete",
    "interrupted": "ended without an answer",
}

FAULT_WORDS: dict[Fault, str] = {
    "retrieval": "retrieval failure: the corpus has it, and the search did not bring it",
    "assembly": "assembly failure: it was retrieved, and did not arrive in the prompt",
    "generation": "generation failure: it arrived, and the answer does not keep to it",
    "corpus_gap": "corpus gap: no document says it",
    "stale_sources": "stale sources: the answer follows an older version",
    "conflicting_sources": "conflicting sources: two of them disagree in one prompt",
    "wrong_source": "the source is wrong: the answer follows what it read",
    "undetermined": "undetermined: too little is known",
    "no_fault": "no fault found",
}

CARRIED_WORDS: dict[CarriedBy, str] = {
    "artifact": "in the prompt, kept by the application",
    "text": "in the prompt",
    "answer": "through the answer of",
    "tool": "through a tool result of",
}


def grade(reached: Grade, involvement: Involvement | None) -> str:
    """How deeply a source was involved, and whether only by a detour."""
    return f"{GRADE_WORDS[reached]}{', indirectly' if involvement == 'indirect' else ''}"


def origin(carried: CarriedChunk) -> str:
    """Which turn retrieved a chunk that was carried along."""
    if carried.response_id is None:
        return "from a turn that is not on record"
    turn = "an earlier turn" if carried.turn is None else f"turn {carried.turn}"
    return f"from {turn} of this session, response {one_line(carried.response_id, 80)}"


def search(retrieval: Retrieval, numbers: dict[str, int]) -> Iterator[str]:
    """What was asked of a retriever and how it went, in parts."""
    store = f" on {one_line(retrieval.store, 60)}" if retrieval.store else ""
    yield f"{one_line(retrieval.retriever, 60)}{store}"
    if retrieval.search_type:
        yield f"{one_line(retrieval.search_type, 40)} search"
    if retrieval.k is not None:
        yield f"k = {retrieval.k}"
    if retrieval.filters:
        yield f"filter {one_line(str(retrieval.filters), 200)}"
    if retrieval.enclosing_id in numbers:
        yield f"as part of search {numbers[retrieval.enclosing_id]}"
    if retrieval.tool_call_id:
        yield f"for tool call {one_line(retrieval.tool_call_id, 40)}"
    yield count(len(retrieval.hits), "chunk")
    yield f"took {duration(retrieval.started_at, retrieval.ended_at)}"


def call(generation: Generation) -> Iterator[str]:
    """A model call, in parts."""
    provider = f" ({one_line(generation.provider, 40)})" if generation.provider else ""
    yield f"{one_line(generation.model or 'model not known', 80)}{provider}"
    if generation.auxiliary:
        yield "in preparation, its output is not the answer"
    yield count(len(generation.messages), "message")
    usage = generation.usage
    if usage and usage.input_tokens is not None:
        yield f"{usage.input_tokens:,} tokens in"
    if usage and usage.output_tokens is not None:
        yield f"{usage.output_tokens:,} tokens out"
    if generation.finish_reasons:
        yield f"finished: {few(map(one_line, generation.finish_reasons))}"
    if generation.ended_at:
        yield f"took {duration(generation.started_at, generation.ended_at)}"
    elif not generation.error:
        yield "never ended"


def arrived(arrival: Arrival) -> str:
    """How much of a chunk reached the prompt."""
    if arrival.state == "partial":
        return f"partial {percent(arrival.coverage)}"
    return arrival.state


def where(arrival: Arrival, generation: Generation) -> str:
    """Where in the prompt a chunk stands, or why it does not."""
    spans = [
        f"{f'message {s.message + 1}, ' if len(generation.messages) > 1 else ''}characters {s.start:,}-{s.end:,}"
        for s in arrival.spans
    ]
    return "; ".join(part for part in (few(spans), _reason(arrival)) if part)


def _reason(arrival: Arrival) -> str:
    if arrival.reason is None and arrival.reason_detail:
        return one_line(arrival.reason_detail, 60)
    if arrival.state in ("full", "ambiguous") or (
        arrival.state == "partial" and not arrival.reason
    ):
        return ""
    reason = arrival.reason or "not observed"
    words = "not found in the prompt" if reason == "not observed" else reason
    return f"{words}: {one_line(arrival.reason_detail, 60)}" if arrival.reason_detail else words


def score(hit: Hit) -> str:
    """A score with what it measures; never a number that nobody gave."""
    if hit.score is None or math.isnan(hit.score):
        return "no score"
    tiny = 0 < abs(hit.score) < 0.0005  # noqa: PLR2004 - what three decimals would show as zero
    number = f"{hit.score:.2e}" if tiny else f"{hit.score:.3f}"
    return f"{number} {'(kind unknown)' if hit.score_kind == 'unknown' else hit.score_kind}"


def moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(start: datetime, end: datetime) -> str:
    took = max(end - start, timedelta(0))
    if took < timedelta(seconds=1):
        return f"{took / timedelta(milliseconds=1):.0f} ms"
    return f"{took.total_seconds():,.1f} s"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def count(number: int, singular: str, plural: str | None = None) -> str:
    return f"{number:,} {noun(number, singular, plural)}"


def noun(number: int, singular: str, plural: str | None = None) -> str:
    return singular if number == 1 else plural or f"{singular}s"


def few(words: Iterable[str]) -> str:
    """The first four of these, and how many more there are."""
    named = list(dict.fromkeys(words))
    rest = f" and {len(named) - 4} more" if len(named) > 4 else ""  # noqa: PLR2004 - a glance
    return ", ".join(named[:4]) + rest
