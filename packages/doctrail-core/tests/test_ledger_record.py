"""A record of the ledger's spool: canonical bytes, and never a text in them."""

import json
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from doctrail_core.ledger.record import ChunkFact, LedgerRecord, decode, encode, from_trail
from doctrail_core.model import (
    Arrival,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    Retrieval,
    ToolCall,
    Trail,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
grades = st.sampled_from(["cited", "supports", "in_prompt", "retrieved"])
chunk_facts = st.builds(
    ChunkFact, chunk_id=ids, content_hash=st.none() | ids, document_id=ids, grade=grades
)
entries = st.builds(
    LedgerRecord,
    kind=st.sampled_from(["retrieved", "answered"]),
    response_id=ids,
    document_ids=st.lists(ids, max_size=3).map(tuple),
    timestamp=st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat),
    query_hash=ids,
    status=st.sampled_from(["ok", "error"]),
    writer=ids,
    counter=st.integers(0, 2**53),
    chunks=st.lists(chunk_facts, max_size=3).map(tuple),
    session_id=st.none() | ids,
    user_id=st.none() | ids,
    models=st.lists(ids, max_size=2).map(tuple),
    trace_id=st.none() | ids,
    service=st.none() | ids,
    framework=st.none() | ids,
)


@given(entries)
def test_an_entry_comes_back_from_its_bytes(entry):
    assert decode(encode(entry)) == entry


@given(entries)
def test_the_bytes_are_canonical(entry):
    data = encode(entry)
    canonical = json.dumps(
        json.loads(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    assert data == canonical.encode()
    assert None not in json.loads(data).values()


def test_the_bytes_of_an_entry(make_trail):
    entry = from_trail("answered", make_trail(), writer="writer-1", counter=7)
    assert json.loads(encode(entry)) == snapshot(
        {
            "answer_hash": "sha256:ac763025ded5deb50b15ea226b92ea9274f76d2e803c42ff1b8b523ae57e375e",
            "chunks": [
                {
                    "chunk_id": "doc_4#0",
                    "content_hash": "sha256:12cc43deef7431514972f410c6eae4af9044a3fd0abb09eb6c7a7eebe543a4cc",
                    "document_id": "doc_4",
                    "grade": "in_prompt",
                    "source": "a.pdf",
                }
            ],
            "counter": 7,
            "document_ids": ["doc_4"],
            "kind": "answered",
            "models": ["model-1"],
            "query_hash": "hmac-sha256:00",
            "response_id": "response-1",
            "session_id": "session-1",
            "status": "ok",
            "timestamp": "2026-03-01T12:00:02.000000+00:00",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "user_id": "user-1",
            "v": 1,
            "writer": "writer-1",
        }
    )


def test_documents_come_strongest_grade_first_with_their_strongest_grade(make_trail):
    trail = make_trail(texts={"weak": "not in the prompt", "strong": "in the prompt"})
    (context,) = trail.contexts
    trail = replace(trail, contexts=(replace(context, arrivals=context.arrivals[1:]),))
    entry = from_trail("answered", trail, writer="w", counter=0)
    assert entry.document_ids == ("strong", "weak")
    assert [chunk.grade for chunk in entry.chunks] == ["in_prompt", "retrieved"]


def test_documents_that_number_their_chunks_alike_are_both_on_record(make_trail):
    hits = tuple(Hit(Chunk("0", document, "sha256:00"), n) for n, document in enumerate("ab"))
    trail = make_trail(texts={})
    trail = replace(trail, retrievals=(replace(trail.retrievals[0], hits=hits),))
    assert from_trail("retrieved", trail, writer="w", counter=0).document_ids == ("a", "b")


def test_ids_that_are_no_ids_are_bounded(make_trail):
    trail = make_trail("r\x1b[2J", texts={"d" * 10_000: "t"}, session_id="s\n", user_id="u\0")
    data = encode(from_trail("answered", trail, writer="w", counter=0))
    assert len(data) < 4_000
    assert "\\u00" not in data.decode()


def test_times_are_utc_with_microseconds(make_trail):
    entry = from_trail("answered", make_trail(ended_at=NOW), writer="w", counter=0)
    assert entry.timestamp == "2026-03-01T00:00:00.000000+00:00"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b"{}", b'{"v":1}', b'{"v":2,"kind":"answered"}', b"\xff", b"null"]
)
def test_bytes_that_are_no_entry_are_refused(data):
    with pytest.raises(ValueError, match=r".+"):
        decode(data)


def test_an_entry_of_another_version_is_refused(make_trail):
    data = json.loads(encode(from_trail("answered", make_trail(), writer="w", counter=0)))
    with pytest.raises(ValueError, match="version 2, this doctrail knows 1"):
        decode(json.dumps(data | {"v": 2}).encode())


# --- never a text

_ALLOWED = {
    "response_id", "query_hash", "session_id", "user_id", "trace_id", "service", "framework",
    "chunk_id", "document_id", "content_hash", "model", "source", "version",
}  # fmt: skip
"""The only fields whose words may be in an entry."""


def test_no_text_of_a_trail_gets_into_its_entry():
    trail = _trail_of_secrets()
    data = encode(from_trail("answered", trail, writer="w", counter=0)).decode()
    planted = list(_strings(trail))
    assert len(planted) > 25
    leaked = {name for name, value in planted if value in data}
    assert leaked <= _ALLOWED
    assert {"question", "answer", "text", "output", "result", "arguments", "error", "query"} <= {
        name for name, _ in planted
    }


def _trail_of_secrets() -> Trail:
    """A trail in which every field that takes words has words of its own."""
    chunk = _filled(Chunk, metadata={"title": "secret-metadata"})
    generation = _filled(
        Generation, messages=(_filled(Message),), parameters={"stop": "secret-stop"}
    )
    arrival = _filled(Arrival, chunk_id=chunk.chunk_id, state="full")
    return _filled(
        Trail,
        status="ok",
        retrievals=(
            _filled(Retrieval, hits=(Hit(chunk, 0),), filters={"tenant": "secret-filter"}),
        ),
        contexts=(Context(generation.generation_id, (arrival,), 1, 0),),
        generations=(generation,),
        tool_calls=(_filled(ToolCall),),
    )


def _filled(record, **given_values):
    values = {}
    for number, field in enumerate(fields(record)):
        if field.name in given_values:
            values[field.name] = given_values[field.name]
        elif field.type in ("str", str) or "str | None" in str(field.type):
            values[field.name] = f"secret-{record.__name__}-{field.name}-{number}"
        elif "datetime" in str(field.type):
            values[field.name] = NOW
        elif field.name == "coverage":
            values[field.name] = 1.0
    return record(**values)


def _strings(value, name="", seen_in=""):
    if isinstance(value, str) and "secret" in value:
        yield name, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _strings(getattr(value, field.name), field.name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item, f"{name}.{key}")
    elif isinstance(value, tuple):
        for item in value:
            yield from _strings(item, name)
