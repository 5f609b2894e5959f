"""The open runs of each response: who is told to the recorder, what was searched by hand, what was said.

Of LangChain's runs the recorder hears of the outermost one, of searches, models and tools; every
runnable between them only stands for the nearest of those around it.

Many chains search a vector store in a plain function. Such a step shows by what it hands on: documents
that did not go into it and that nothing in this response had returned before.

There is no lock: every change is one step of a dict or set, so neither the garbage collector, which may
close a stream in the middle of anything, nor a fork finds one held.
"""

import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from langchain_core.documents import Document

from doctrail_core.text.identity import CHUNK_ID_STAMP
from langchain_doctrail.artifacts import documents_in, stem_from
from langchain_doctrail.calls import Calls, OpenCalls
from langchain_doctrail.documents import as_documents, holds_documents
from langchain_doctrail.fields import fields
from langchain_doctrail.graphs import WRAPPERS, Place, asked_of, name_of_its_own
from langchain_doctrail.messages import question_in
from langchain_doctrail.origins import Search
from langchain_doctrail.untold import InnerStep, UntoldSteps

__all__ = ["Finding", "OpenResponse", "OpenRun", "OpenRuns"]

_CONSTRUCTOR = "query_constructor"
"""What `SelfQueryRetriever` binds its chain to. Bound chains take the context's parent before the one that
they are given, so LangChain tells of it beside its retriever."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A step that searched by itself."""

    step: str
    query: str
    documents: Sequence[Document]


@dataclass(slots=True)
class OpenResponse:
    """What is known of a response so far."""

    root_id: str
    inputs: object
    run_ids: set[str] = field(default_factory=set[str])
    seen: set[str] = field(default_factory=set[str])
    tool_calls: set[str] = field(default_factory=set[str])
    found_by: dict[str, list[Document]] = field(default_factory=dict[str, list[Document]])
    handed_in: list[Document] = field(default_factory=list[Document])
    waits: bool = False
    within: str | None = None
    calls: Calls = field(default_factory=Calls)
    round: object = None
    rounds: list[int] = field(default_factory=list[int])

    @property
    def response_id(self) -> str:
        """Its id: that of the outermost run, or of the scope that it is within."""
        return self.within or self.root_id

    def enter_round(self, number: object) -> None:
        """A node of the outermost graph began, in this of the graph's rounds."""
        if number != self.round:
            self.round = number
            self.rounds.append(len(self.calls.said))


@dataclass(slots=True)
class OpenRun:
    """A run, and the one that the recorder knows in its place."""

    response: OpenResponse
    told_as: str
    name: str
    inputs: object
    searches: bool
    place: Place | None = None
    outer: "OpenRun | None" = None
    is_node: bool = False
    is_outermost_node: bool = False
    is_graph: bool = False
    agent: str | None = None
    """The agent that it is part of."""
    tool_call_id: str | None = None
    search: Search | None = None
    called: list[str] = field(default_factory=list[str])
    """The models' calls that began in here, however deep."""

    @property
    def begins_agent(self) -> bool:
        """Whether it is an agent as a whole, and not only a part of the one around it."""
        return self.agent is not None and (self.outer is None or self.outer.agent != self.agent)

    def said(self) -> Iterator[Sequence[str]]:
        """What models said, as answers would be given side by side, the latest first.

        A graph's state keeps what led to the answer, too: that was said in earlier rounds.
        """
        said = self.response.calls.said
        if not self.is_graph:
            yield said
        elif self.place is None:
            for first in reversed(self.response.rounds):
                yield said[first:]
                said = said[:first]
        else:
            yield from ([text] for text in reversed(said))


class OpenRuns:
    """The open runs of each response and which documents they returned; nothing outlives its root."""

    def __init__(self) -> None:
        self._runs: dict[str, OpenRun] = {}
        self._delegating: dict[str, str | None] = {}
        self._delegates: dict[str, str] = {}
        self.untold = UntoldSteps()
        self.calls = OpenCalls()
        self._watched: dict[str, weakref.ref[UUID]] = {}

    @property
    def open_count(self) -> int:
        """How many runs are open; 0 when nothing is running."""
        waiting = (
            self._runs,
            self.untold,
            self._delegating,
            self._delegates,
            self.calls,
            self._watched,
        )
        return sum(map(len, waiting))

    def watch(self, run_id: UUID, lost: Callable[[str], None]) -> None:
        """Have `lost` called if LangChain lets go of an outermost run without telling of its end.

        It holds the run's id for as long as it may still tell something of it. Models, retrievers and
        tools that are cancelled tell nothing.
        """
        if not isinstance(run_id, UUID):  # type: ignore[reportUnnecessaryIsInstance]  # users choose texts
            return
        run = str(run_id)

        def forgotten(_: object) -> None:
            if self._watched.pop(run, None):
                self.calls.ended(UUID(run))
                self.step_ended(run)
                lost(run)

        self._watched[run] = weakref.ref(run_id, forgotten)

    def is_open(self, run_id: str) -> bool:
        """Whether this is a run that others may be part of."""
        return run_id in self._runs

    def delegating(self, run_id: str) -> None:
        """A wrapped retriever hands its search on: the next run inside it is the same search."""
        self._delegating[run_id] = None

    def is_delegate(self, run_id: str, parent_id: str | None) -> bool:
        """Whether this retriever's run is the one that its parent's search was handed on to."""
        if parent_id is None or self._delegating.get(parent_id, "") is not None:
            return False
        self._delegating[parent_id] = run_id
        self._delegates[run_id] = parent_id
        return True

    def delegate_ended(self, run_id: str) -> bool:
        """Whether a run that is over was such a one; what it found, its parent's run tells."""
        if left := self._delegating.pop(run_id, None):
            self._delegates.pop(left, None)  # one that was cancelled never says that it is over
        return self._delegates.pop(run_id, None) is not None

    def standing_for(self, run_id: str) -> str:
        """The run that is known in this one's place: that whose search it was handed, or itself."""
        return self._delegates.get(run_id, run_id)

    def get(self, run_id: str) -> OpenRun | None:
        """What is known of this run, while it is open."""
        return self._runs.get(run_id)

    def around(self, parent_id: str | None) -> str | None:
        """The run that the recorder knows around what happens in this one."""
        run = self._runs.get(parent_id) if parent_id else None
        return run.told_as if run else parent_id

    def call_started(self, run_id: UUID, parent_id: str | None) -> None:
        """A model was called."""
        run = self._runs.get(parent_id) if parent_id else None
        self.calls.started(run_id, run.response.calls if run else Calls())
        while run:
            run.called.append(str(run_id))
            run = run.outer

    def call_ended(self, run_id: UUID, said: str | None = None) -> str:
        """A model's call is over, having said this; returns what its stream had brought."""
        self._watched.pop(str(run_id), None)
        return self.calls.ended(run_id, said)

    def broken_off(self, run_id: str) -> dict[str, str]:
        """What the models that are still open inside this outermost run had said, by their runs."""
        run = self._runs.get(run_id)
        is_root = run is not None and run.response.root_id == run_id
        return run.response.calls.left_open() if run and is_root else {}

    def step_started(
        self,
        run_id: str,
        parent_id: str | None,
        name: str,
        inputs: object,
        place: Place | None = None,
        agent: str | None = None,
    ) -> OpenResponse | None:
        """A chain or a step of one began; returns the new response if it is the outermost one."""
        parent = self._runs.get(parent_id) if parent_id else None
        if parent_id is None or parent is None:
            response = OpenResponse(run_id, inputs)
            _hand_in(response, inputs)
            run = OpenRun(response, run_id, name, inputs, searches=True, place=place)
            run.agent = agent
            self._add(run_id, run)
            return response
        if name == _CONSTRUCTOR:
            parent = self._constructing(parent_id, parent, inputs)
        run = OpenRun(parent.response, parent.told_as, name, inputs, True, place, parent)  # noqa: FBT003  # keywords cost
        run.search, run.tool_call_id = parent.search, parent.tool_call_id
        run.agent = agent
        if place is not None and place.is_apart_from(parent.place):
            self._enter(run_id, run, parent_id, parent)
        self._add(run_id, run)
        return None

    def _enter(self, node_id: str, node: OpenRun, graph_id: str, graph: OpenRun) -> None:
        """A node of a graph began, and so it shows that the run around it is a graph."""
        around = self._runs.get(graph.told_as)
        if graph.told_as != graph_id and around and _is_apart(graph, around):
            self.untold.add(_step(graph_id, graph))
            graph.told_as = graph_id
        elif graph.begins_agent:
            self.untold.is_agent(graph.told_as)
        node.is_node = graph.is_graph = True
        node.is_outermost_node = graph.place is None
        node.told_as = graph.told_as
        if node.is_outermost_node and node.place:
            node.response.enter_round(node.place.round)
        if node.name not in WRAPPERS:
            self.untold.add(_step(node_id, node))
            node.told_as = node_id

    def tool_started(
        self, run_id: str, parent_id: str | None, name: str, inputs: object, call_id: str | None
    ) -> None:
        """A tool began, to answer a model's call; what runs inside it belongs to the same response."""
        if parent_id and (parent := self._runs.get(parent_id)):
            run = OpenRun(parent.response, run_id, name, inputs, searches=False, outer=parent)
            run.tool_call_id, run.agent = call_id, parent.agent
            if call_id:
                run.response.tool_calls.add(call_id)
            self._add(run_id, run)

    def _constructing(self, parent_id: str, parent: OpenRun, inputs: object) -> OpenRun:
        """The retriever inside of this run whose query is constructed, else this run."""
        asked = question_in(inputs)
        begun_last_first = reversed(list(self._runs.items()))
        searches = (
            run
            for run_id, run in begun_last_first
            if run.search and run.search.run_id == run_id and run.response is parent.response
            if run.search.around == parent_id and question_in(run.search.query) == asked
        )
        return next(searches, parent)

    def search_started(self, run_id: str, parent_id: str | None, query: str) -> None:
        """A retriever was asked; others inside of it may be what it builds on."""
        parent = self._runs.get(parent_id) if parent_id else None
        response = parent.response if parent else OpenResponse(run_id, None)
        run = OpenRun(response, run_id, "", None, searches=False, outer=parent)
        outer = parent.search if parent else None
        run.search = Search(outer, run_id, outer.around if outer else parent_id, query)
        if parent:
            run.tool_call_id, run.agent = parent.tool_call_id, parent.agent
        self._add(run_id, run)

    def found_inside(self, run_id: str) -> Sequence[Document]:
        """What the retrievers right inside of this one found."""
        run = self._runs.get(run_id)
        return run.search.inner if run and run.search else ()

    def search_ended(self, run_id: str, documents: Sequence[Document] = ()) -> None:
        """A retriever is over, having returned these."""
        run = self._runs.get(run_id)
        if run and run.search and run.search.outer:
            run.search.outer.inner.extend(documents)
        self.child_ended(run_id, documents)

    def tool_calls_in(self, run_id: str | None) -> Collection[str]:
        """The calls that tools answered so far in the response that this run belongs to."""
        run = self._runs.get(run_id) if run_id else None
        return run.response.tool_calls if run else ()

    def finding(self, run_id: str, documents: Sequence[Document]) -> Finding | None:
        """What this tool found by hand: documents that nothing in the response had returned before."""
        run = self._runs.get(run_id)
        if run is None or all(not run.response.seen.isdisjoint(_names([d])) for d in documents):
            return None
        return Finding(run.name, question_in(run.inputs) or "", documents)

    def handed_in(self, run_id: str | None) -> list[Document]:
        """The documents that a response was called with, once: nothing in it searched for them."""
        run = self._runs.get(run_id) if run_id else None
        if run is None or not run.response.handed_in:
            return []
        documents, run.response.handed_in = run.response.handed_in, []
        return documents

    def waits(self, run_id: str) -> None:
        """A step ended for the time being: its graph waits for a human, and so does one around that."""
        run = self._runs.get(run_id)
        if run and run.is_outermost_node:
            run.response.waits = True

    def child_ended(self, run_id: str, documents: Sequence[Document] = ()) -> None:
        """A tool is over, having returned these."""
        self._watched.pop(run_id, None)
        if run := self._runs.pop(run_id, None):
            run.response.run_ids.discard(run_id)
            run.response.seen.update(_names(documents))
            if run.tool_call_id and documents:
                run.response.found_by.setdefault(run.tool_call_id, []).extend(documents)
            if run.response.root_id == run_id:
                self._forget(run.response)

    def step_ended(
        self, run_id: str, outputs: object = None, inputs: object = None
    ) -> Finding | None:
        """A chain or a step of one is over; what it found by hand, if it did.

        `inputs` is given where they were not known at the start.
        """
        self._watched.pop(run_id, None)
        run = self._runs.pop(run_id, None)
        if run is None:
            return None
        documents = _found_by(run, outputs) if run.is_node else as_documents(outputs)
        response = run.response
        response.run_ids.discard(run_id)
        if _told_late(run.inputs):
            _hand_in(response, inputs)
        new = any(response.seen.isdisjoint(_names([document])) for document in documents)
        response.seen.update(_names(documents))
        if response.root_id == run_id:
            self._forget(response)
        if not new or not run.searches:
            return None
        if not run.is_node and any(map(holds_documents, (inputs, run.inputs))):
            return None
        asked = map(asked_of if run.is_node else question_in, (inputs, run.inputs, response.inputs))
        return Finding(run.name, next(filter(None, asked), ""), documents)

    def _add(self, run_id: str, run: OpenRun) -> None:
        self._runs[run_id] = run
        run.response.run_ids.add(run_id)

    def _forget(self, response: OpenResponse) -> None:
        for run_id in list(response.run_ids):
            self._runs.pop(run_id, None)
            self.untold.discard(run_id)
        self.calls.forget(response.calls)


def _hand_in(response: OpenResponse, inputs: object) -> None:
    documents = [d for d in documents_in(inputs) if response.seen.isdisjoint(_names([d]))]
    response.handed_in += documents
    response.seen.update(_names(documents))


def _told_late(inputs: object) -> bool:
    """Whether LangChain had not seen a stream's input when it told of its beginning."""
    known = fields(inputs)
    return len(known) == 1 and isinstance(known.get("input"), str) and not known["input"]


def _step(run_id: str, run: OpenRun) -> InnerStep:
    since = run.place.since if run.place else None
    return InnerStep(run_id, run.told_as, run.name, run.inputs, since, run.begins_agent)


def _found_by(node: OpenRun, outputs: object) -> list[Document]:
    """What a node returns and was not made of what it got: its state keeps earlier documents."""
    given = documents_in(node.inputs)
    return [found for found in documents_in(outputs) if not stem_from(given, found)]


def _is_apart(graph: OpenRun, around: OpenRun) -> bool:
    """Whether a graph is more than the node that it is, going by its name."""
    return not around.is_node or name_of_its_own(graph.name, around.name)


def _names(documents: Iterable[Document]) -> Iterator[str]:
    """Whatever a document may be recognised by."""
    for document in documents:
        yield document.page_content
        for name in (document.id, document.metadata.get(CHUNK_ID_STAMP)):
            if isinstance(name, str):
                yield name
