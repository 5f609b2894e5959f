"""What real exporters send of an answer, over both of OTLP's protocols, and how much of it."""

import json

import pytest
from backends.applications import ALL, MANY, answer_from, found_chunks
from backends.collector import documents, over_grpc, over_http
from backends.sending import IDS, TEXTS, send
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp
from stores.corpus import QUESTION

from doctrail_core import Lineage, Settings
from doctrail_core.manual import response, retrieval

ATTRIBUTES = 128
"""So many of a span's are kept, by default."""

GRPC_MESSAGE = 4 * 1024 * 1024
"""So long a message is taken, by default."""

LONG = 1000
KIND = "openinference.span.kind"


def http(endpoint: str) -> OverHttp:
    return OverHttp(endpoint, compression=Compression.Gzip)


def grpc(endpoint: str) -> OverGrpc:
    return OverGrpc(endpoint, insecure=True)


def two_hundred_long_chunks(lineage: Lineage) -> None:
    chunks = [
        chunk | {"text": f"{chunk['text']} ".ljust(LONG, "x"), "metadata": {"page": n}}
        for n, chunk in enumerate(found_chunks(MANY))
    ]
    with response(QUESTION, lineage=lineage):
        with retrieval(QUESTION, store="contracts", k=MANY, score_kind="similarity") as search:
            search.found(chunks)
        answer_from(chunks)


@pytest.fixture(params=[(over_http, http), (over_grpc, grpc)], ids=["http", "grpc"])
def door(request):
    opened, exporter = request.param
    with opened() as collector:
        yield collector, exporter(collector.endpoint)


def test_all_spans_come_over_either_protocol(door):
    collector, exporter = door
    sent = send(exporter, {"service.name": "shop"}, TEXTS, {"plain": ALL["plain"]})
    assert sorted((s.raw.name, s.id, s.parent_id) for s in collector.spans) == sorted(
        (
            span.name,
            f"{span.context.span_id:016x}",
            f"{span.parent.span_id:016x}" if span.parent else None,
        )
        for span in sent.spans
    )
    assert {span.scope for span in collector.spans} == {"doctrail"}
    assert {span.resource["service.name"] for span in collector.spans} == {"shop"}


def test_a_check_is_linked_to_the_generation_that_it_is_about(door):
    collector, exporter = door
    sent = send(exporter, {}, IDS, {"agent": ALL["agent"]})
    checks = [span for span in collector.spans if span.attributes[KIND] == "EVALUATOR"]
    assert sorted(check.links for check in checks) == sorted(
        [(trail.trace_id, trail.generations[-1].span_id)] for trail in sent.trails["agent"]
    )
    for check in checks:
        ((name, told),) = check.events
        assert name == "gen_ai.evaluation.result"
        assert told["gen_ai.evaluation.name"] == "grounding_risk"


def test_two_hundred_documents_with_texts_fit_and_lose_nothing(door):
    collector, exporter = door
    sent = send(exporter, {}, TEXTS, {"long": two_hundred_long_chunks})
    (message,) = collector.messages
    assert message.ByteSize() < GRPC_MESSAGE
    for span in collector.spans:
        assert len(span.raw.attributes) <= ATTRIBUTES
        assert span.raw.dropped_attributes_count == 0
    search = collector.one(sent.trail("long").trace_id, "RETRIEVER")
    assert [d["id"] for d in documents(search)] == [f"chunk-{n}" for n in range(16)]
    told = search.attributes
    for name in ("output.value", "gen_ai.retrieval.documents", "doctrail.retrieval.hits"):
        assert len(json.loads(told[name])) == MANY


@pytest.mark.parametrize(
    ("families", "copies"),
    [
        ({"openinference"}, 2),
        ({"genai"}, 1),
        ({"backends"}, 2),
        ({"openinference", "genai", "backends"}, 5),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else None,
)
def test_a_chunk_is_as_often_in_a_trace_as_the_page_says(families, copies):
    with over_http() as collector:
        settings = Settings(span_content=True, span_families=frozenset(families))
        send(http(collector.endpoint), {}, settings, {"plain": ALL["plain"]})
    chunk = found_chunks(1)[0]["text"]
    told = json.dumps([span.attributes for span in collector.spans])
    assert told.count(chunk) == copies


def test_by_ids_alone_no_chunk_is_in_a_trace():
    with over_http() as collector:
        send(http(collector.endpoint), {}, IDS, {"plain": ALL["plain"]})
    assert found_chunks(1)[0]["text"] not in json.dumps([s.attributes for s in collector.spans])
