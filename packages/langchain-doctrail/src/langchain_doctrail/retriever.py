"""A retriever that tells what callbacks do not: scores and their kind, k, filters, search type, store.

Invariants: one call is one search; the inner retriever's documents come back in its order, as copies
that bear their chunk's id; a store's own objects are never touched. Where there are gates, a document
comes back only if all of them admit it, whatever else goes wrong.
"""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from langchain_core.runnables import Runnable
from langchain_core.vectorstores import VectorStore
from typing_extensions import override

from doctrail_core.capture.events import AccessDecided, RetrievedChunk
from langchain_doctrail.asking import Run, aask, ask, listening_to
from langchain_doctrail.callbacks import RETRIEVAL_EVENT, who_asks
from langchain_doctrail.compression import WatchedCompression
from langchain_doctrail.documents import retrieved, stamp_of, stamped
from langchain_doctrail.origins import traced
from langchain_doctrail.replaying import Asked
from langchain_doctrail.search import Found, VectorSearch, description

if TYPE_CHECKING:
    from doctrail_core.access.gate import GivenPrincipal, Labels, Told
    from doctrail_core.model import AccessPolicy

__all__ = ["LineageRetriever"]


class LineageRetriever(BaseRetriever):
    """Any retriever, with its lineage told in full. Make one with `LineageRetriever.wrap`."""

    inner: BaseRetriever
    """The retriever that searches."""

    gates: tuple[Any, ...] = ()
    """What every document has to pass, in this order; `Gate`s, which are loaded where there are any."""

    @classmethod
    def wrap(
        cls,
        retriever: BaseRetriever,
        *,
        access: "AccessPolicy | None" = None,
        principal: "GivenPrincipal" = None,
        labels: "Labels | None" = None,
    ) -> "LineageRetriever":
        """Wrap a retriever; use the result in its place.

        Args:
            retriever: The retriever. Steps after it, such as a compressor, are to be put around the result:
                they then see only what was released.
            access: Decides which documents go on; `doctrail_core.access` has some. Of a retriever that has one
                already, both must agree.
            principal: For whom, or what is called at each search to say it; default as `acting_for` says, or
                the lineage scope, or `user_id` in the metadata of the request.
            labels: Where a document's metadata says how it is classified; default `label` and `label_version`.

        Raises:
            TypeError: It is not a retriever; the message says what to pass.
        """
        if not isinstance(retriever, BaseRetriever):  # type: ignore[reportUnnecessaryIsInstance]  # users pass anything
            raise TypeError(_what_to_pass(retriever))
        wrapped = retriever if isinstance(retriever, cls) else cls._around(retriever)
        if access is None:
            return wrapped
        from doctrail_core.access.gate import Gate, Labels

        point = type(wrapped.inner).__name__
        gate = Gate(access, point, principal, labels or Labels())
        return wrapped.model_copy(update={"gates": (*wrapped.gates, gate)})

    @classmethod
    def _around(cls, retriever: BaseRetriever) -> "LineageRetriever":
        return cls(
            inner=retriever,
            name=retriever.get_name(),
            tags=retriever.tags,
            metadata=retriever.metadata,
        )

    @override
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        asked = Asked.of(self.inner, kwargs)
        search = asked.search
        watched = None if search else _watched(asked.inner, run_manager)
        with _interrupts_told(run_manager):
            with _inside(run_manager):
                if search is None:
                    inner = watched.retriever if watched else asked.inner
                    found = Found.unscored(ask(inner, query, run_manager, asked.called_with))
                else:
                    found = search.run(query)
            found = _traced(asked.kept(found), search, run_manager)
            for gate in self.gates:
                passing = gate.admits(*_shown(found, run_manager), user_id=_user(run_manager))
                found = found.only(passing)
        return self._told(found, search or watched, asked.arguments, run_manager)

    @override
    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        asked = Asked.of(self.inner, kwargs)
        search = asked.search
        watched = None if search else _watched(asked.inner, run_manager)
        with _interrupts_told(run_manager):
            with _inside(run_manager):
                if search is None:
                    inner = watched.retriever if watched else asked.inner
                    documents = await aask(inner, query, run_manager, asked.called_with)
                    found = Found.unscored(documents)
                else:
                    found = await search.arun(query)
            found = _traced(asked.kept(found), search, run_manager)
            for gate in self.gates:
                passing = await gate.aadmits(
                    *_shown(found, run_manager), user_id=_user(run_manager)
                )
                found = found.only(passing)
        return self._told(found, search or watched, asked.arguments, run_manager)

    @override
    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        return self.inner._get_ls_params(**kwargs)  # noqa: SLF001  # tracers are to see the inner one

    def _told(
        self,
        found: Found,
        how: VectorSearch | WatchedCompression | None,
        arguments: dict[str, Any],
        run: Run,
    ) -> list[Document]:
        """Stamp what was found and describe the search to the lineage handlers of this run.

        Other handlers are not told: they may show filters and scores to whoever follows their events.
        """
        listening = listening_to(run)
        search = how if isinstance(how, VectorSearch) else None
        if isinstance(how, WatchedCompression):
            _tell_steps(how, run)
        try:
            documents = _stamped(found, keep=search is None)
            if listening:
                told = description(self.inner, search, arguments) | _scores(documents, found)
                for handler in listening:
                    handler.on_custom_event(RETRIEVAL_EVENT, told, run_id=run.run_id)
            return documents
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            for handler in listening:
                handler.swallow("retriever", error)
            return [document for document, _ in found.hits]


def _found_inside(run: Run) -> Sequence[Document]:
    listening = listening_to(run)
    return listening[0].found_inside(run.run_id) if listening else ()


def _traced(found: Found, search: VectorSearch | None, run: Run) -> Found:
    """What was found, each document named after the one that it was cut from, where it has no name."""
    if search is not None:
        return found
    try:
        if not (inner := _found_inside(run)):
            return found
        return replace(found, hits=[(traced(d, inner), score) for d, score in found.hits])
    except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
        for handler in listening_to(run):
            handler.swallow("retriever", error)
        return found


def _user(run: Run) -> str | None:
    """Who asked, as the request says it."""
    return who_asks(run.metadata)["user_id"]


def _shown(found: Found, run: Run) -> tuple[Sequence[RetrievedChunk], str, "Told"]:
    """What a gate is to be told of a search: what it found, which one it is, and where decisions go."""

    def told(decided: AccessDecided) -> None:
        listening = listening_to(run)
        try:
            for lineage in {id(h.lineage): h.lineage for h in listening}.values():
                lineage.record(decided)
        except Exception as error:  # noqa: BLE001  # what is not on record is decided all the same
            for handler in listening:
                handler.swallow("access", error)

    return [retrieved(document) for document, _ in found.hits], str(run.run_id), told


@contextmanager
def _interrupts_told(run: Run) -> Generator[None]:
    """LangChain reports exceptions only, so that a cancelled search would seem to run forever."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        for handler in listening_to(run):
            handler.on_retriever_error(error, run_id=run.run_id)
        raise


def _inside(run: Run) -> AbstractContextManager[None]:
    """Spans that clients of databases and models open in here are children of the search's."""
    listening = listening_to(run)
    return listening[0].within(run.run_id) if listening else nullcontext()


def _watched(retriever: BaseRetriever, run: Run) -> WatchedCompression | None:
    """The steps of its compression, if it has any and somebody is to be told of them."""
    listening = listening_to(run)
    try:
        return WatchedCompression.of(retriever, listening[0].lineage.now) if listening else None
    except Exception as error:  # noqa: BLE001  # it can be searched all the same
        for handler in listening:
            handler.swallow("compression", error)
        return None


def _tell_steps(compression: WatchedCompression, run: Run) -> None:
    """Tell what went through the steps of a compression."""
    listening = listening_to(run)
    try:
        for passage in compression.passages(_found_inside(run)):
            for handler in listening:
                handler.passed(run.run_id, passage)
    except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
        for handler in listening:
            handler.swallow("compression", error)


def _stamped(found: Found, *, keep: bool) -> list[Document]:
    """Copies that bear their chunk's id; `keep` the stamps of retrievers further in, with their scores."""
    return [
        document if keep and stamp_of(document) else stamped(document, score, found.score_kind)
        for document, score in found.hits
    ]


def _scores(documents: list[Document], found: Found) -> dict[str, Any]:
    scores: dict[str, float | None] = {}
    for document, (_, score) in zip(documents, found.hits, strict=True):
        if (stamp := stamp_of(document)) is not None and score is not None:
            scores.setdefault(
                str(stamp), score
            )  # of a chunk returned twice, the better rank counts
    return {"scores": scores, "score_kind": found.score_kind}


def _what_to_pass(given: object) -> str:
    named = "the class itself" if isinstance(given, type) else f"a {type(given).__name__}"
    refusal = f"LineageRetriever.wrap takes a retriever, not {named}"
    if isinstance(given, VectorStore):
        return f"{refusal}: pass its .as_retriever()"
    if isinstance(given, Runnable):
        return f"{refusal}: wrap the retriever first, then configure or compose the result"
    return f"{refusal}: pass a langchain_core BaseRetriever, such as vectorstore.as_retriever()"
