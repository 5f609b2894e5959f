"""A response while it happens: its tree of runs, and what they have brought so far.

Nothing in here outlives the response: the recorder forgets the whole tree when it closes.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from doctrail_core.capture.events import (
    ContextSelected,
    PromptSent,
    RetrievalDescribed,
    RetrievalStarted,
    RunStarted,
    ToolCalled,
)
from doctrail_core.capture.sinks import Checks, StageSpan
from doctrail_core.model import (
    AccessDecision,
    Assessment,
    Chunk,
    ChunkAccess,
    Derivation,
    Generation,
    Hit,
    Rerank,
    Retrieval,
    SpanReference,
    Status,
    Step,
    ToolCall,
)
from doctrail_core.text.identity import canonical_id, clean_text

StartEvent = RunStarted | RetrievalStarted | PromptSent | ToolCalled
RunKind = Literal["run", "retrieval", "generation", "tool"]

_Key = tuple[str, str]
"""Document and chunk."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of what was to arrive, and what it was made among."""

    event: ContextSelected
    among: frozenset[str]


@dataclass(slots=True, eq=False)
class OpenRun:
    """One node of the host's run tree."""

    start: StartEvent
    kind: RunKind
    parent: "OpenRun | None"
    response: "OpenResponse"
    started: int
    span: StageSpan | None = None
    described: RetrievalDescribed | None = None
    streamed: str | None = None
    access: list[AccessDecision] = field(default_factory=list[AccessDecision])

    @property
    def run_id(self) -> str:
        """The host's id of this run."""
        return self.start.run_id

    @property
    def decides(self) -> bool:
        """Whether its end is that of the response: the root's is, and that of a task that outlives it."""
        response = self.response
        late = response.ended is not None and self.run_id in response.detached
        return self.parent is None or late

    @property
    def parent_id(self) -> str | None:
        """The run right around this one, if it is not the response itself."""
        parent = self.parent
        return None if parent is None or parent.parent is None else parent.run_id

    def enclosing(self, kind: RunKind) -> "OpenRun | None":
        """The nearest run of this kind that this one happens inside of."""
        run = self.parent
        while run is not None and run.kind != kind:
            run = run.parent
        return run

    def nearest_span(self) -> StageSpan | None:
        """Its own span, else that of the nearest enclosing run that has one."""
        return self.span or self.outer_span()

    def outer_span(self) -> StageSpan | None:
        """The span of the nearest enclosing run that has one."""
        run = self.parent
        while run is not None and run.span is None:
            run = run.parent
        return None if run is None else run.span

    @property
    def reference(self) -> SpanReference | None:
        """Which span it has, whoever wrote it."""
        return self.start.span if self.span is None else self.span.reference

    @property
    def reference_by_now(self) -> SpanReference | None:
        """Which span it has, if that is settled: another instrumentation may yet write it."""
        return self.reference if self.span is None or self.span.settled else None

    @property
    def span_id(self) -> str | None:
        """Its span, if that is in the trace of the response; others may begin one for each run."""
        own, root = self.reference, self.response.root.reference
        return own.span_id if own and root and own.trace_id == root.trace_id else None


@dataclass(slots=True, eq=False)
class OpenResponse:
    """What one root run has brought so far."""

    response_id: str
    started: int
    framework: str
    root: OpenRun = field(init=False)
    runs: dict[str, OpenRun] = field(default_factory=dict[str, OpenRun])
    question: str | None = None
    asked_inside: str | None = None
    output: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    service: str | None = None
    status: Status = "ok"
    error: str | None = None
    ended: int | None = None
    retrievals: list[Retrieval] = field(default_factory=list[Retrieval])
    generations: list[Generation] = field(default_factory=list[Generation])
    tool_calls: list[ToolCall] = field(default_factory=list[ToolCall])
    steps: list[Step] = field(default_factory=list[Step])
    reranks: list[Rerank] = field(default_factory=list[Rerank])
    prompted_in: dict[str, StageSpan] = field(default_factory=dict[str, StageSpan])
    """The span that each model call is in."""
    selections: list[Selection] = field(default_factory=list["Selection"])
    begun: int = 0
    being_recorded: int = 0
    open_generations: set[str] = field(default_factory=set[str])
    detached: set[str] = field(default_factory=set[str])
    on_record: set[str] = field(default_factory=set[str])
    chunk_documents: dict[str, str] = field(default_factory=dict[str, str])
    query_hashes: dict[str, str] = field(default_factory=dict[str, str])
    assessments: list[Assessment] = field(default_factory=list[Assessment])
    checks: Checks | None = None
    check: bool | None = None
    derivations: dict[Derivation, None] = field(default_factory=dict[Derivation, None])
    reused: dict[str, None] = field(default_factory=dict[str, None])
    unrecorded: dict[str, Exception] = field(default_factory=dict[str, Exception])
    """What of it could not be put on record, and why."""
    told: dict[str, Chunk] = field(default_factory=dict[str, Chunk])
    """The chunks that the host said it keeps with the messages of a prompt, by id."""

    @property
    def recorded(self) -> int:
        """How many runs are in here that have ended; the response itself is one where it is a run."""
        ended = (self.retrievals, self.generations, self.tool_calls, self.steps)
        return sum(map(len, ended)) + (self.root.kind == "run")

    @property
    def is_an_answer(self) -> bool:
        """Whether anything was retrieved or generated; other runs concern nobody."""
        return bool(self.retrievals or self.generations or self.open_generations or self.reused)

    def retrieved(self) -> frozenset[str]:
        """The ids of the chunks that were retrieved so far."""
        return frozenset(h.chunk.chunk_id for r in self.retrievals for h in r.hits)

    def selected(self, event: ContextSelected) -> None:
        """Note a choice: it says nothing of what is retrieved later."""
        among = self.retrieved() if event.among is None else frozenset(event.among)
        self.selections.append(Selection(event, among))

    def new_sources(self) -> bool:
        """Mark all sources known so far as being on record; False if all of them were already."""
        found = self.retrieved() | self.told.keys()
        if found <= self.on_record:
            return False
        self.on_record |= found
        return True

    def decided_in(self, run: OpenRun, decisions: Iterable[AccessDecision]) -> None:
        """Note what a retriever releases; of all else that those inside of it found, no text is kept."""
        apart = [replace(d, chunks=tuple(map(self._apart, d.chunks))) for d in decisions]
        run.access += apart
        withheld = {(c.document_id, c.chunk_id) for d in apart for c in d.denied}
        released = {(c.document_id, c.chunk_id) for d in apart for c in d.chunks if c.allowed}
        inside = {run.run_id}
        for place, inner in reversed(list(enumerate(self.retrievals))):
            if inner.enclosing_id in inside:
                inside.add(inner.retrieval_id)
                self.retrievals[place] = _released_of(inner, released, withheld)

    def _apart(self, access: ChunkAccess) -> ChunkAccess:
        first = self.chunk_documents.setdefault(access.chunk_id, access.document_id)
        return replace(access, chunk_id=_named_apart(access.document_id, access.chunk_id, first))

    def named_apart(self, chunk: Chunk) -> Chunk:
        """Two documents whose chunks have the same id, as those of two stores may, keep apart."""
        first = self.chunk_documents.setdefault(chunk.chunk_id, chunk.document_id)
        if first == chunk.document_id:
            return chunk
        return replace(chunk, chunk_id=_named_apart(chunk.document_id, chunk.chunk_id, first))

    def asked(self) -> str:
        """The user's question: as told, as its first run was asked, or the first query to a retriever."""
        if self.question is not None:
            return self.question
        if self.asked_inside is not None:
            return self.asked_inside
        return next((r.query or "" for r in self.retrievals if r.enclosing_id is None), "")

    def heard_by_then(self) -> str | None:
        """What the user got of an answer whose stream was broken off.

        What the models had said tells more than what the root knows to have handed on: it counts a
        piece when the next one is asked for.
        """
        said = [
            run.streamed
            for run in list(self.runs.values())
            if run.streamed and not (run.enclosing("retrieval") or run.enclosing("tool"))
        ]
        streamed = clean_text("\n\n".join(said))
        handed_on = self.output or ""
        return (streamed if streamed.startswith(handed_on) else handed_on) or None

    def mark_preparations(self) -> None:
        """Mark the calls that only worded a search: what they said is what was searched for next."""
        self.generations = [
            replace(g, auxiliary=True) if self._worded_a_search(g) else g for g in self.generations
        ]

    def _worded_a_search(self, call: Generation) -> bool:
        said, ended = (call.output or "").strip(), call.ended_at
        if not said or ended is None or said in (self.output or "").split("\n\n"):
            return False
        return any(
            r.started_at >= ended and (r.query or "").strip() == said for r in self.retrievals
        )

    def answered(self) -> str | None:
        """What the user got: the root's output, else the last answer of a model."""
        if self.output is not None:
            return self.output
        outputs = (g.output for g in reversed(self.generations) if not g.auxiliary)
        return next((output for output in outputs if output), None)


def _named_apart(document_id: str, chunk_id: str, first: str) -> str:
    """The id of a chunk whose plain id was first that of a chunk of the document `first`."""
    return chunk_id if first == document_id else canonical_id(f"{document_id}#{chunk_id}")


def _released_of(
    retrieval: Retrieval, released: Collection[_Key], withheld: Collection[_Key]
) -> Retrieval:
    """The retrieval without what was withheld, and without the texts of what nobody decided about."""
    hits: list[Hit] = []
    for hit in retrieval.hits:
        key = (hit.chunk.document_id, hit.chunk.chunk_id)
        if key in released:
            hits.append(hit)
        elif key not in withheld:
            untold = replace(hit.chunk, text=None, content_hash=None, metadata={})
            hits.append(replace(hit, chunk=untold))
    return replace(retrieval, hits=tuple(hits))
