"""A retriever that tells what callbacks do not: scores and their kind, k, filters, search type, store.

Invariants: one call is one search; the inner retriever's documents come back in its order, as copies
that bear their chunk's id; a store's own objects are never touched.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever, LangSmithRetrieverParams
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.vectorstores import VectorStore
from typing_extensions import override

from langchain_doctrail.callbacks import RETRIEVAL_EVENT, LineageCallbackHandler
from langchain_doctrail.choices import WatchedCompression
from langchain_doctrail.documents import stamp_of, stamped
from langchain_doctrail.origins import traced
from langchain_doctrail.replaying import Asked
from langchain_doctrail.search import Found, VectorSearch, description

__all__ = ["LineageRetriever"]

_Run = CallbackManagerForRetrieverRun | AsyncCallbackManagerForRetrieverRun


class LineageRetriever(BaseRetriever):
    """Any retriever, with its lineage told in full. Make one with `LineageRetriever.wrap`."""

    inner: BaseRetriever
    """The retriever that searches."""

    @classmethod
    def wrap(cls, retriever: BaseRetriever) -> "LineageRetriever":
        """Wrap a retriever; use the result in its place.

        Raises:
            TypeError: It is not a retriever; the message says what to pass.
        """
        if isinstance(retriever, cls):
            return retriever
        if not isinstance(retriever, BaseRetriever):  # type: ignore[reportUnnecessaryIsInstance]  # users pass anything
            raise TypeError(_what_to_pass(retriever))
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
            if search is None:
                inner, config = (
                    watched.retriever if watched else asked.inner,
                    _delegated(run_manager),
                )
                found = Found.unscored(inner.invoke(query, config, **asked.called_with))
            else:
                found = search.run(query)
        return self._told(asked.kept(found), search or watched, asked.arguments, run_manager)

    @override
    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        asked = Asked.of(self.inner, kwargs)
        search = asked.search
        watched = None if search else _watched(asked.inner, run_manager)
        with _interrupts_told(run_manager):
            if search is None:
                inner, config = (
                    watched.retriever if watched else asked.inner,
                    _delegated(run_manager),
                )
                found = Found.unscored(await inner.ainvoke(query, config, **asked.called_with))
            else:
                found = await search.arun(query)
        return self._told(asked.kept(found), search or watched, asked.arguments, run_manager)

    @override
    def _get_ls_params(self, **kwargs: Any) -> LangSmithRetrieverParams:
        return self.inner._get_ls_params(**kwargs)  # noqa: SLF001  # tracers are to see the inner one

    def _told(
        self,
        found: Found,
        how: VectorSearch | WatchedCompression | None,
        arguments: dict[str, Any],
        run: _Run,
    ) -> list[Document]:
        """Stamp what was found and describe the search to the lineage handlers of this run.

        Other handlers are not told: they may show filters and scores to whoever follows their events.
        """
        listening = _lineage_handlers(run)
        search = how if isinstance(how, VectorSearch) else None
        try:
            inner = listening[0].found_inside(run.run_id) if listening and not search else ()
            if inner:
                found = Found([(traced(d, inner), score) for d, score in found.hits])
            documents = _stamped(found, keep=search is None)
            if isinstance(how, WatchedCompression):
                for by, choice in how.choices(inner, documents):
                    for handler in listening:
                        handler.chosen(run.run_id, by, choice)
            if listening:
                told = description(self.inner, search, arguments) | _scores(documents, found)
                for handler in listening:
                    handler.on_custom_event(RETRIEVAL_EVENT, told, run_id=run.run_id)
            return documents
        except Exception as error:  # noqa: BLE001  # lineage never breaks the user's chain
            for handler in listening:
                handler.swallow("retriever", error)
            return [document for document, _ in found.hits]


def _lineage_handlers(run: _Run) -> list[LineageCallbackHandler]:
    return [handler for handler in run.handlers if isinstance(handler, LineageCallbackHandler)]


@contextmanager
def _interrupts_told(run: _Run) -> Generator[None]:
    """LangChain reports exceptions only, so that a cancelled search would seem to run forever."""
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        for handler in _lineage_handlers(run):
            handler.on_retriever_error(error, run_id=run.run_id)
        raise


def _watched(retriever: BaseRetriever, run: _Run) -> WatchedCompression | None:
    """The steps of its compression, if it has any and somebody is to be told of them."""
    listening = _lineage_handlers(run)
    try:
        return WatchedCompression.of(retriever) if listening else None
    except Exception as error:  # noqa: BLE001  # it can be searched all the same
        for handler in listening:
            handler.swallow("compression", error)
        return None


def _delegated(run: _Run) -> RunnableConfig:
    """The configuration of the inner retriever's run, which is to be the same search on record."""
    for handler in _lineage_handlers(run):
        handler.delegates(run.run_id)
    return RunnableConfig(callbacks=run.get_child())


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
