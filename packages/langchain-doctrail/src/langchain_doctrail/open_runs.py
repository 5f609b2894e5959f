"""The open runs of each response: who is told to the recorder, and what was searched by hand.

Of LangChain's runs the recorder hears of the outermost one, of searches, models and tools; every
runnable between them only stands for the nearest of those around it.

Many chains search a vector store in a plain function. Such a step shows by what it hands on: documents
that did not go into it and that nothing in this response had returned before.

There is no lock: every change is one step of a dict or set, so neither the garbage collector, which may
close a stream in the middle of anything, nor a fork finds one held.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from langchain_core.documents import Document

from doctrail_core.text.identity import CHUNK_ID_STAMP
from langchain_doctrail.documents import as_documents, holds_documents
from langchain_doctrail.messages import question_in

__all__ = ["Finding", "OpenRuns"]


@dataclass(frozen=True, slots=True)
class Finding:
    """A step that searched by itself."""

    step: str
    query: str
    documents: Sequence[Document]


@dataclass(slots=True)
class _Response:
    root_id: str
    inputs: object
    run_ids: set[str] = field(default_factory=set[str])
    seen: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class _Run:
    response: _Response
    told_as: str
    name: str
    inputs: object
    searches: bool


class OpenRuns:
    """The open runs of each response and which documents they returned; nothing outlives its root."""

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._delegating: dict[str, str | None] = {}
        self._delegates: dict[str, str] = {}

    @property
    def open_count(self) -> int:
        """How many runs are open; 0 when nothing is running."""
        return len(self._runs) + len(self._delegating) + len(self._delegates)

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

    def told_as(self, run_id: str) -> str | None:
        """The run that the recorder knows in this one's place; None if it is not open."""
        run = self._runs.get(run_id)
        return run.told_as if run else None

    def around(self, parent_id: str | None) -> str | None:
        """The run that the recorder knows around what happens in this one."""
        parent_id = self._delegates.get(parent_id, parent_id) if parent_id else None
        return (self.told_as(parent_id) or parent_id) if parent_id else None

    def step_started(self, run_id: str, parent_id: str | None, name: str, inputs: object) -> bool:
        """A chain or a step of one began; returns whether it is the outermost one."""
        parent = self._runs.get(parent_id) if parent_id else None
        response = parent.response if parent else _Response(run_id, inputs)
        told_as = parent.told_as if parent else run_id
        self._add(run_id, _Run(response, told_as, name, inputs, searches=True))
        return parent is None

    def child_started(self, run_id: str, parent_id: str | None) -> None:
        """A retriever or a tool began; what runs inside it belongs to the same response."""
        if parent_id and (parent := self._runs.get(parent_id)):
            self._add(run_id, _Run(parent.response, run_id, "", None, searches=False))

    def child_ended(self, run_id: str, documents: Sequence[Document] = ()) -> None:
        """A retriever or a tool is over, having returned these."""
        if run := self._runs.pop(run_id, None):
            run.response.run_ids.discard(run_id)
            run.response.seen.update(_names(documents))

    def step_ended(
        self, run_id: str, outputs: object = None, inputs: object = None
    ) -> Finding | None:
        """A chain or a step of one is over; what it found by hand, if it did.

        `inputs` is given where they were not known at the start.
        """
        run = self._runs.pop(run_id, None)
        if run is None:
            return None
        documents = as_documents(outputs)
        response = run.response
        response.run_ids.discard(run_id)
        new = any(response.seen.isdisjoint(_names([document])) for document in documents)
        response.seen.update(_names(documents))
        if response.root_id == run_id:
            self._forget(response)
        if not new or not run.searches or any(map(holds_documents, (inputs, run.inputs))):
            return None
        asked = map(question_in, (inputs, run.inputs, response.inputs))
        return Finding(run.name, next(filter(None, asked), ""), documents)

    def _add(self, run_id: str, run: _Run) -> None:
        self._runs[run_id] = run
        run.response.run_ids.add(run_id)

    def _forget(self, response: _Response) -> None:
        for run_id in list(response.run_ids):
            self._runs.pop(run_id, None)


def _names(documents: Iterable[Document]) -> Iterator[str]:
    """Whatever a document may be recognised by."""
    for document in documents:
        yield document.page_content
        for name in (document.id, document.metadata.get(CHUNK_ID_STAMP)):
            if isinstance(name, str):
                yield name
