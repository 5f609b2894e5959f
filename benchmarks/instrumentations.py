"""What is compared: ways to instrument the pipelines. A cell is one of them on one pipeline.

Every cell lives in its own process, because instrumentations patch their host and stay. Imports
stand inside the functions: a cell loads what it measures and nothing else.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pipelines
from pipelines import Call, Wrap, unchanged

if TYPE_CHECKING:
    from doctrail_core import Lineage
    from doctrail_core.composition import Storage

PIPELINES = ("langchain", "langchain-async", "llamaindex")


@dataclass
class Exported:
    """What was exported so far.

    Attributes:
        attribute_bytes: Names and values.
        copies: How often the text of the first chunk stands in it.
    """

    spans: int = 0
    attribute_bytes: int = 0
    copies: int = 0


class CountingExporter:
    """Accepts every span and forgets it; weighs them while it is asked to."""

    def __init__(self) -> None:
        """Have seen none."""
        self.seen = Exported()
        self.weighs = False

    def export(self, spans: Iterable[Any]) -> Any:
        """Take note of how many there were."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        for span in spans:
            self.seen.spans += 1
            if self.weighs:
                self._weigh(span)
        return SpanExportResult.SUCCESS

    def _weigh(self, span: Any) -> None:
        said = [span.attributes, *(event.attributes for event in span.events)]
        for name, value in (item for attributes in said for item in (attributes or {}).items()):
            text = str(value)
            self.seen.attribute_bytes += len(name.encode()) + len(text.encode())
            self.seen.copies += text.count(pipelines.chunk_text(0))

    def shutdown(self) -> None:
        """Nothing to give up."""

    def force_flush(self, timeout_millis: int = 0) -> bool:  # noqa: ARG002  # the SDK's signature
        """Nothing is held back."""
        return True


class Spans:
    """A tracer provider as an application has it: batched; every trace sampled, or none."""

    def __init__(self, *, sampled: bool = True) -> None:
        """Export to nowhere."""
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

        self._exporter = CountingExporter()
        self.provider = TracerProvider(sampler=ALWAYS_ON if sampled else ALWAYS_OFF)
        self.provider.add_span_processor(BatchSpanProcessor(self._exporter))  # type: ignore[arg-type]

    def of(self, call: Call) -> Exported:
        """What one call exports."""
        self.provider.force_flush()
        self._exporter.seen, self._exporter.weighs = Exported(), True
        call()
        self.provider.force_flush()
        self._exporter.weighs = False
        return self._exporter.seen


@dataclass
class Cell:
    """A pipeline that can be called.

    Attributes:
        call: Ask the question once.
        spans: Where it exports to, if it does.
        callbacks: What LangChain's chains are called with.
        close: Have all that was recorded where it is to stay.
    """

    call: Call
    spans: Spans | None = None
    callbacks: Sequence[Any] = ()
    close: Callable[[], object] = lambda: None

    def exported(self) -> Exported:
        """What one call exports."""
        return self.spans.of(self.call) if self.spans else Exported()


Instrument = Callable[[str, Path], Cell]
"""Makes the cell of a pipeline; the folder is for what it stores."""

FRESH = " (fresh)"
"""Follows the name of a pipeline whose searches find other chunks every time."""


def _call(pipeline: str, callbacks: Iterable[Any] = (), wrap: Wrap = unchanged) -> Call:
    plain = pipeline.removesuffix(FRESH)
    finds = pipelines.always_the_same() if plain == pipeline else pipelines.always_others()
    if plain == "llamaindex":
        return pipelines.llamaindex(wrap, finds)
    run = pipelines.langchain_async if plain.endswith("async") else pipelines.langchain_sync
    return run(list(callbacks), wrap, finds)


# --- the peers


def nothing(pipeline: str, _folder: Path) -> Cell:
    """The pipeline itself."""
    return Cell(_call(pipeline))


def openinference(pipeline: str, _folder: Path) -> Cell:
    """OpenInference, as its README says."""
    if pipeline.startswith("llamaindex"):
        from openinference.instrumentation.llama_index import LlamaIndexInstrumentor as Instrumentor
    else:
        from openinference.instrumentation.langchain import LangChainInstrumentor as Instrumentor
    spans = Spans()
    Instrumentor().instrument(tracer_provider=spans.provider)
    return Cell(_call(pipeline), spans)


def openllmetry(pipeline: str, _folder: Path) -> Cell:
    """OpenLLMetry, as its README says."""
    if pipeline.startswith("llamaindex"):
        from opentelemetry.instrumentation.llamaindex import LlamaIndexInstrumentor as Instrumentor
    else:
        from opentelemetry.instrumentation.langchain import LangchainInstrumentor as Instrumentor
    spans = Spans()
    Instrumentor().instrument(tracer_provider=spans.provider, skip_dep_check=True)
    return Cell(_call(pipeline), spans)


def otel_genai(pipeline: str, _folder: Path) -> Cell:
    """OpenTelemetry's own, as its README says."""
    if pipeline.startswith("llamaindex"):
        from opentelemetry.instrumentation.genai.llama_index import (
            LlamaIndexInstrumentor as Instrumentor,
        )
    else:
        from opentelemetry.instrumentation.genai.langchain import (
            LangChainInstrumentor as Instrumentor,
        )
    spans = Spans()
    # It looks for the distribution `langchain`, though it works on langchain-core alone.
    Instrumentor().instrument(tracer_provider=spans.provider, skip_dep_check=True)
    return Cell(_call(pipeline), spans)


def otel_genai_texts(pipeline: str, folder: Path) -> Cell:
    """OpenTelemetry's own with prompts and answers on the spans."""
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    return otel_genai(pipeline, folder)


# --- ours


class _Nobody:
    """Takes the place of a ledger or a trail store, and keeps nothing."""

    def append(self, *_: object) -> None:
        """Forget it."""


class _Only:
    """The storage of a folder, with parts of it switched off."""

    def __init__(self, folder: Path, *parts: str) -> None:
        """Keep only what `parts` names."""
        from doctrail_core.folder import Folder

        self._folder = Folder(folder)
        self.ledger = self._folder.ledger if "ledger" in parts else _Nobody()
        self.trails = self._folder.trails if "trails" in parts else _Nobody()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)


def _instrumented(
    pipeline: str, lineage: "Lineage", spans: Spans, *, wrapped: bool = False
) -> Cell:
    """Hand the lineage to the adapter of the pipeline's framework."""
    if pipeline.startswith("llamaindex"):
        from llama_index.observability.doctrail import LineageInstrumentor, LineageRetriever

        if not wrapped:
            LineageInstrumentor(lineage).install()
            return Cell(_call(pipeline), spans, close=lineage.close)
        call = _call(pipeline, wrap=lambda inner: LineageRetriever(inner, lineage=lineage))
        return Cell(call, spans, close=lineage.close)

    from langchain_doctrail import LineageCallbackHandler, LineageRetriever

    wrap = LineageRetriever.wrap if wrapped else unchanged
    callbacks = [LineageCallbackHandler(lineage)]
    return Cell(_call(pipeline, callbacks, wrap), spans, callbacks, lineage.close)


def _ours(
    *parts: str,
    matching: bool = True,
    wrapped: bool = False,
    span_content: bool = False,
    sampled: bool = True,
) -> Instrument:
    """Doctrail with some of its parts: `spans`, `ledger`, `trails`."""

    def instrument(pipeline: str, folder: Path) -> Cell:
        from doctrail_core import Lineage, Settings

        if not matching:
            patch("doctrail_core.capture.reports.with_arrivals", lambda trail, *_: trail).start()
        spans = Spans(sampled=sampled)
        settings = Settings(
            home=folder, spans="missing" if "spans" in parts else "none", span_content=span_content
        )
        storage: Storage = _Only(folder, *parts)
        lineage = Lineage(settings, tracer_provider=spans.provider, storage=storage)
        return _instrumented(pipeline, lineage, spans, wrapped=wrapped)

    return instrument


def silent(pipeline: str, _folder: Path) -> Cell:
    """A handler that does nothing: what a host takes for having any."""
    if not pipeline.startswith("llamaindex"):
        from langchain_core.callbacks import BaseCallbackHandler

        class SilentHandler(BaseCallbackHandler):
            run_inline = True

        callbacks = [SilentHandler()]
        return Cell(_call(pipeline, callbacks), callbacks=callbacks)

    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler

    class SilentEvents(BaseEventHandler):
        def handle(self, event: object, **_: object) -> None:
            pass

    get_dispatcher().add_event_handler(SilentEvents())
    return Cell(_call(pipeline))


def deaf(pipeline: str, folder: Path) -> Cell:
    """Doctrail's adapter alone: it hears the host and tells nobody."""
    from doctrail_core import Lineage, Settings

    class DeafLineage(Lineage):
        def record(self, event: object) -> None:
            pass

    return _instrumented(pipeline, DeafLineage(Settings(home=folder, spans="none")), Spans())


CELLS: dict[str, Instrument] = {
    "nothing": nothing,
    "a handler that does nothing": silent,
    "OpenInference": openinference,
    "OpenLLMetry": openllmetry,
    "OpenTelemetry GenAI": otel_genai,
    "OpenTelemetry GenAI, texts on spans": otel_genai_texts,
    "doctrail": _ours("spans", "ledger", "trails"),
    "doctrail, wrapped retriever": _ours("spans", "ledger", "trails", wrapped=True),
    "doctrail, texts on spans too": _ours("spans", "ledger", "trails", span_content=True),
    "doctrail, trace not sampled": _ours("spans", "ledger", "trails", sampled=False),
}
SPANLESS = ("nothing", "a handler that does nothing", "doctrail, trace not sampled")
"""Those that export nothing."""

PARTS: dict[str, tuple[str, Instrument]] = {
    "host": ("what it takes for having any handler at all", silent),
    "adapter": ("the host's callbacks, translated into events", deaf),
    "recorder": ("run tree, ids, hashes, the trail's records", _ours(matching=False)),
    "matching": ("finding the chunks in the prompt", _ours()),
    "spans": ("four spans through a batch processor", _ours("spans")),
    "ledger": ("two durable entries per answer, sequenced", _ours("spans", "ledger")),
    "trail store": ("the texts, indexed", CELLS["doctrail"]),
}
"""Each cell has one part more than the one before it, so differences are what parts cost."""
