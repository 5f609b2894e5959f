"""Answer lineage for LlamaIndex: where did that come from?

`LineageRetriever` around a retriever is enough for every query that needs it, `LineageInstrumentor`
for all queries of the process. What is inside `doctrail_core.lineage()` is recorded as one response
as soon as either is in use.
"""

from llama_index.observability.doctrail.handlers import LineageInstrumentor
from llama_index.observability.doctrail.prompt_helper import TagAwarePromptHelper
from llama_index.observability.doctrail.query_engine import LineageQueryEngine
from llama_index.observability.doctrail.retriever import LineageRetriever
from llama_index.observability.doctrail.tagging import DocIdTagPostprocessor

__all__ = [
    "DocIdTagPostprocessor",
    "LineageInstrumentor",
    "LineageQueryEngine",
    "LineageRetriever",
    "TagAwarePromptHelper",
]
