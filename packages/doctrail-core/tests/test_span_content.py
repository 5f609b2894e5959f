"""What is hidden is on no span, whichever field it came in by."""

import re
from contextlib import contextmanager

import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationEnded,
    PromptSent,
    Reranked,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import (
    Assessment,
    Citation,
    Claim,
    Message,
    RankedChunk,
    ToolRequest,
    Usage,
    Verdict,
)
from doctrail_core.testing.capture import CountingIds, MemoryStorage, TickingClock

INPUTS = {"question", "query", "filter", "rerank query"}
ARGUMENTS = {"tool argument", "requested argument"}
DOCUMENTS = {"chunk text", "chunk metadata"}
RESULTS = {"tool result"}
PROMPTS = {"system message", "user message", "earlier reply", "earlier result"}
REPLIES = {"reply", "answer"}
PARAMETERS = {"parameter"}
ANYTHING = {
    "step input",
    "step output",
    "tool error",
    "search error",
    "model error",
    "request error",
    "check error",
}
SHOWN = INPUTS | ARGUMENTS | DOCUMENTS | RESULTS | PROMPTS | REPLIES | PARAMETERS | ANYTHING
NEVER = {
    "error's cause",
    "error's note",
    "template",
    "template variable",
    "baggage",
    "claim",
    "missing value",
    "conflicting value",
    "citation",
}


def secret(field):
    return f"swordfish-{field.replace(' ', '-')}."


def failure(field):
    error = ValueError(secret(field))
    error.__cause__ = KeyError(secret("error's cause"))
    error.add_note(secret("error's note"))
    return error


def tell(lineage):
    """An answer, and one where all fails, with a secret in every field that is a text."""
    lineage.record(RunStarted("r", None, "app", "test", secret("question"), "session-7", "ada"))
    lineage.record(RunStarted("step", "r", "node", "test", secret("step input")))
    lineage.record(RetrievalStarted("ret", "step", "Retriever", secret("query"), "test"))
    filters = {"tenant": secret("filter")}
    lineage.record(RetrievalDescribed("ret", 2, filters, "similarity", "handbook"))
    metadata = {"author": secret("chunk metadata")}
    chunk = f"{secret('chunk text')} The renewal deadline is February 28th."
    found = RetrievedChunk(chunk, "c0", "doc", 0, metadata, 0.5, "similarity")
    lineage.record(RetrievalEnded("ret", [found]))
    ranked, started = [RankedChunk("c0", 0.5)], lineage.now()
    lineage.record(Reranked("step", "Judge", started, ranked, ranked, secret("rerank query")))
    lineage.record(ContextSelected("step", ["c0"], "Judge"))
    lineage.record(RunEnded("step", f"{secret('step output')} {chunk}"))
    lineage.record(ToolCalled("tool", "r", "search", "test", secret("tool argument"), "call_1"))
    lineage.record(ToolReturned("tool", f"{secret('tool result')} {chunk}"))
    prompt = [
        Message("system", f"{secret('system message')} {chunk}"),
        Message("user", secret("user message")),
        Message("assistant", secret("earlier reply")),
        Message("tool", f"{secret('earlier result')} {chunk}", "call_0"),
    ]
    parameters = {"stop": [secret("parameter")]}
    lineage.record(PromptSent("llm", "r", prompt, "test", "m-1", "openai", parameters))
    asks = [ToolRequest("search", secret("requested argument"), "call_2")]
    said = secret("reply")
    lineage.record(GenerationEnded("llm", said, "m-1", Usage(1, 2, 3), ["stop"], "msg", asks))
    lineage.record(RunEnded("r", secret("answer")))

    check(lineage, "checked")
    lineage.record(RunStarted("f", None, "app", "test"))
    lineage.record(RetrievalStarted("ret", "f", "Retriever", "q", "test"))
    lineage.record(RunFailed("ret", failure("search error")))
    lineage.record(ToolCalled("tool", "f", "search", "test", None, "call_1"))
    lineage.record(RunFailed("tool", failure("tool error")))
    lineage.record(PromptSent("llm", "f", [], "test", "m-1"))
    lineage.record(RunFailed("llm", failure("model error")))
    lineage.record(RunFailed("f", failure("request error")))
    check(lineage, "failed", f"ValueError: {secret('check error')}")


def check(lineage, status, error=None):
    trail = lineage.last
    verdict = Verdict(
        claim=Claim(0, 5, secret("claim")),
        verdict="contradicted",
        score=0.9,
        reason="judged",
        missing=(secret("missing value"),),
        conflicting_value=secret("conflicting value"),
    )
    citation = Citation(0, 5, secret("citation"), state="unknown_id")
    assessment = Assessment(
        response_id=trail.response_id,
        verifier="judge",
        version="1",
        status=status,
        started_at=trail.ended_at,
        ended_at=trail.ended_at,
        generation_id="llm",
        verdicts=(verdict,),
        citations=(citation,),
        error=error,
    )
    lineage.assessed(assessment, trail)


class Exported:
    """What left the process."""

    def __init__(self, spans, storage):
        self.spans = spans
        self.faults = storage.faults
        self.trails = storage.trails.closed
        self.text = "\n".join(f"{span.to_json()} {dict(span.attributes)}" for span in spans)

    @property
    def found(self):
        return {field for field in SHOWN | NEVER if secret(field) in self.text}

    @property
    def values(self):
        return [v for span in self.spans for v in span.attributes.values()]


def export(settings=None, mask=None, telling=tell):
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=CountingIds(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    storage = MemoryStorage()
    lineage = Lineage(
        settings or Settings(span_content=True),
        tracer_provider=provider,
        clock=TickingClock(),
        storage=storage,
        span_mask=mask,
    )
    with marked():
        telling(lineage)
    lineage.close()
    provider.shutdown()
    return Exported(exporter.get_finished_spans(), storage)


@contextmanager
def marked():
    """Inside of what else a context may carry."""
    around = baggage.set_baggage("tenant", secret("baggage"))
    around = context.set_value("llm.prompt_template.template", secret("template"), around)
    variables = {"name": secret("template variable")}
    around = context.set_value("llm.prompt_template.variables", str(variables), around)
    token = context.attach(around)
    try:
        yield
    finally:
        context.detach(token)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """As if nothing had been set."""
    import os

    for name in list(os.environ):
        if name.startswith(("OPENINFERENCE_", "DOCTRAIL_", "OTEL_")):
            monkeypatch.delenv(name)
    return monkeypatch


def test_with_texts_all_of_it_is_shown_but_for_what_never_is():
    assert export().found == SHOWN


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(content="off"),
        Settings(content="hash"),
        Settings(content="off", span_content=True),
        Settings(content="hash", span_content=True),
        Settings(spans="all"),
        Settings(spans="none", span_content=True),
    ],
    ids=["default", "off", "hash", "off, texts", "hash, texts", "all", "none"],
)
def test_no_text_is_on_a_span_by_default_or_where_texts_are_not_kept(settings):
    assert export(settings).found == set()


def test_without_content_there_are_no_hashes_of_texts_either():
    assert "content_hash" in export(Settings(content="hash")).text
    bare = export(Settings(content="off")).text
    assert set(re.findall(r"[\w-]*sha256:", bare)) == {"hmac-sha256:"}


HIDDEN = {
    "INPUTS": INPUTS | ARGUMENTS | PROMPTS,
    "INPUT_TEXT": INPUTS | ARGUMENTS | PROMPTS,
    "OUTPUTS": REPLIES | ARGUMENTS | RESULTS | DOCUMENTS | PROMPTS,
    "OUTPUT_TEXT": REPLIES | ARGUMENTS | RESULTS | DOCUMENTS | PROMPTS,
    "RETRIEVAL_DOCUMENTS": DOCUMENTS | RESULTS | PROMPTS,
    "INPUT_MESSAGES": PROMPTS,
    "PROMPTS": PROMPTS,
    "OUTPUT_MESSAGES": REPLIES | ARGUMENTS | PROMPTS,
    "CHOICES": REPLIES | ARGUMENTS | PROMPTS,
    "LLM_INVOCATION_PARAMETERS": PARAMETERS,
    "LLM_TOOLS": PARAMETERS,
}


@pytest.mark.parametrize(("flag", "hidden"), HIDDEN.items())
def test_what_openinference_hides_is_hidden_wherever_it_shows(environment, flag, hidden):
    environment.setenv(f"OPENINFERENCE_HIDE_{flag}", "true")
    assert export().found == SHOWN - hidden - ANYTHING


@pytest.mark.parametrize("word", ["1", "TRUE", " yes ", "on", "t", "please"])
def test_whatever_is_not_a_no_hides(environment, word):
    environment.setenv("OPENINFERENCE_HIDE_INPUTS", word)
    assert "question" not in export().found


@pytest.mark.parametrize("word", ["", "0", "false", "No", "off"])
def test_a_no_hides_nothing(environment, word):
    environment.setenv("OPENINFERENCE_HIDE_INPUTS", word)
    assert export().found == SHOWN


@pytest.mark.parametrize("mode", ["NO_CONTENT", "EVENT_ONLY", "false", "", "anything"])
def test_opentelemetry_asks_for_no_texts_on_spans(environment, mode):
    environment.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    assert export(Settings.load()).found == set()


@pytest.mark.parametrize("mode", ["SPAN_ONLY", "span_and_event", "true"])
def test_opentelemetry_asks_for_texts_on_spans(environment, mode):
    environment.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", mode)
    assert export(Settings.load()).found == SHOWN
    environment.setenv("DOCTRAIL_SPAN_CONTENT", "off")
    assert export(Settings.load()).found == set()


# The mask.


def test_everything_that_leaves_passes_through_the_mask():
    seen = {}

    def remember(name, value):
        seen.setdefault(name, []).append(value)
        return value

    out = export(mask=remember)
    assert out.text == export().text
    written = {name for span in out.spans for name in span.attributes}
    written |= {name for span in out.spans for event in span.events for name in event.attributes}
    assert seen.keys() == written | {"span.name", "status.description"}
    assert {type(value) for value in seen["span.name"]} == {str}


def test_what_the_mask_cannot_mask_is_not_shown():
    def broken(name, value):
        raise ValueError(f"cannot mask {value}")

    out = export(mask=broken)
    assert out.found == set()
    assert set(out.values) == {"__REDACTED__"}
    assert {span.name.split(" ", 1)[-1] for span in out.spans} == {"__REDACTED__"}
    assert {where for where, _ in out.faults.errors} == {"span mask"}
    assert len(out.trails) == 2


def test_what_the_mask_drops_is_not_there():
    out = export(mask=lambda *_: None)
    assert out.values == []
    assert out.found == set()
    assert [e.attributes for s in out.spans for e in s.events] == [{}, {}]
    assert {span.status.description for span in out.spans} == {None}
    assert out.faults.errors == []


def test_what_the_mask_returns_is_written_instead():
    def mask(name, value):
        return (
            re.sub(r"swordfish-[\w'-]+\.", "[hidden]", value) if isinstance(value, str) else value
        )

    out = export(mask=mask)
    assert out.found == set()
    assert out.text.count("[hidden]") > len(SHOWN)
    assert out.spans[0].attributes["gen_ai.retrieval.top_k"] == 2


@pytest.mark.parametrize(
    "returned", [object(), {"a": 1}, float("nan"), "\ud800", [1, "a"], b"\xff"]
)
def test_a_mask_that_returns_nonsense_costs_no_span(returned):
    out = export(mask=lambda *_: returned)
    assert len(out.spans) == len(export().spans)
    assert out.faults.errors == []
    for value in out.values:
        str(value).encode()


def test_a_mask_that_stops_working_hides_from_then_on():
    calls = []

    def fickle(name, value):
        calls.append(name)
        if len(calls) > 5:
            raise RuntimeError("out of order")

    assert export(mask=fickle).found == set()


# Errors.


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ValueError: no", "ValueError"),
        ("openai.RateLimitError: slow down", "openai.RateLimitError"),
        ("the judge said: swordfish", "_OTHER"),
        ("", "_OTHER"),
    ],
)
def test_the_kind_of_an_error_is_a_name_and_no_text(error, kind):
    def telling(lineage):
        lineage.record(RunStarted("r", None, "app", "test"))
        lineage.record(PromptSent("llm", "r", [], "test", "m-1"))
        lineage.record(GenerationEnded("llm", "a"))
        lineage.record(RunEnded("r", "a"))
        check(lineage, "failed", error)

    (span,) = [s for s in export(Settings(), telling=telling).spans if s.name == "grounding judge"]
    assert span.attributes["error.type"] == kind
    assert span.events[0].attributes["error.type"] == kind
    assert span.status.description is None
