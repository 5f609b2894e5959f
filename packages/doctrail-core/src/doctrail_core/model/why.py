"""A trail told in plain text, for somebody who has never seen one.

Pure: the same trail gives the same text. The bottom line comes first (the answer, the documents behind
it), then how it came about, then what could not be seen. Nothing is printed that a terminal would obey.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from doctrail_core.model.carried import CarriedChunk
from doctrail_core.model.checked import checked
from doctrail_core.model.chunk import Chunk
from doctrail_core.model.context import Arrival, Context
from doctrail_core.model.decided import decided
from doctrail_core.model.generation import Generation, ToolCall
from doctrail_core.model.involvement import found_by_tools
from doctrail_core.model.printable import columns, hanging, heading, one_line, paragraphs, wrapped
from doctrail_core.model.rerank import RankedChunk, Rerank
from doctrail_core.model.retrieval import Hit, Retrieval
from doctrail_core.model.trail import SourceDocument, Trail
from doctrail_core.model.unseen import unseen
from doctrail_core.model.wording import (
    CARRIED_WORDS,
    STATUS_WORDS,
    arrived,
    call,
    count,
    duration,
    few,
    grade,
    moment,
    noun,
    origin,
    percent,
    score,
    search,
    where,
)

__all__ = ["explain"]

_WIDTH = 100
_ROWS = 12
_ID = 24
_CHUNK = 12


def explain(trail: Trail, *, full: bool = False) -> str:
    """Say where this answer came from.

    Args:
        trail: The lineage of one response.
        full: Texts uncut, every row, every id.
    """
    return "\n".join(_Telling(trail, full=full).lines()) + "\n"


class _Telling:
    """One trail being told: the trail, how much of it, and its chunks, which every section needs."""

    def __init__(self, trail: Trail, *, full: bool) -> None:
        self.trail = trail
        self.full = full
        self.chunks = trail.chunks
        self.turns = {c.chunk.chunk_id: c.turn for c in trail.carried if c.turn is not None}

    def lines(self) -> Iterator[str]:
        yield from self.header()
        yield from self.documents()
        yield from checked(self.trail, full=self.full, width=_WIDTH)
        yield from self.retrieved()
        yield from self.carried()
        yield from self.read()
        yield from self.tools()
        yield from self.gaps()

    # -- the answer ----------------------------------------------------------------------------

    def header(self) -> Iterator[str]:
        trail = self.trail
        turn = "" if trail.turn is None else f", turn {trail.turn} of its session"
        yield f"Response {one_line(trail.response_id)}{turn}"
        facts = [
            ("Question", ["not known"] if trail.question == "" else self.text(trail.question)),
            ("Answer", self.text(trail.answer) if trail.answer is not None else self.no_answer()),
            ("Status", [self.status()]),
            (
                "When",
                [f"{moment(trail.started_at)}, took {duration(trail.started_at, trail.ended_at)}"],
            ),
            ("Who", wrapped(", ".join(self.who()) or "not known", _WIDTH - 12)),
            ("Model", [", ".join(map(one_line, trail.models)) or "not known"]),
            ("Trace", [one_line(trail.trace_id, 80)] if trail.trace_id else []),
            ("In short", wrapped(self.in_short(), _WIDTH - 12)),
        ]
        for name, lines in facts:
            yield from hanging(f"  {name:<10}", lines)

    def text(self, text: str | None) -> list[str]:
        if text is None:
            return ["(text not kept)"]
        if not text.strip():
            return ["(empty)"]
        if self.full:
            return [line for p in paragraphs(text) for line in wrapped(p, _WIDTH - 12)]
        return wrapped(one_line(text, 6 * (_WIDTH - 12)), _WIDTH - 12)

    def no_answer(self) -> list[str]:
        said = self.trail.status == "ok" and any(not g.auxiliary for g in self.trail.generations)
        return ["(text not kept)" if said and self.silenced else "(none)"]

    @property
    def silenced(self) -> bool:
        """Whether texts were left out: of one that keeps them the question is known, if only as empty."""
        return self.trail.question is None

    def status(self) -> str:
        trail = self.trail
        only_searched = trail.status == "ok" and trail.answer is None and not trail.generations
        meaning = "searched; no answer was seen" if only_searched else STATUS_WORDS[trail.status]
        words = f"{trail.status}: {meaning}"
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
        if not self.chunks and self.trail.reused:
            return "A cache gave the answer of an earlier response."
        if not self.chunks:
            return "Nothing was retrieved for this answer."
        best = self.best_arrivals()
        own = {hit.chunk.chunk_id for r in self.trail.retrievals for hit in r.hits}
        sentences: list[str] = []
        if own:
            sentences.append(self.in_short_retrieved({i: best[i] for i in own}))
        else:
            sentences.append("Nothing was retrieved for this answer.")
        if earlier := [c for c in self.trail.carried if c.chunk.chunk_id not in own]:
            through = sum(c.through is not None for c in earlier)
            ways = [
                (len(earlier) - through, "in the prompt again"),
                (through, "only through what was answered then"),
            ]
            known = ", ".join(f"{n} {words}" for n, words in ways if n)
            sentences.append(f"{count(len(earlier), 'chunk')} from earlier turns: {known}.")
        return " ".join(sentences)

    def in_short_retrieved(self, best: dict[str, str]) -> str:
        documents = {self.chunks[chunk_id].document_id for chunk_id in best}
        retrieved = f"{count(len(best), 'chunk')} of {count(len(documents), 'document')} retrieved"
        if not self.trail.contexts:
            return f"{retrieved}; it was not seen whether a model read them."
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
        yield from heading("Documents behind the answer")
        if not self.trail.documents and not self.trail.reused:
            yield "  none"
        elif self.trail.documents:
            yield from self.table([self.document_row(d) for d in self.trail.documents])
        for made in self.trail.derivations:
            names = [self.identifier(source) for source in made.sources]
            sources = ", ".join(names) if self.full else few(names)
            line = f"{self.identifier(made.document_id)} was made from {sources}"
            yield from hanging("  ", wrapped(line, _WIDTH - 2))
        for earlier in self.trail.reused:
            line = (
                f"whatever response {one_line(earlier)} came from, whose answer a cache gave again"
            )
            yield from hanging("  ", wrapped(line, _WIDTH - 2))

    def document_row(self, document: SourceDocument) -> list[str]:
        grades = self.trail.chunk_grades
        deep = [c for c in document.chunks if grades[c.chunk_id] == document.grade]
        chunks = f"{noun(len(deep), 'chunk')} {few(map(self.chunk_name, deep))}"
        if others := [c for c in document.chunks if c not in deep]:
            chunks += f" (not {few(map(self.chunk_name, others))})"
        source = next((c.source for c in document.chunks if c.source), "")
        version = next((f" (version {c.version})" for c in document.chunks if c.version), "")
        return [
            grade(document.grade, document.involvement),
            self.identifier(document.document_id),
            chunks,
            one_line(
                (source if source != document.document_id else "") + version,
                None if self.full else 60,
            ),
        ]

    # -- what was retrieved --------------------------------------------------------------------

    def retrieved(self) -> Iterator[str]:
        retrievals = self.trail.retrievals
        yield from heading(f"What was retrieved ({count(len(retrievals), 'search', 'searches')})")
        if not retrievals:
            yield "  nothing: no search was seen"
        numbers = {r.retrieval_id: n for n, r in enumerate(retrievals, 1)}
        for retrieval in retrievals:
            yield from self.retrieval(retrieval, numbers)
        for rerank in self.trail.reranks:
            yield from hanging("  reranked ", wrapped(self.reranked(rerank), _WIDTH - 11))

    def reranked(self, rerank: Rerank) -> str:
        model = f" with {one_line(rerank.model)}" if rerank.model else ""
        kept = [self.ranked(chunk) for chunk in rerank.kept]
        best = ", ".join(kept) if self.full else few(kept)
        told = f"by {one_line(rerank.by)}{model}: kept {len(kept)} of {len(rerank.given)}"
        return f"{told}, best first: {best}" if kept else told

    def ranked(self, chunk: RankedChunk) -> str:
        scored = "" if chunk.score is None else f" ({chunk.score:.4g})"
        return one_line(chunk.chunk_id, None if self.full else _ID) + scored

    def retrieval(self, retrieval: Retrieval, numbers: dict[str, int]) -> Iterator[str]:
        number = f"  {numbers[retrieval.retrieval_id]}. "
        yield from hanging(number, wrapped(", ".join(search(retrieval, numbers)), _WIDTH - 5))
        if retrieval.query is not None and retrieval.query != self.trail.question:
            yield from hanging("     asked for: ", self.text(retrieval.query))
        if retrieval.error:
            yield f"     failed: {one_line(retrieval.error, 200)}"
        elif not retrieval.hits:
            withheld = any(decision.denied for decision in retrieval.access)
            yield f"     {'released' if withheld else 'found'} nothing"
        else:
            header = ["rank", "score", "document", "chunk", "text"]
            rows = [self.hit_row(hit) for hit in retrieval.hits]
            yield from self.table(rows, header, "     ", width=_WIDTH - 5)
        for decision in retrieval.access:
            for line in decided(decision, full=self.full):
                yield from hanging("     access: ", wrapped(line, _WIDTH - 13))
        if self.full:
            yield from self.chunk_texts(retrieval)

    def hit_row(self, hit: Hit) -> list[str]:
        chunk = hit.chunk
        text = "(text not kept)" if chunk.text is None else one_line(chunk.text, 80)
        document = self.identifier(chunk.document_id)
        return [str(hit.rank + 1), score(hit), document, self.chunk_name(chunk), text]

    def chunk_texts(self, retrieval: Retrieval) -> Iterator[str]:
        for hit in retrieval.hits:
            chunk = hit.chunk
            yield ""
            yield f"     {hit.rank + 1}: {one_line(chunk.chunk_id)}"
            yield f"        hash {chunk.content_hash or 'not kept'}"
            for paragraph in paragraphs(chunk.text or ""):
                yield from ("        " + line for line in wrapped(paragraph, _WIDTH - 8))

    # -- what earlier turns brought ------------------------------------------------------------

    def carried(self) -> Iterator[str]:
        carried = sorted(self.trail.carried, key=lambda c: (c.turn is None, c.turn or 0))
        if carried:
            yield from heading(f"What came from earlier turns ({count(len(carried), 'chunk')})")
        for source, chunks in groupby(carried, origin):
            yield f"  {source}"
            rows = [self.carried_row(each) for each in chunks]
            header = ["document", "chunk", "how", "text"]
            yield from self.table(rows, header, "     ", width=_WIDTH - 5)

    def carried_row(self, carried: CarriedChunk) -> list[str]:
        chunk = carried.chunk
        how = CARRIED_WORDS[carried.carried_by]
        if carried.through is not None:
            how += f" response {one_line(carried.through, None if self.full else _ID)}"
        text = "(text not kept)" if chunk.text is None else one_line(chunk.text, 80)
        return [self.identifier(chunk.document_id), self.chunk_name(chunk), how, text]

    # -- what the model read -------------------------------------------------------------------

    def read(self) -> Iterator[str]:
        contexts = {c.generation_id: c for c in self.trail.contexts}
        calls = self.trail.generations
        yield from heading(f"What the model read ({count(len(calls), 'call')})")
        if not calls:
            yield "  nothing: no model call was seen"
        for number, generation in enumerate(calls, 1):
            yield f"  {number}. {', '.join(call(generation))}"
            if generation.error:
                yield f"     failed: {one_line(generation.error, 200)}"
            if context := contexts.get(generation.generation_id):
                yield from self.context(context, generation)
            if self.full:
                yield from self.prompt(generation)
            yield from self.said(generation)

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
            yield f"     {percent(share)} of the prompt's {context.prompt_length:,} characters come from no retrieval."
        for number, name in self.opaque_tools(context, generation):
            yield f"     Message {number + 1} is what the tool {name} returned; where that comes from was not seen."

    def opaque_tools(self, context: Context, generation: Generation) -> Iterator[tuple[int, str]]:
        """The messages that a tool of this response wrote without any search being seen in it."""
        names = {call.tool_call_id: call.name for call in self.trail.tool_calls}
        searched = found_by_tools(self.trail)
        for number in dict.fromkeys(span.message for span in context.unexplained):
            call_id = generation.messages[number].tool_call_id
            if call_id and call_id in names and call_id not in searched:
                yield number, one_line(names[call_id], 80)

    def arrival_row(self, arrival: Arrival, generation: Generation) -> list[str]:
        chunk = self.chunks.get(arrival.chunk_id)
        return [
            "-" if arrival.order is None else str(arrival.order + 1),
            arrived(arrival),
            percent(arrival.share) if arrival.share else "",
            self.identifier(arrival.document_id),
            self.chunk_name(chunk) if chunk else one_line(arrival.chunk_id, _CHUNK),
            where(arrival, generation) + self.whence(arrival),
        ]

    def whence(self, arrival: Arrival) -> str:
        turn = self.turns.get(arrival.chunk_id)
        return "" if turn is None else f" (of turn {turn})"

    def prompt(self, generation: Generation) -> Iterator[str]:
        for number, message in enumerate(generation.messages, 1):
            yield ""
            yield f"     message {number} ({one_line(message.role, _ID)}):"
            text = "(text not kept)" if message.text is None else message.text
            for paragraph in paragraphs(text):
                yield from ("        " + line for line in wrapped(paragraph, _WIDTH - 8))
        yield ""

    def said(self, generation: Generation) -> Iterator[str]:
        """What the model said; in short only where the answer does not say it already."""
        output = generation.output
        if self.full and output is None and not self.silenced:
            yield "     said: (nothing was seen)"
        elif self.full or output not in (None, "", self.trail.answer):
            yield from hanging("     said: ", self.text(output))

    # -- tools ---------------------------------------------------------------------------------

    def tools(self) -> Iterator[str]:
        if not self.trail.tool_calls:
            return
        yield from heading(f"Tools called ({count(len(self.trail.tool_calls), 'call')})")
        for number, tool in enumerate(self.trail.tool_calls, 1):
            yield f"  {number}. {one_line(tool.name, 80)}, took {duration(tool.started_at, tool.ended_at)}"
            yield from self.tool_texts(tool)

    def tool_texts(self, tool: ToolCall) -> Iterator[str]:
        yield from hanging("     given:    ", self.text(tool.arguments))
        if tool.error:
            yield f"     failed:   {one_line(tool.error, 200)}"
        elif tool.result is None and not self.silenced:
            yield "     returned: nothing"
        else:
            yield from hanging("     returned: ", self.text(tool.result))

    # -- what could not be seen ----------------------------------------------------------------

    def gaps(self) -> Iterator[str]:
        remarks = list(unseen(self.trail))
        if remarks:
            yield from heading("What could not be seen")
        for remark in remarks:
            yield from hanging("  - ", wrapped(remark, _WIDTH - 4))

    # -- shared shapes -------------------------------------------------------------------------

    def table(
        self,
        rows: Sequence[list[str]],
        header: list[str] | None = None,
        indent: str = "  ",
        width: int | None = None,
    ) -> Iterator[str]:
        shown = rows if self.full else rows[:_ROWS]
        yield from (
            indent + line for line in columns([*([header] if header else []), *shown], width)
        )
        if len(shown) < len(rows):
            yield f"{indent}... and {len(rows) - len(shown)} more, see the full text (--full)"

    def identifier(self, raw: str) -> str:
        return one_line(raw, None if self.full else _ID)

    def chunk_name(self, chunk: Chunk) -> str:
        """The chunk's number in its document, else the end of its id, where ids differ."""
        if self.full:
            return one_line(chunk.chunk_id)
        if chunk.index is not None:
            return str(chunk.index)
        name = one_line(chunk.chunk_id[-1000:])
        return name if len(name) <= _CHUNK else f"…{name[1 - _CHUNK :]}"


def _reading_order(arrival: Arrival) -> float:
    return math.inf if arrival.order is None else arrival.order
