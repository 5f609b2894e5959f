"""What Phoenix really exported of recorded spans (see `recorded/phoenix_exports.py`) becomes the same trails."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail.receiver.decoding import decode
from doctrail.receiver.phoenix import decode_phoenix
from doctrail.receiver.span import ReceivedSpan
from doctrail.receiver.translation import translate
from doctrail_core.model import Trail
from doctrail_core.testing import capture_trails

RECORDED = Path(__file__).parent / "recorded"
SENT = (
    "openinference_langchain.in_session",
    "openinference_langchain.failing_search",
    "openinference_llama_index.reranked",
)


def whole(name: str) -> object:
    return json.loads((RECORDED / name).read_text())


def lines(name: str) -> object:
    return [json.loads(line) for line in (RECORDED / name).read_text().splitlines()]


EXPORTS: dict[str, Callable[[str], object]] = {
    "phoenix.spans.json": whole,
    "phoenix.otlpv1.json": whole,
    "phoenix.dataframe.jsonl": lines,
    "phoenix.dataframe.iso.jsonl": lines,
}


def exported(name: str) -> list[ReceivedSpan]:
    decoded = decode_phoenix(EXPORTS[name](name))
    assert decoded.rejected == 0
    return decoded.spans


def trails_of(spans: list[ReceivedSpan]) -> dict[str, Trail]:
    with capture_trails() as lineage:
        for response in translate(spans):
            for event in response.events:
                lineage.record(event)
        assert lineage.errors == []
        return {trail.response_id: trail for trail in lineage.trails}


def gist(trail: Trail) -> dict[str, Any]:
    """What has to be the same; scores are as exact as the export."""
    return {
        "asked": (trail.question, trail.answer, trail.session_id, trail.user_id, trail.error),
        "found": [
            [
                (
                    h.chunk.chunk_id,
                    h.chunk.document_id,
                    h.chunk.text,
                    h.chunk.index,
                    round(h.score or 0, 9),
                )
                for h in r.hits
            ]
            for r in trail.retrievals
        ],
        "read": [[(a.chunk_id, a.state, a.reason) for a in c.arrivals] for c in trail.contexts],
        "said": [(g.messages, g.output, g.usage, g.model, g.parameters) for g in trail.generations],
        "kept": [[(k.chunk_id, k.score) for k in r.kept] for r in trail.reranks],
    }


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_says_what_was_sent(name: str) -> None:
    sent = [
        span for s in SENT for span in decode((RECORDED / f"{s}.json").read_bytes(), "json").spans
    ]
    before, after = trails_of(sent), trails_of(exported(name))
    assert {i: gist(trail) for i, trail in after.items()} == {
        i: gist(trail) for i, trail in before.items()
    }
    assert len(after) == 3


def test_who_wrote_the_spans_is_lost_in_an_export() -> None:
    trails = trails_of(exported("phoenix.spans.json"))
    assert {trail.framework for trail in trails.values()} == {"openinference"}


def test_a_row_written_by_default_is_exact_to_the_millisecond() -> None:
    exact = {span.span_id: span for span in exported("phoenix.dataframe.iso.jsonl")}
    for span in exported("phoenix.dataframe.jsonl"):
        assert span.start == exact[span.span_id].start // 10**6 * 10**6
        assert exact[span.span_id].start % 1000 == 0


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, "a span was expected, not int"),
        ({}, "it is neither OTLP in JSON nor an export of Phoenix"),
        ({"context": {"trace_id": "xyz"}}, "an id must be hexadecimal"),
        ({"context": {"trace_id": "ab"}}, "a trace id must be 16 bytes that are not all zero"),
        (
            {"context": {"trace_id": "a" * 32, "span_id": "b" * 16}, "start_time": "soon"},
            "a time is neither a number nor a date",
        ),
    ],
)
def test_what_is_no_span_is_rejected_with_the_reason(value: object, reason: str) -> None:
    good = {"context": {"trace_id": "a" * 32, "span_id": "b" * 16}}
    decoded = decode_phoenix([value, good])
    assert (decoded.rejected, decoded.reason, len(decoded.spans)) == (1, reason, 1)


@pytest.mark.parametrize(
    ("told", "nanoseconds"),
    [
        ("2026-11-22T20:32:04.672593Z", 1795379524672593000),
        ("2026-11-22T21:32:04.672593+01:00", 1795379524672593000),
        ("2026-11-22T20:32:04.672593", 1795379524672593000),
        (1795379524.5, 1795379524500000000),
        (1795379524672, 1795379524672000000),
        (1795379524672593, 1795379524672593000),
        ("1795379524672593001", 1795379524672593001),
        (None, 0),
    ],
)
def test_a_time_is_a_date_or_a_number_of_any_unit(told: object, nanoseconds: int) -> None:
    row = {"context.trace_id": "a" * 32, "context.span_id": "b" * 16, "start_time": told}
    (span,) = decode_phoenix(row).spans
    assert span.start == nanoseconds


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "attributes",
    "attributes.input.value",
    "context",
    "context.span_id",
    "context.trace_id",
    "data",
    "end_time",
    "events",
    "name",
    "parent_id",
    "span_id",
    "span_kind",
    "start_time",
    "start_time_unix_nano",
    "status",
    "status_code",
    "trace_id",
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON | st.just("ab" * 16) | st.just("cd" * 8)))
def test_no_document_makes_it_raise(document: dict[str, object]) -> None:
    decoded = decode_phoenix(document)
    translate(decoded.spans)
    assert decoded.rejected == 0 or decoded.reason
