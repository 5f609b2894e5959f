"""Every attribute name that we write, and nothing else.

OpenInference names come from `openinference-semantic-conventions`; those that its oldest supported version
lacks are written out. So are the GenAI names, because no published package carries them since they left the
general conventions (v1.42.0). Our own `doctrail.*` names exist only for what neither convention has.
"""

from functools import cache
from typing import Final

from openinference.semconv.trace import (
    DocumentAttributes,
    MessageAttributes,
    OpenInferenceMimeTypeValues,
    OpenInferenceSpanKindValues,
    RerankerAttributes,
    SpanAttributes,
    ToolCallAttributes,
)

OPENINFERENCE_VERSION: Final = "0.1.42"
"""The version of `openinference-semantic-conventions` whose names these are."""

GENAI_VERSION: Final = "1.42.0"
"""The version of OpenTelemetry's GenAI conventions whose names these are; all of them are in development."""

# OpenInference
SPAN_KIND = SpanAttributes.OPENINFERENCE_SPAN_KIND
CHAIN = OpenInferenceSpanKindValues.CHAIN.value
RETRIEVER = OpenInferenceSpanKindValues.RETRIEVER.value
LLM = OpenInferenceSpanKindValues.LLM.value
TOOL = OpenInferenceSpanKindValues.TOOL.value
AGENT = OpenInferenceSpanKindValues.AGENT.value
RERANKER = OpenInferenceSpanKindValues.RERANKER.value
EVALUATOR = OpenInferenceSpanKindValues.EVALUATOR.value
INPUT_VALUE = SpanAttributes.INPUT_VALUE
OUTPUT_VALUE = SpanAttributes.OUTPUT_VALUE
INPUT_MIME_TYPE = SpanAttributes.INPUT_MIME_TYPE
OUTPUT_MIME_TYPE = SpanAttributes.OUTPUT_MIME_TYPE
TEXT = OpenInferenceMimeTypeValues.TEXT.value
JSON = OpenInferenceMimeTypeValues.JSON.value
METADATA = SpanAttributes.METADATA
TAGS = SpanAttributes.TAG_TAGS
PROMPT_TEMPLATE_VERSION = SpanAttributes.LLM_PROMPT_TEMPLATE_VERSION
AGENT_NAME = "agent.name"
SESSION_ID = SpanAttributes.SESSION_ID
USER_ID = SpanAttributes.USER_ID
RETRIEVAL_DOCUMENTS = SpanAttributes.RETRIEVAL_DOCUMENTS
INPUT_DOCUMENTS = "input.documents"
OUTPUT_DOCUMENTS = "output.documents"
DOCUMENT_ID = DocumentAttributes.DOCUMENT_ID
DOCUMENT_SCORE = DocumentAttributes.DOCUMENT_SCORE
DOCUMENT_CONTENT = DocumentAttributes.DOCUMENT_CONTENT
DOCUMENT_METADATA = DocumentAttributes.DOCUMENT_METADATA
RERANKER_QUERY = RerankerAttributes.RERANKER_QUERY
RERANKER_MODEL_NAME = RerankerAttributes.RERANKER_MODEL_NAME
RERANKER_TOP_K = RerankerAttributes.RERANKER_TOP_K
RERANKER_INPUT_DOCUMENTS = RerankerAttributes.RERANKER_INPUT_DOCUMENTS
RERANKER_OUTPUT_DOCUMENTS = RerankerAttributes.RERANKER_OUTPUT_DOCUMENTS
LLM_MODEL_NAME = SpanAttributes.LLM_MODEL_NAME
LLM_PROVIDER = SpanAttributes.LLM_PROVIDER
LLM_INVOCATION_PARAMETERS = SpanAttributes.LLM_INVOCATION_PARAMETERS
LLM_INPUT_MESSAGES = SpanAttributes.LLM_INPUT_MESSAGES
LLM_OUTPUT_MESSAGES = SpanAttributes.LLM_OUTPUT_MESSAGES
LLM_TOKENS_PROMPT = SpanAttributes.LLM_TOKEN_COUNT_PROMPT
LLM_TOKENS_COMPLETION = SpanAttributes.LLM_TOKEN_COUNT_COMPLETION
LLM_TOKENS_TOTAL = SpanAttributes.LLM_TOKEN_COUNT_TOTAL
MESSAGE_ROLE = MessageAttributes.MESSAGE_ROLE
MESSAGE_CONTENT = MessageAttributes.MESSAGE_CONTENT
MESSAGE_TOOL_CALL_ID = MessageAttributes.MESSAGE_TOOL_CALL_ID
MESSAGE_TOOL_CALLS = MessageAttributes.MESSAGE_TOOL_CALLS
TOOL_CALL_ID = ToolCallAttributes.TOOL_CALL_ID
TOOL_CALL_NAME = ToolCallAttributes.TOOL_CALL_FUNCTION_NAME
TOOL_CALL_ARGUMENTS = ToolCallAttributes.TOOL_CALL_FUNCTION_ARGUMENTS_JSON
TOOL_NAME = SpanAttributes.TOOL_NAME
TOOL_PARAMETERS = SpanAttributes.TOOL_PARAMETERS
EVALUATIONS = "evaluations"
EVALUATION_NAME = "evaluation.name"
EVALUATION_SCORE = "evaluation.score"
EVALUATION_LABEL = "evaluation.label"
EVALUATION_EXPLANATION = "evaluation.explanation"
EVALUATION_ANNOTATOR = "evaluation.annotator_kind"
EVALUATION_IDENTIFIER = "evaluation.identifier"

# OpenTelemetry GenAI
GENAI_OPERATION = "gen_ai.operation.name"
GENAI_PROVIDER = "gen_ai.provider.name"
GENAI_CONVERSATION_ID = "gen_ai.conversation.id"
GENAI_DATA_SOURCE_ID = "gen_ai.data_source.id"
GENAI_RETRIEVAL_TOP_K = "gen_ai.retrieval.top_k"
GENAI_RETRIEVAL_QUERY = "gen_ai.retrieval.query.text"
GENAI_RETRIEVAL_DOCUMENTS = "gen_ai.retrieval.documents"
GENAI_REQUEST_MODEL = "gen_ai.request.model"
GENAI_RESPONSE_MODEL = "gen_ai.response.model"
GENAI_RESPONSE_ID = "gen_ai.response.id"
GENAI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GENAI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GENAI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GENAI_INPUT_MESSAGES = "gen_ai.input.messages"
GENAI_OUTPUT_MESSAGES = "gen_ai.output.messages"
GENAI_AGENT_NAME = "gen_ai.agent.name"
GENAI_WORKFLOW_NAME = "gen_ai.workflow.name"
GENAI_TOOL_NAME = "gen_ai.tool.name"
GENAI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GENAI_TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
GENAI_TOOL_RESULT = "gen_ai.tool.call.result"
OPERATION_RETRIEVAL = "retrieval"
OPERATION_CHAT = "chat"
OPERATION_TOOL = "execute_tool"
OPERATION_WORKFLOW = "invoke_workflow"
OPERATION_AGENT = "invoke_agent"
ERROR_TYPE = "error.type"
GENAI_EVALUATION = "gen_ai.evaluation.result"
GENAI_EVALUATION_NAME = "gen_ai.evaluation.name"
GENAI_EVALUATION_SCORE = "gen_ai.evaluation.score.value"
GENAI_EVALUATION_LABEL = "gen_ai.evaluation.score.label"
GENAI_EVALUATION_EXPLANATION = "gen_ai.evaluation.explanation"

# hints for backends that go by names of their own
MLFLOW_SPAN_TYPE = "mlflow.spanType"
LANGFUSE_TYPE = "langfuse.observation.type"
LANGSMITH_KIND = "langsmith.span.kind"
LANGSMITH_THREAD = "langsmith.metadata.thread_id"
LANGSMITH_USER = "langsmith.metadata.user_id"
LANGSMITH_PROVIDER = "langsmith.metadata.ls_provider"

# ours
RESPONSE_ID = "doctrail.response.id"
STATUS = "doctrail.response.status"
QUERY_HASH = "doctrail.query.hash"
FRAMEWORK = "doctrail.framework"
SERVICE = "doctrail.service"
DOCUMENT_IDS = "doctrail.response.document_ids"
SESSION_TURN = "doctrail.session.turn"
RETRIEVAL_RETRIEVER = "doctrail.retrieval.retriever"
RETRIEVAL_HITS = "doctrail.retrieval.hits"
RETRIEVAL_FILTERS = "doctrail.retrieval.filters"
RETRIEVAL_SEARCH_TYPE = "doctrail.retrieval.search_type"
CONTEXT_ARRIVALS = "doctrail.context.arrivals"
CONTEXT_OFFERED = "doctrail.context.offered"
CONTEXT_ARRIVED = "doctrail.context.arrived"
CONTEXT_TRUNCATED = "doctrail.context.truncated"
CONTEXT_PROMPT_LENGTH = "doctrail.context.prompt.length"
CONTEXT_UNEXPLAINED = "doctrail.context.unexplained.length"
GROUNDING_VERIFIER = "doctrail.grounding.verifier"
GROUNDING_STATUS = "doctrail.grounding.status"
GROUNDING_VERDICTS = "doctrail.grounding.verdicts"
GROUNDING_COST = "doctrail.grounding.cost"
GROUNDING_DEGRADED_FROM = "doctrail.grounding.degraded_from"
AUXILIARY = "doctrail.generation.auxiliary"


@cache  # of few names, and of the first numbers
def item(prefix: str, index: int, name: str) -> str:
    """A flattened list element: `item("retrieval.documents", 0, "document.id")`."""
    return f"{prefix}.{index}.{name}"
