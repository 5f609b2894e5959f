"""OpenLineage: an hour of answers is one run, whichever transport it goes by and however often."""

import json
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from inline_snapshot import snapshot

from doctrail_core.export import ExportError
from doctrail_core.export.hours import full_hours, hours
from doctrail_core.export.openlineage import FACET, Feed, deliver, event_json, to_file, to_url
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.journal import LedgerJournal

pytest.importorskip("openlineage.client", reason="the openlineage extra is not installed")
jsonschema = pytest.importorskip("jsonschema")
referencing = pytest.importorskip("referencing")

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY = (NOON - timedelta(hours=12), NOON + timedelta(hours=12))

_TEXT, _URI = {"type": "string"}, {"type": "string", "format": "uri", "pattern": "^[a-z]+:"}
_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"}
_UUID = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}


def _object(required, **properties):
    return {"type": "object", "required": required, "properties": properties}


_FACETS = {
    "type": "object",
    "additionalProperties": _object(["_producer", "_schemaURL"], _producer=_URI, _schemaURL=_URI),
}
_DATASETS = {
    "type": "array",
    "items": _object(
        ["namespace", "name"],
        namespace=_TEXT,
        name=_TEXT,
        facets=_FACETS,
        inputFacets=_FACETS,
        outputFacets=_FACETS,
    ),
}
RUN_EVENT = _object(
    ["eventTime", "producer", "schemaURL", "run", "job"],
    eventTime=_TIME,
    producer=_URI,
    schemaURL=_URI,
    eventType={"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
    run=_object(["runId"], runId=_UUID, facets=_FACETS),
    job=_object(["namespace", "name"], namespace=_TEXT, name=_TEXT, facets=_FACETS),
    inputs=_DATASETS,
    outputs=_DATASETS,
)
"""What version 2-0-2 of the specification demands of a run event, said again here."""

SPECIFICATION = os.environ.get("OPENLINEAGE_SPEC")
"""The folder `spec` of a checkout of OpenLineage: where it is given, events are held against its own schemas."""


def valid(event):
    jsonschema.Draft202012Validator(RUN_EVENT).validate(event)
    return event


def without_versions(told):
    """What is told, but for which version of which schema it follows: that is the client's to say."""
    if isinstance(told, list):
        return [without_versions(each) for each in told]
    if isinstance(told, dict):
        return {k: without_versions(v) for k, v in told.items() if not k.endswith("schemaURL")}
    return told


@pytest.fixture
def answered(home, faults, make_trail):
    """Put answers on record."""
    journal = LedgerJournal(home, faults)
    count = 0

    def answer(*documents, minute=0, service="contracts", **changes):
        nonlocal count
        count += 1
        texts = {document: f"text of {document}" for document in documents}
        trail = make_trail(f"r{count}", texts=texts, minute=minute, service=service, **changes)
        journal.append("answered", trail)
        journal.flush(20)

    yield answer
    journal.close()


@pytest.fixture
def told(home):
    """The events of a day, as they are sent."""

    def tell(**feed):
        with open_ledger(home) as ledger:
            found = hours(ledger, *full_hours(*DAY))
            return [valid(json.loads(event_json(e))) for e in Feed(**feed).events(found, ledger)]

    return tell


def test_an_hour_of_answers_is_a_run_that_begins_and_ends(answered, told):
    answered("a", "b", minute=1)
    answered("a", minute=2, status="error")
    started, complete = told()
    assert (started["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert started["run"]["runId"] == complete["run"]["runId"]
    assert without_versions(complete) == snapshot(
        {
            "eventTime": "2026-03-01T13:00:00+00:00",
            "eventType": "COMPLETE",
            "inputs": [
                {
                    "facets": {},
                    "inputFacets": {},
                    "name": "documents/a",
                    "namespace": "doctrail",
                },
                {
                    "facets": {},
                    "inputFacets": {},
                    "name": "documents/b",
                    "namespace": "doctrail",
                },
            ],
            "job": {
                "facets": {
                    "jobType": {
                        "_producer": "urn:doctrail",
                        "integration": "DOCTRAIL",
                        "jobType": "JOB",
                        "processingType": "BATCH",
                    }
                },
                "name": "rag.answer/contracts",
                "namespace": "doctrail",
            },
            "outputs": [
                {
                    "facets": {},
                    "name": "responses/contracts",
                    "namespace": "doctrail",
                    "outputFacets": {
                        "outputStatistics": {
                            "_producer": "urn:doctrail",
                            "rowCount": 2,
                        }
                    },
                }
            ],
            "producer": "urn:doctrail",
            "run": {
                "facets": {
                    "doctrail_answers": {
                        "_producer": "urn:doctrail",
                        "documents": 2,
                        "documentsErased": 0,
                        "documentsInPrompts": 2,
                        "documentsNotNamed": 0,
                        "responses": 2,
                        "statuses": {"error": 1, "ok": 1},
                        "topDocuments": [
                            {"document": "a", "grades": {"in_prompt": 2}, "responses": 2},
                            {"document": "b", "grades": {"in_prompt": 1}, "responses": 1},
                        ],
                    },
                    "nominalTime": {
                        "_producer": "urn:doctrail",
                        "nominalEndTime": "2026-03-01T13:00:00+00:00",
                        "nominalStartTime": "2026-03-01T12:00:00+00:00",
                    },
                },
                "runId": "6069bf18-15f5-53d0-bdce-4181cc58be4c",
            },
        }
    )


def test_the_same_hour_has_the_same_run_whenever_it_is_told(answered, told):
    answered("a")
    first = told()
    answered("b")
    again = told()
    assert {e["run"]["runId"] for e in first} == {e["run"]["runId"] for e in again}
    assert {e["run"]["runId"] for e in told(namespace="other")} != {
        e["run"]["runId"] for e in first
    }


def test_each_application_and_each_hour_has_its_own_run(answered, told):
    answered("a", service="contracts")
    answered("a", service="contracts", minute=59)
    answered("a", service="contracts", minute=61)
    answered("a", service="support")
    answered("a", service=None)
    complete = [event for event in told() if event["eventType"] == "COMPLETE"]
    assert [
        (e["job"]["name"], e["eventTime"][11:13], e["run"]["facets"][FACET]["responses"])
        for e in complete
    ] == [
        ("rag.answer/unnamed", "13", 1),
        ("rag.answer/contracts", "13", 2),
        ("rag.answer/support", "13", 1),
        ("rag.answer/contracts", "14", 1),
    ]
    assert len({event["run"]["runId"] for event in complete}) == 4


def test_only_so_many_documents_are_named_and_the_rest_is_counted(answered, told):
    for number in range(5):
        answered(*(f"doc_{n}" for n in range(number + 1)))
    _, complete = told(most=2)
    facet = complete["run"]["facets"][FACET]
    assert [d["document"] for d in facet["topDocuments"]] == ["doc_0", "doc_1"]
    assert [d["responses"] for d in facet["topDocuments"]] == [5, 4]
    assert [each["name"] for each in complete["inputs"]] == ["documents/doc_0", "documents/doc_1"]
    assert (facet["documents"], facet["documentsNotNamed"]) == (5, 3)


def test_what_was_only_retrieved_is_no_input(answered, told):
    answered("a", contexts=())
    _, complete = told()
    assert complete["inputs"] == []
    facet = complete["run"]["facets"][FACET]
    assert (facet["documents"], facet["documentsInPrompts"]) == (1, 0)


def test_a_document_with_an_address_is_named_as_others_name_it(answered, told):
    answered("s3://bucket/a/b.pdf", "https://user:secret@example.org/c?x=1", "http://[", "x://y")
    _, complete = told()
    assert sorted((each["namespace"], each["name"]) for each in complete["inputs"]) == [
        ("doctrail", "documents/http://["),
        ("doctrail", "documents/x://y"),
        ("https://example.org", "c"),
        ("s3://bucket", "a/b.pdf"),
    ]


def test_the_checkpoint_is_told_where_there_is_one(answered, told):
    answered("a")
    known = {"origin": "ledger.example", "size": 7, "root": "00"}
    _, complete = told(checkpoint=known)
    assert complete["run"]["facets"][FACET]["checkpoint"] == known


def test_an_hour_that_is_not_over_is_not_told():
    noon = int(NOON.timestamp())
    begin, end = full_hours(NOON + timedelta(minutes=1), NOON + timedelta(hours=2, minutes=59))
    assert (begin // 10**6, end // 10**6) == (noon + 3600, noon + 7200)
    assert full_hours(None, NOON) == (0, noon * 10**6)


def test_events_are_added_to_a_file(home, answered, tmp_path):
    answered("a")
    with open_ledger(home) as ledger:
        events = list(Feed().events(hours(ledger, *full_hours(*DAY)), ledger))
    for _ in range(2):
        assert deliver(events, to_file(tmp_path / "events.jsonl")) == 2
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [valid(json.loads(line)) for line in lines[:2]] == [json.loads(x) for x in lines[2:]]


@contextmanager
def catalogue(status):
    """A server that takes events, or refuses them."""
    taken = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.path, self.headers["Authorization"], json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()


def test_events_reach_a_catalogue_over_http(home, answered):
    answered("a")
    with open_ledger(home) as ledger, catalogue(201) as (url, taken):
        events = Feed().events(hours(ledger, *full_hours(*DAY)), ledger)
        assert deliver(events, to_url(url, "key-1")) == 2
    assert [(path, key, event["eventType"]) for path, key, event in taken] == [
        ("/api/v1/lineage", "Bearer key-1", "START"),
        ("/api/v1/lineage", "Bearer key-1", "COMPLETE"),
    ]
    assert all(valid(event) for _, _, event in taken)


def test_a_catalogue_that_refuses_is_told(home, answered):
    answered("a")
    with open_ledger(home) as ledger, catalogue(403) as (url, taken):
        events = Feed().events(hours(ledger, *full_hours(*DAY)), ledger)
        with pytest.raises(ExportError, match=r"after 0 events, one was not taken.*403"):
            deliver(events, to_url(url))
    assert len(taken) == 1


def test_a_file_that_cannot_be_written_is_told(home, answered, tmp_path):
    answered("a")
    with open_ledger(home) as ledger:
        events = list(Feed().events(hours(ledger, *full_hours(*DAY)), ledger))
    with pytest.raises(ExportError, match="missing"):
        deliver(events, to_file(tmp_path / "missing" / "events.jsonl"))


def test_what_is_switched_off_is_not_said_to_be_sent(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    with pytest.raises(ExportError, match="OPENLINEAGE_DISABLED"):
        deliver([], to_file(tmp_path / "events.jsonl"))


def test_without_the_client_it_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    with pytest.raises(ExportError, match=r"pip install 'doctrail-core\[openlineage\]'"):
        to_file(tmp_path / "events.jsonl")


@pytest.mark.skipif(not SPECIFICATION, reason="OPENLINEAGE_SPEC names no checkout")
def test_the_schemas_of_the_specification_take_every_event(answered, told):
    folder = Path(str(SPECIFICATION))
    read = [json.loads(path.read_bytes()) for path in folder.rglob("*.json")]
    named = [schema for schema in read if isinstance(schema, dict) and "$id" in schema]
    registry = referencing.Registry().with_resources(
        (s["$id"], referencing.Resource.from_contents(s)) for s in named
    )
    schema = next(s for s in named if s["$id"].endswith("/OpenLineage.json"))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    answered("a", "s3://bucket/a.pdf")
    for event in told(checkpoint={"origin": "x", "size": 1, "root": "00"}):
        jsonschema.Draft202012Validator(schema, registry=registry, format_checker=checker).validate(
            event
        )
        facets = event["run"]["facets"] | event["job"]["facets"]
        for output in event["outputs"]:
            facets |= output["outputFacets"]
        assert facets.keys() <= {"nominalTime", "jobType", "outputStatistics", FACET}
        for facet in facets.values():
            at = {"$ref": facet["_schemaURL"]}
            jsonschema.Draft202012Validator(at, registry=registry, format_checker=checker).validate(
                facet
            )
