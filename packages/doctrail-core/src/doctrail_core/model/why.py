"""A trail told in plain text, for somebody who has never seen one.

Pure: the same trail gives the same text. The bottom line comes first (the answer, the documents behind
it), then how it came about, then what could not be seen. Nothing is printed that a terminal would obey.
"""

import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from doctrail_core.model.chunk import Chunk
from doctrail_core.model.context import Arrival, Context
from doctrail_core.model.generation import Generation, ToolCall
from doctrail_core.model.printable import columns, one_line, paragraphs
from doctrail_core.model.retrieval import Hit, Retrieval
from doctrail_core.model.trail import Grade, SourceDocument, Status, Trail

__all__ = ["GRADE_WORDS", "explain"]

GRADE_WORDS: dict[Grade, str] = {
    "cited": "cited by the answer",
    "supports": "supports the answer",
    "in_prompt": "in the prompt",
    "retrieved": "retrieved only",
}
_STATUS_WORDS: dict[Status, str] = {
    "ok": "answered",
    "error": "failed",
    "aborted": "stopped by the caller before it was complete",
    "interrupted": "ended without an answer",
}
_WIDTH = 100
_ROWS = 12
_ID = 24


def explain(trail: Trail, *, full: bool = False) -> str:
    """Say where this answer came from.

    Args:
        trail: The lineage of one response.
        full: Texts uncut, every row, every id.
    """
    return "\n".join(_Telling(trail, full=full).lines()) + "\n"


class _Telling:
    """One trail being told: the trail, how much of it, and the lookups that every section needs."""

    def __init__(self, trail: Trail, *, full: bool) -> None:
        self.trail = trail
        self.full = full
        self.chunks = trail.chunks
        self.generations = {g.generation_id: g for g in trail.generations}

    def lines(self) -> Iterator[str]:
        yield from self.header()
        yield from self.documents()
        yield from self.retrieved()
        yield from self.read()
        yield from self.tools()
        yield from self.unseen()

    # -- the answer ----------------------------------------------------------------------------

    def header(self) -> Iterator[str]:
        trail = self.trail
        yield f"Response {one_line(trail.response_id)}"
        facts = [
            ("Question", self.text(trail.question)),
            ("Answer", self.text(trail.answer) if trail.answer is not None else self.no_answer()),
            ("Status", [self.status()]),
            (
                "When",
                [f"{_moment(trail.started_at)}, took {_span(trail.started_at, trail.ended_at)}"],
            ),
            ("Who", _wrapped(", ".join(self.who()) or "not known", _WIDTH - 12)),
            ("Trace", [one_line(trail.trace_id or "not traced", 80)]),
            ("Model", [", ".join(map(one_line, trail.models)) or "not known"]),
            ("In short", _wrapped(self.in_short(), _WIDTH - 12)),
        ]
        for name, lines in facts:
            yield from _hanging(f"  {name:<10}", lines)

    def text(self, text: str | None) -> list[str]:
        if text is None:
            return ["(text not kept)"]
        if self.full:
            return [line for p in paragraphs(text) for line in _wrapped(p, _WIDTH - 12)] or [
                "(empty)"
            ]
        return _wrapped(one_line(text, 6 * (_WIDTH - 12)), _WIDTH - 12) or ["(empty)"]

    def no_answer(self) -> list[str]:
        return ["(text not kept)" if self.trail.status == "ok" else "(none)"]

    def status(self) -> str:
        trail = self.trail
        words = f"{trail.status}: {_STATUS_WORDS[trail.status]}"
        return f"{words} ({one_line(trail.error, 200)})" if trail.error else words

    def who(self) -> Iterator[str]:
        trail = self.trail
        known = [
            ("user", trail.user_id),
            ("session", trail.session_id),
            ("service", trail.service),
            ("recorded through", trail.framework),
        ]
        yield from (f"{name} {one_line(value, 80)}" for name, value in known if value)

    def in_short(self) -> str:
        if not self.chunks:
            return "Nothing was retrieved for this answer."
        documents = len(self.trail.documents)
        retrieved = (
            f"{_count(len(self.chunks), 'chunk')} of {_count(documents, 'document')} retrieved"
        )
        if not self.trail.contexts:
            return f"{retrieved}; it was not seen whether a model read them."
        best = self.best_arrivals()
        counts = [
            (sum(state == "full" for state in best.values()), "reached the model in full"),
            (sum(state == "partial" for state in best.values()), "in part"),
            (sum(state == "ambiguous" for state in best.values()), "cannot be told apart"),
            (sum(state == "absent" for state in best.values()), "did not reach it"),
        ]
        return f"{retrieved}: " + ", ".join(f"{n} {words}" for n, words in counts if n) + "."

    def best_arrivals(self) -> dict[str, str]:
        """Per chunk, how it arrived in the call that got most of it; unseen chunks are absent."""
        order = ("full", "partial", "ambiguous", "absent")
        best = dict.fromkeys(self.chunks, "absent")
        for arrival in (a for c in self.trail.contexts for a in c.arrivals):
            known = best.get(arrival.chunk_id, "absent")
            best[arrival.chunk_id] = min(known, arrival.state, key=order.index)
        return best

    # -- the documents -------------------------------------------------------------------------

    def documents(self) -> Iterator[str]:
        yield from _heading("Documents behind the answer")
        if not self.trail.documents:
            yield "  none"
        else:
            yield from self.table([self.document_row(d) for d in self.trail.documents])

    def document_row(self, document: SourceDocument) -> list[str]:
        chunks = (
            f"{_noun(len(document.chunks), 'chunk')} {_few(map(self.chunk_name, document.chunks))}"
        )
        source = next((c.source for c in document.chunks if c.source), "")
        version = next((f" (version {c.version})" for c in document.chunks if c.version), "")
        return [
            GRADE_WORDS[document.grade],
            self.identifier(document.document_id),
            chunks,
            one_line(source + version, None if self.full else 60),
        ]

    # -- what was retrieved --------------------------------------------------------------------

    def retrieved(self) -> Iterator[str]:
        retrievals = self.trail.retrievals
        yield from _heading(f"What was retrieved ({_count(len(retrievals), 'search', 'searches')})")
        if not retrievals:
            yield "  nothing: no search was seen"
        numbers = {r.retrieval_id: n for n, r in enumerate(retrievals, 1)}
        for retrieval in retrievals:
            yield from self.retrieval(retrieval, numbers)

    def retrieval(self, retrieval: Retrieval, numbers: dict[str, int]) -> Iterator[str]:
        number = f"  {numbers[retrieval.retrieval_id]}. "
        yield from _hanging(number, _wrapped(", ".join(_search(retrieval, numbers)), _WIDTH - 5))
        if retrieval.query is not None and retrieval.query != self.trail.question:
            yield from _hanging("     asked for: ", self.text(retrieval.query))
        if retrieval.error:
            yield f"     failed: {one_line(retrieval.error, 200)}"
        elif not retrieval.hits:
            yield "     found nothing"
        else:
            header = ["rank", "score", "document", "chunk", "text"]
            yield from self.table([self.hit_row(h) for h in retrieval.hits], header, "     ")
        if self.full:
            yield from self.chunk_texts(retrieval)

    def hit_row(self, hit: Hit) -> list[str]:
        chunk = hit.chunk
        text = "(text not kept)" if chunk.text is None else one_line(chunk.text, 38)
        document = self.identifier(chunk.document_id)
        return [str(hit.rank + 1), _score(hit), document, self.chunk_name(chunk), text]

    def chunk_texts(self, retrieval: Retrieval) -> Iterator[str]:
        for hit in retrieval.hits:
            chunk = hit.chunk
            yield ""
            yield f"     {hit.rank + 1}: {one_line(chunk.chunk_id)}"
            yield f"        hash {chunk.content_hash or 'not kept'}"
            for paragraph in paragraphs(chunk.text or ""):
                yield from ("        " + line for line in _wrapped(paragraph, _WIDTH - 8))

    # -- what the model read -------------------------------------------------------------------

    def read(self) -> Iterator[str]:
        contexts = {c.generation_id: c for c in self.trail.contexts}
        calls = self.trail.generations
        yield from _heading(f"What the model read ({_count(len(calls), 'call')})")
        if not calls:
            yield "  nothing: no model call was seen"
        for number, generation in enumerate(calls, 1):
            yield f"  {number}. {', '.join(_call(generation))}"
            if generation.error:
                yield f"     failed: {one_line(generation.error, 200)}"
            if context := contexts.get(generation.generation_id):
                yield from self.context(context, generation)
            if self.full:
                yield from self.prompt(generation)

    def context(self, context: Context, generation: Generation) -> Iterator[str]:
        if context.arrivals:
            rows = [
                self.arrival_row(a, generation)
                for a in sorted(context.arrivals, key=_reading_order)
            ]
            yield from self.table(
                rows, ["place", "arrived", "of prompt", "document", "chunk", "where"], "     "
            )
        if context.prompt_length:
            share = context.unexplained_length / context.prompt_length
            yield f"     {_percent(share)} of the prompt's {context.prompt_length:,} characters come from no retrieval."

    def arrival_row(self, arrival: Arrival, generation: Generation) -> list[str]:
        chunk = self.chunks.get(arrival.chunk_id)
        return [
            "-" if arrival.order is None else str(arrival.order + 1),
            _arrived(arrival),
            _percent(arrival.share) if arrival.share else "",
            self.identifier(arrival.document_id),
            self.chunk_name(chunk) if chunk else self.identifier(arrival.chunk_id),
            _where(arrival, generation),
        ]

    def prompt(self, generation: Generation) -> Iterator[str]:
        for number, message in enumerate(generation.messages, 1):
            yield ""
            yield f"     message {number} ({one_line(message.role, _ID)}):"
            text = "(text not kept)" if message.text is None else message.text
            for paragraph in paragraphs(text):
                yield from ("        " + line for line in _wrapped(paragraph, _WIDTH - 8))
        yield ""
        yield from _hanging("     said: ", self.text(generation.output))

    # -- tools ---------------------------------------------------------------------------------

    def tools(self) -> Iterator[str]:
        if not self.trail.tool_calls:
            return
        yield from _heading(f"Tools called ({_count(len(self.trail.tool_calls), 'call')})")
        for number, tool in enumerate(self.trail.tool_calls, 1):
            yield f"  {number}. {one_line(tool.name, 80)}, took {_span(tool.started_at, tool.ended_at)}"
            yield from self.tool_texts(tool)

    def tool_texts(self, tool: ToolCall) -> Iterator[str]:
        yield from _hanging("     given:    ", self.text(tool.arguments))
        if tool.error:
            yield f"     failed:   {one_line(tool.error, 200)}"
        else:
            yield from _hanging("     returned: ", self.text(tool.result))

    # -- what could not be seen ----------------------------------------------------------------

    def unseen(self) -> Iterator[str]:
        remarks = list(_unseen(self.trail))
        if remarks:
            yield from _heading("What could not be seen")
        for remark in remarks:
            yield from _hanging("  - ", _wrapped(remark, _WIDTH - 4))

    # -- shared shapes -------------------------------------------------------------------------

    def table(
        self, rows: Sequence[list[str]], header: list[str] | None = None, indent: str = "  "
    ) -> Iterator[str]:
        shown = rows if self.full else rows[:_ROWS]
        yield from (indent + line for line in columns([*([header] if header else []), *shown]))
        if len(shown) < len(rows):
            yield f"{indent}... and {len(rows) - len(shown)} more, see the full text (--full)"

    def identifier(self, raw: str) -> str:
        return one_line(raw, None if self.full else _ID)

    def chunk_name(self, chunk: Chunk) -> str:
        """The chunk's number in its document, else its id."""
        if chunk.index is not None and not self.full:
            return f"{chunk.index}"
        return one_line(chunk.chunk_id, None if self.full else 12)


def _unseen(trail: Trail) -> Iterator[str]:
    if not trail.retrievals:
        yield (
            "Where its facts come from: no search was recorded. The model answered from what it learned"
            " in training, or the documents came by a way that is not being recorded."
        )
    if not trail.generations:
        yield "What was asked of a model: no call was recorded."
    hits = [h for r in trail.retrievals for h in r.hits]
    silent = [
        r.retriever for r in trail.retrievals if r.hits and all(h.score is None for h in r.hits)
    ]
    if silent:
        yield f"How well the chunks fit the question: no scores were given by {_few(map(one_line, silent))}."
    if any(h.score is not None and h.score_kind == "unknown" for h in hits):
        yield "What the scores mean: it is not known whether larger is better; the rank is what counts."
    derived = {h.chunk.document_id for h in hits if h.chunk.document_id_origin == "derived"}
    if derived:
        yield (
            f"The real names of {_count(len(derived), 'document')}: the application gave no id, so one was"
            " made from the text. Put a document_id into the metadata when indexing."
        )
    if hits and trail.generations and not trail.contexts:
        yield "What reached the model: its prompt was not compared with the chunks."
    yield from _unseen_in_prompts(trail.contexts)
    if trail.answer is not None or trail.status == "ok":
        yield (
            "Whether the answer says what these documents say: it was not checked. This shows what the"
            " model had before it, not whether it kept to it."
        )


def _unseen_in_prompts(contexts: Sequence[Context]) -> Iterator[str]:
    arrivals = [a for c in contexts for a in c.arrivals]
    if any(a.state == "absent" and a.reason in (None, "not observed") for a in arrivals):
        yield (
            "Why some chunks are absent: their words are not in the prompt. A summary or translation of"
            " them would not be recognised."
        )
    if any(a.state == "ambiguous" for a in arrivals):
        yield "Which of several chunks with the same text was read: the prompt holds the text fewer times."
    if any(c.unexplained_length for c in contexts):
        yield (
            "Where the rest of the prompt comes from: instructions, the question, earlier turns, or a"
            " search that is not being recorded."
        )


def _search(retrieval: Retrieval, numbers: dict[str, int]) -> Iterator[str]:
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
    yield _count(len(retrieval.hits), "chunk")
    yield f"took {_span(retrieval.started_at, retrieval.ended_at)}"


def _call(generation: Generation) -> Iterator[str]:
    provider = f" ({one_line(generation.provider, 40)})" if generation.provider else ""
    yield f"{one_line(generation.model or 'model not known', 80)}{provider}"
    if generation.auxiliary:
        yield "in preparation, its output is not the answer"
    yield _count(len(generation.messages), "message")
    usage = generation.usage
    if usage and usage.input_tokens is not None:
        yield f"{usage.input_tokens:,} tokens in"
    if usage and usage.output_tokens is not None:
        yield f"{usage.output_tokens:,} tokens out"
    if generation.finish_reasons:
        yield f"finished: {_few(map(one_line, generation.finish_reasons))}"
    if generation.ended_at:
        yield f"took {_span(generation.started_at, generation.ended_at)}"
    elif not generation.error:
        yield "never ended"


def _reading_order(arrival: Arrival) -> float:
    return math.inf if arrival.order is None else arrival.order


def _arrived(arrival: Arrival) -> str:
    if arrival.state == "partial":
        return f"partial {_percent(arrival.coverage)}"
    return arrival.state


def _where(arrival: Arrival, generation: Generation) -> str:
    spans = [
        f"{f'message {s.message + 1}, ' if len(generation.messages) > 1 else ''}characters {s.start:,}-{s.end:,}"
        for s in arrival.spans
    ]
    return "; ".join(part for part in (_few(spans), _reason(arrival)) if part)


def _reason(arrival: Arrival) -> str:
    if arrival.state in ("full", "ambiguous") or (
        arrival.state == "partial" and not arrival.reason
    ):
        return ""
    reason = arrival.reason or "not observed"
    words = "not found in the prompt" if reason == "not observed" else reason
    return f"{words} by {one_line(arrival.reason_detail, 60)}" if arrival.reason_detail else words


def _score(hit: Hit) -> str:
    if hit.score is None or math.isnan(hit.score):
        return "no score"
    tiny = 0 < abs(hit.score) < 0.0005  # noqa: PLR2004 - what three decimals would show as zero
    number = f"{hit.score:.2e}" if tiny else f"{hit.score:.3f}"
    return f"{number} {'(kind unknown)' if hit.score_kind == 'unknown' else hit.score_kind}"


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(start: datetime, end: datetime) -> str:
    duration = end - start
    if duration < timedelta(seconds=1):
        return f"{max(duration / timedelta(milliseconds=1), 0):.0f} ms"
    return f"{duration.total_seconds():,.1f} s"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {_noun(number, noun, plural)}"


def _noun(number: int, noun: str, plural: str | None = None) -> str:
    return noun if number == 1 else plural or f"{noun}s"


def _few(words: Iterable[str]) -> str:
    named = list(dict.fromkeys(words))
    rest = f" and {len(named) - 4} more" if len(named) > 4 else ""  # noqa: PLR2004 - a glance
    return ", ".join(named[:4]) + rest


def _heading(title: str) -> list[str]:
    return ["", title]


def _hanging(first: str, lines: Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{first if number == 0 else ' ' * len(first)}{line}".rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or ([""] if not text.strip() else [])
