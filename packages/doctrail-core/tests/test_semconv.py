"""The names that we write: those of the conventions as they are today, all in one module."""

import ast
from importlib.metadata import version
from pathlib import Path

import pytest
from openinference.semconv import trace as openinference

import doctrail_core.telemetry
from doctrail_core.telemetry import semconv

NAMES = {name: value for name, value in vars(semconv).items() if name.isupper()}
PACKAGE = Path(doctrail_core.telemetry.__file__).parent.parent

NEWER = {
    "AGENT_NAME": "SpanAttributes.AGENT_NAME",
    "INPUT_DOCUMENTS": "SpanAttributes.INPUT_DOCUMENTS",
    "OUTPUT_DOCUMENTS": "SpanAttributes.OUTPUT_DOCUMENTS",
    "EVALUATIONS": "SpanAttributes.EVALUATIONS",
    "EVALUATION_NAME": "EvaluationAttributes.EVALUATION_NAME",
    "EVALUATION_SCORE": "EvaluationAttributes.EVALUATION_SCORE",
    "EVALUATION_LABEL": "EvaluationAttributes.EVALUATION_LABEL",
    "EVALUATION_EXPLANATION": "EvaluationAttributes.EVALUATION_EXPLANATION",
    "EVALUATION_ANNOTATOR": "EvaluationAttributes.EVALUATION_ANNOTATOR_KIND",
    "EVALUATION_IDENTIFIER": "EvaluationAttributes.EVALUATION_IDENTIFIER",
}
"""Written out, because the oldest version of the package that we support lacks them."""

OURS = ("doctrail.",)
BACKENDS = ("mlflow.", "langfuse.", "langsmith.", "openinference.project.")

# As of OpenTelemetry's GenAI conventions 1.42.0 and their main branch in August 2026; those that we have no
# use for are left out where they belong to another kind of telemetry (metrics, memory, embeddings).
GENAI = {
    "gen_ai.agent.description",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.agent.version",
    "gen_ai.conversation.compacted",
    "gen_ai.conversation.id",
    "gen_ai.data_source.id",
    "gen_ai.evaluation.explanation",
    "gen_ai.evaluation.name",
    "gen_ai.evaluation.score.label",
    "gen_ai.evaluation.score.value",
    "gen_ai.input.messages",
    "gen_ai.operation.name",
    "gen_ai.output.messages",
    "gen_ai.output.type",
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "gen_ai.provider.name",
    "gen_ai.request.choice.count",
    "gen_ai.request.frequency_penalty",
    "gen_ai.request.max_tokens",
    "gen_ai.request.model",
    "gen_ai.request.presence_penalty",
    "gen_ai.request.previous_response.id",
    "gen_ai.request.reasoning.level",
    "gen_ai.request.seed",
    "gen_ai.request.stop_sequences",
    "gen_ai.request.stream",
    "gen_ai.request.temperature",
    "gen_ai.request.top_k",
    "gen_ai.request.top_p",
    "gen_ai.response.finish_reasons",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.response.status",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.top_k",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.id",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "gen_ai.tool.description",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.workflow.name",
}
GENAI_EVENTS = {"gen_ai.client.inference.operation.details", "gen_ai.evaluation.result"}
GENAI_OPERATIONS = {
    "chat",
    "create_agent",
    "embeddings",
    "execute_tool",
    "generate_content",
    "invoke_agent",
    "invoke_workflow",
    "plan",
    "retrieval",
    "text_completion",
}
GENERAL = {"error.type"}


def constants(module):
    """Every name and value that OpenInference has a constant for."""
    classes = [each for each in vars(module).values() if isinstance(each, type)]
    found = {
        f"{each.__name__}.{name}": getattr(value, "value", value)
        for each in classes
        for name, value in vars(each).items()
        if name.isupper()
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def numbers(told):
    return tuple(int(number) for number in told.split(".")[:3])


INSTALLED = version("openinference-semantic-conventions")
IS_NEWEST = numbers(INSTALLED) >= numbers(semconv.OPENINFERENCE_VERSION)


def test_the_newest_version_of_openinference_is_the_one_that_was_looked_at():
    """Where this fails: read what changed, correct names and docs/conventions.md, then the version."""
    assert numbers(INSTALLED) <= numbers(semconv.OPENINFERENCE_VERSION)


def test_every_name_of_openinference_is_one_of_its_own():
    known = set(constants(openinference).values())
    elsewhere = (*OURS, *BACKENDS, "gen_ai.")
    rest = {
        name: value
        for name, value in NAMES.items()
        if isinstance(value, str)
        and not value.startswith(elsewhere)
        and value not in GENERAL
        and not name.startswith("OPERATION_")
        and not name.endswith("_VERSION")
    }
    assert {n: v for n, v in rest.items() if n not in NEWER and v not in known} == {}
    assert rest.keys() >= NEWER.keys()


@pytest.mark.skipif(not IS_NEWEST, reason="an older version of the conventions")
@pytest.mark.parametrize(("ours", "theirs"), NEWER.items())
def test_a_name_that_is_written_out_is_a_constant_by_now(ours, theirs):
    assert constants(openinference)[theirs] == NAMES[ours]


def test_every_name_of_genai_is_one_of_the_conventions():
    written = {v for n, v in NAMES.items() if isinstance(v, str) and v.startswith("gen_ai.")}
    assert written <= GENAI | GENAI_EVENTS


def test_every_operation_is_one_of_the_conventions():
    assert {v for n, v in NAMES.items() if n.startswith("OPERATION_")} <= GENAI_OPERATIONS


def test_no_two_constants_have_one_name():
    written = [v for v in NAMES.values() if isinstance(v, str) and "." in v]
    assert {value for value in written if written.count(value) > 1} == set()


def literals(tree):
    """The texts of a module that are no docstrings."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield node.value, node.lineno


def test_no_attribute_is_named_outside_of_that_module():
    """A name that is written twice is one that somebody will forget to change."""
    named = {value for value in NAMES.values() if isinstance(value, str) and "." in value}
    named -= {semconv.GENAI_VERSION, semconv.OPENINFERENCE_VERSION}
    prefixes = ("gen_ai.", "openinference.", "llm.", "retrieval.", "reranker.", *BACKENDS)
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {value}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "semconv.py" and not path.is_relative_to(PACKAGE / "testing")
        for value, line in literals(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(value, str) and (value in named or value.startswith(prefixes))
    ]
    assert found == []
