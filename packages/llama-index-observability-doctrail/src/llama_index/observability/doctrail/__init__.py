"""Answer lineage for LlamaIndex: where did that come from?

`LineageRetriever` around a retriever is enough for every query that needs it, `LineageInstrumentor`
for all queries of the process. What is inside `doctrail_core.lineage()` is recorded as one response,
once this package is imported. What checks answers is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from doctrail_core.capture.scope import when_entered, when_looked_for, when_traced_elsewhere
from llama_index.observability.doctrail.handlers import (
    RUNS,
    LineageInstrumentor,
    install_on_demand,
    located,
)
from llama_index.observability.doctrail.prompt_helper import TagAwarePromptHelper
from llama_index.observability.doctrail.query_engine import LineageQueryEngine
from llama_index.observability.doctrail.retriever import LineageRetriever
from llama_index.observability.doctrail.tagging import DocIdTagPostprocessor

if TYPE_CHECKING:
    from llama_index.observability.doctrail.evaluator import GroundingEvaluator
    from llama_index.observability.doctrail.grounding import (
        GroundingPostprocessor,
        UngroundedAnswerError,
    )
    from llama_index.observability.doctrail.judging import llama_index_judge
    from llama_index.observability.doctrail.workflow import (
        AnswerChecked,
        AnswerDrafted,
        GroundingStep,
    )

__all__ = [
    "AnswerChecked",
    "AnswerDrafted",
    "DocIdTagPostprocessor",
    "GroundingEvaluator",
    "GroundingPostprocessor",
    "GroundingStep",
    "LineageInstrumentor",
    "LineageQueryEngine",
    "LineageRetriever",
    "TagAwarePromptHelper",
    "UngroundedAnswerError",
    "llama_index_judge",
]

_HOMES = {
    "AnswerChecked": "workflow",
    "AnswerDrafted": "workflow",
    "GroundingEvaluator": "evaluator",
    "GroundingPostprocessor": "grounding",
    "GroundingStep": "workflow",
    "UngroundedAnswerError": "grounding",
    "llama_index_judge": "judging",
}

when_entered(install_on_demand)
when_looked_for(located)
when_traced_elsewhere(RUNS.written)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
