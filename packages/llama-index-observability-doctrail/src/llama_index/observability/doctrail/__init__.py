"""Answer lineage for LlamaIndex: where did that come from?

`LineageRetriever` around a retriever is enough for every query that needs it, `LineageInstrumentor`
for all queries of the process. What is inside `doctrail_core.lineage()` is recorded as one response,
once this package is imported.
"""

from doctrail_core.capture.scope import when_entered
from llama_index.observability.doctrail.handlers import LineageInstrumentor, install_on_demand
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

when_entered(install_on_demand)
