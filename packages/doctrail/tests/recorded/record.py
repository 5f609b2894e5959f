"""Record the spans that other instrumentations write, as OTLP JSON beside this file.

    uv venv benchmarks/.venvs/recording
    uv pip install --python benchmarks/.venvs/recording -r packages/doctrail/tests/recorded/requirements.txt
    benchmarks/.venvs/recording/bin/python packages/doctrail/tests/recorded/record.py [INSTRUMENTATION ...]

What is named in `OLDER` is recorded by its name, in an environment of `requirements-older.txt`.

Each run has a process of its own, because instrumentations patch their host and stay. Frameworks,
stores and instrumentations are the real ones; models are fakes that say what the runs have written.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_DEADLINE = 10.0


def main(names: list[str]) -> None:
    """Record these instrumentations, or all; or one scenario of one, in this process."""
    if names and "." in names[0]:
        _record(*names[0].split("."))
        return
    for name in names or [*INSTRUMENTATIONS]:
        for scenario in (INSTRUMENTATIONS | OLDER)[name][2]:
            subprocess.run([sys.executable, __file__, f"{name}.{scenario}"], check=True)


def _record(name: str, scenario: str) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    module, instrument, _ = (INSTRUMENTATIONS | OLDER)[name]
    run = getattr(import_module(module), _RUN_OF.get(scenario, scenario))
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=_ids(f"{name}.{scenario}"))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor, options = instrument(scenario)
    instrumentor.instrument(tracer_provider=provider, **options)
    with ExitStack() as stack, suppress(ConnectionError, TimeoutError):
        if scenario == "in_session":
            from openinference.instrumentation import using_attributes

            context = {
                "session_id": "session-1",
                "user_id": "user-1",
                "metadata": {"tenant": "acme"},
            }
            stack.enter_context(using_attributes(**context))
        run()
    _write(f"{name}.{scenario}", _settled(exporter))


def _settled(exporter: Any) -> Any:
    """The spans, once no more come: one instrumentation ends those of streams in a thread of its own."""
    deadline = time.monotonic() + _DEADLINE
    before = -1
    while time.monotonic() < deadline:
        spans = exporter.get_finished_spans()
        known = {span.context.span_id for span in spans}
        complete = all(s.parent is None or s.parent.span_id in known for s in spans)
        if complete and spans and len(spans) == before:
            return spans
        before = len(spans)
        time.sleep(0.5)
    return exporter.get_finished_spans()  # some instrumentations never end one


def _write(name: str, spans: Any) -> None:
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    message = MessageToDict(encode_spans(spans))
    for group in message["resourceSpans"]:
        for scope in group["scopeSpans"]:
            for span in scope["spans"]:
                _as_hex(span)
    target = FOLDER / f"{name}.json"
    target.write_text(_one_line_per_span(message))


def _one_line_per_span(message: dict[str, Any]) -> str:
    """JSON that is small, and whose changes can be read."""
    (group,) = message["resourceSpans"]
    scopes = [
        json.dumps(scope | {"spans": "SPANS"}, ensure_ascii=False).replace(
            '"SPANS"',
            "[\n" + ",\n".join(json.dumps(s, ensure_ascii=False) for s in scope["spans"]) + "\n]",
        )
        for scope in group["scopeSpans"]
    ]
    resource = json.dumps(group["resource"])
    return f'{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{",".join(scopes)}]}}]}}\n'


def _as_hex(span: dict[str, Any]) -> None:
    """OTLP JSON writes ids as hex digits, where protobuf's JSON writes base64, and enums as numbers."""
    from base64 import b64decode

    for key in ("traceId", "spanId", "parentSpanId"):
        if key in span:
            span[key] = b64decode(span[key]).hex()
    span["kind"] = _KINDS.index(span["kind"])
    if code := span.get("status", {}).get("code"):
        span["status"]["code"] = _STATUS.index(code)
    for each in span.get("attributes", ()):
        if "stringValue" in each["value"]:
            each["value"]["stringValue"] = _without_paths(each["value"]["stringValue"])
    for event in span.get("events", ()):
        for each in event.get("attributes", ()):
            if "stringValue" in each["value"]:
                each["value"]["stringValue"] = _without_paths(each["value"]["stringValue"])
    if message := span.get("status", {}).get("message"):
        span["status"]["message"] = _without_paths(message)


def _without_paths(text: str) -> str:
    """A traceback names files of this machine."""
    for folder in (sys.prefix, sys.base_prefix, str(FOLDER)):
        text = text.replace(folder, "")
    return text


_KINDS = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
]
_STATUS = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"]


def _ids(name: str) -> Any:
    """The same ids whenever this is recorded."""
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    source = random.Random(name)  # noqa: S311  # not for secrets

    class SeededIds(IdGenerator):
        def generate_trace_id(self) -> int:
            return source.getrandbits(128) or 1

        def generate_span_id(self) -> int:
            return source.getrandbits(64) or 1

    return SeededIds()


def _openinference(module: str, instrumentor: str, scenario: str) -> tuple[Any, dict[str, Any]]:
    from openinference.instrumentation import TraceConfig

    built = getattr(import_module(f"openinference.instrumentation.{module}"), instrumentor)()
    config = TraceConfig()
    if scenario == "hidden":
        config = TraceConfig(hide_inputs=True, hide_outputs=True)
    if scenario == "documents_hidden":
        config = TraceConfig(hide_retrieval_documents=True)
    return built, {"config": config}


def _genai(module: str, instrumentor: str, scenario: str) -> tuple[Any, dict[str, Any]]:
    shown = "NO_CONTENT" if scenario == "hidden" else "SPAN_ONLY"
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = shown
    path = f"opentelemetry.instrumentation.genai.{module}"
    return getattr(import_module(path), instrumentor)(), {}


def _openllmetry(scenario: str) -> tuple[Any, dict[str, Any]]:
    os.environ["TRACELOOP_TRACE_CONTENT"] = str(scenario != "hidden").lower()
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    return LangchainInstrumentor(), {}


def _older_openllmetry(_: str) -> tuple[Any, dict[str, Any]]:
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    return LangchainInstrumentor(), {}


def _chroma(_: str) -> tuple[Any, dict[str, Any]]:
    from opentelemetry.instrumentation.chromadb import ChromaInstrumentor

    return ChromaInstrumentor(), {}


_RUN_OF = {"in_session": "asked", "hidden": "asked", "documents_hidden": "asked"}
"""Which run a scenario is of, where it is not the one of its name."""

Instrument = Callable[[str], tuple[Any, dict[str, Any]]]
OLDER: dict[str, tuple[str, Instrument, tuple[str, ...]]] = {
    "openllmetry_langchain_0_40": ("langchain_runs", _older_openllmetry, ("asked", "tool_called")),
}
"""What needs packages that do not go together with those of the others."""
INSTRUMENTATIONS: dict[str, tuple[str, Instrument, tuple[str, ...]]] = {
    "openinference_langchain": (
        "langchain_runs",
        partial(_openinference, "langchain", "LangChainInstrumentor"),
        (
            "in_session",
            "streamed",
            "agent",
            "reranked",
            "rewritten",
            "conversation",
            "searched_alone",
            "failing_search",
            "failing_model",
            "hidden",
            "documents_hidden",
        ),
    ),
    "openinference_llama_index": (
        "llama_index_runs",
        partial(_openinference, "llama_index", "LlamaIndexInstrumentor"),
        (
            "in_session",
            "asked_async",
            "streamed",
            "agent",
            "reranked",
            "unscored",
            "conversation",
            "searched_alone",
            "failing_search",
            "failing_model",
            "hidden",
        ),
    ),
    "openinference_haystack": (
        "haystack_runs",
        partial(_openinference, "haystack", "HaystackInstrumentor"),
        ("reranked",),
    ),
    "genai_langchain": (
        "langchain_runs",
        partial(_genai, "langchain", "LangChainInstrumentor"),
        ("asked", "streamed", "agent", "conversation", "failing_search", "failing_model", "hidden"),
    ),
    "genai_llama_index": (
        "llama_index_runs",
        partial(_genai, "llama_index", "LlamaIndexInstrumentor"),
        ("asked", "agent", "failing_search"),
    ),
    "openllmetry_chroma": ("chroma_runs", _chroma, ("asked",)),
    "openllmetry_langchain": (
        "langchain_runs",
        _openllmetry,
        (
            "asked",
            "streamed",
            "agent",
            "conversation",
            "reranked",
            "failing_search",
            "failing_model",
            "hidden",
        ),
    ),
}

if __name__ == "__main__":
    main(sys.argv[1:])
