"""A lineage whose spans go where a real exporter takes them."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from backends.applications import ALL, Application
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from doctrail_core import Grounding, Lineage, Settings, Trail
from doctrail_core.testing.capture import MemoryStorage

TEXTS = Settings(span_content=True)
IDS = Settings()


@dataclass
class Sent:
    """What was sent.

    Attributes:
        trails: What each application's answers have on record with us, in order.
        spans: All that was exported.
    """

    trails: dict[str, list[Trail]] = field(default_factory=dict[str, list[Trail]])
    spans: tuple[ReadableSpan, ...] = ()

    def trail(self, application: str) -> Trail:
        return self.trails[application][0]


@contextmanager
def exported(exporter: SpanExporter, resource: Mapping[str, str]) -> Generator[TracerProvider]:
    """A provider of tracers whose spans have all been exported when the block ends."""
    provider = TracerProvider(resource=Resource(dict(resource)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider
    finally:
        provider.shutdown()


def send(
    exporter: SpanExporter,
    resource: Mapping[str, str],
    settings: Settings = IDS,
    applications: Mapping[str, Application] = ALL,
) -> Sent:
    """Let the applications answer, have every answer checked, and send what became of it."""
    sent, seen = Sent(), InMemorySpanExporter()
    with exported(exporter, resource) as provider:
        provider.add_span_processor(SimpleSpanProcessor(seen))
        storage = MemoryStorage()
        checks = Grounding(sample_rate=1.0)
        lineage = Lineage(settings, tracer_provider=provider, storage=storage, grounding=checks)
        for name, answer in applications.items():
            before = len(storage.trails.closed)
            answer(lineage)
            sent.trails[name] = storage.trails.closed[before:]
        assert lineage.flush(60)
        lineage.close()
    assert storage.faults.errors == []
    sent.trails = {
        name: [trail for t in trails if (trail := storage.get(t.response_id))]
        for name, trails in sent.trails.items()
    }
    sent.spans = seen.get_finished_spans()
    return sent
