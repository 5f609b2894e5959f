"""The DOC-ID tag as a document prompt, for chains that format documents one by one.

A module of its own because prompts are the part of LangChain that takes longest to import.
"""

from typing import Any

from langchain_core.prompts import StringPromptTemplate
from typing_extensions import override

from doctrail_core.text.identity import CHUNK_ID_STAMP
from langchain_doctrail.tagging import block

__all__ = ["DOC_ID_PROMPT"]


class _DocIdPrompt(StringPromptTemplate):
    """Formats one document of a `LineageRetriever` as a DOC-ID block, whatever metadata it has."""

    @property
    @override
    def _prompt_type(self) -> str:
        return "doc-id"

    @override
    def format(self, **kwargs: Any) -> str:
        return block(kwargs["page_content"], kwargs[CHUNK_ID_STAMP])


DOC_ID_PROMPT = _DocIdPrompt(input_variables=["page_content", CHUNK_ID_STAMP])
"""The `document_prompt` of `create_stuff_documents_chain`, for documents of a `LineageRetriever`.

Put `tag_documents` behind any other retriever instead.
"""
