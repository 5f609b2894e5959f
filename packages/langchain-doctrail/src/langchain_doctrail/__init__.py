"""Answer lineage for LangChain: a callback handler, a retriever wrapper, DOC-ID tags, grounding checks.

Importing this package also makes `with doctrail_core.lineage():` see LangChain calls that were given
no callbacks.
"""

from typing import TYPE_CHECKING

from langchain_doctrail.ambient import follow_scopes
from langchain_doctrail.callbacks import LineageCallbackHandler
from langchain_doctrail.neighbours import follow_neighbours
from langchain_doctrail.retriever import LineageRetriever
from langchain_doctrail.tagging import format_tagged, tag_documents

if TYPE_CHECKING:
    from langchain_doctrail.document_prompt import DOC_ID_PROMPT
    from langchain_doctrail.grounding import UngroundedAnswerError, check_grounding
    from langchain_doctrail.judging import langchain_judge

__all__ = [
    "DOC_ID_PROMPT",
    "LineageCallbackHandler",
    "LineageRetriever",
    "UngroundedAnswerError",
    "check_grounding",
    "format_tagged",
    "langchain_judge",
    "tag_documents",
]

follow_scopes()
follow_neighbours()

_HOMES = {
    "DOC_ID_PROMPT": "document_prompt",
    "UngroundedAnswerError": "grounding",
    "check_grounding": "grounding",
    "langchain_judge": "judging",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
