"""Answer lineage for LangChain: a callback handler, a retriever wrapper, DOC-ID tags.

Importing this package also makes `with doctrail_core.lineage():` see LangChain calls that were given
no callbacks.
"""

from typing import TYPE_CHECKING

from langchain_doctrail.ambient import follow_scopes
from langchain_doctrail.callbacks import LineageCallbackHandler
from langchain_doctrail.retriever import LineageRetriever
from langchain_doctrail.tagging import format_tagged, tag_documents

if TYPE_CHECKING:
    from langchain_doctrail.document_prompt import DOC_ID_PROMPT

__all__ = [
    "DOC_ID_PROMPT",
    "LineageCallbackHandler",
    "LineageRetriever",
    "format_tagged",
    "tag_documents",
]

follow_scopes()


def __getattr__(name: str) -> object:
    if name != "DOC_ID_PROMPT":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from langchain_doctrail.document_prompt import DOC_ID_PROMPT

    return DOC_ID_PROMPT
