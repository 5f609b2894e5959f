"""The wrapped retriever is asked: as the very run that asks it, so that one search is one run to everybody.

Tracers other than ours would show a run of its own as a second search. A retriever that has a way of its own
to be invoked, as an ensemble does, is invoked in that way; the lineage handlers are told that it is the same
search.
"""

from inspect import getattr_static
from typing import Any

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
)
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig

from langchain_doctrail.callbacks import LineageCallbackHandler

__all__ = ["Run", "aask", "ask", "listening_to"]

Run = CallbackManagerForRetrieverRun | AsyncCallbackManagerForRetrieverRun


def listening_to(run: Run) -> list[LineageCallbackHandler]:
    """The lineage handlers of a run."""
    return [handler for handler in run.handlers if isinstance(handler, LineageCallbackHandler)]


def ask(
    retriever: BaseRetriever,
    query: str,
    run: CallbackManagerForRetrieverRun,
    arguments: dict[str, Any],
) -> list[Document]:
    """What the retriever finds, as part of this run."""
    if _is_plain(retriever, "invoke"):
        own: Any = retriever
        return own._get_relevant_documents(query, **_taken(own, run, arguments))  # noqa: SLF001  # what `invoke` does
    return retriever.invoke(query, _delegated(run), **arguments)


async def aask(
    retriever: BaseRetriever,
    query: str,
    run: AsyncCallbackManagerForRetrieverRun,
    arguments: dict[str, Any],
) -> list[Document]:
    """The same without blocking the event loop."""
    if _is_plain(retriever, "ainvoke"):
        own: Any = retriever
        return await own._aget_relevant_documents(query, **_taken(own, run, arguments))  # noqa: SLF001  # likewise
    return await retriever.ainvoke(query, _delegated(run), **arguments)


def _is_plain(retriever: BaseRetriever, method: str) -> bool:
    return getattr_static(type(retriever), method) is vars(BaseRetriever)[method]


def _taken(retriever: Any, run: Run, arguments: dict[str, Any]) -> dict[str, Any]:
    """What the retriever takes of the arguments; those of old take nothing, not even the run."""
    taken = arguments if retriever._expects_other_args else {}  # noqa: SLF001  # LangChain's own account
    return {**taken, "run_manager": run} if retriever._new_arg_supported else taken  # noqa: SLF001  # likewise


def _delegated(run: Run) -> RunnableConfig:
    """The configuration of the inner retriever's run, which is to be the same search on record."""
    for handler in listening_to(run):
        handler.delegates(run.run_id)
    return RunnableConfig(callbacks=run.get_child())
