"""Answer lineage for LangChain: a callback handler, a retriever wrapper, DOC-ID tags.

Importing this package also makes `with doctrail_core.lineage():` see LangChain calls that were given
no callbacks.
"""

from langchain_doctrail.ambient import follow_scopes
from langchain_doctrail.callbacks import LineageCallbackHandler
from langchain_doctrail.retriever import LineageRetriever
from langchain_doctrail.tagging import DOC_ID_PROMPT, format_tagged, tag_documents

__all__ = [
    "DOC_ID_PROMPT",
    "LineageCallbackHandler",
    "LineageRetriever",
    "format_tagged",
    "tag_documents",
]

follow_scopes()
