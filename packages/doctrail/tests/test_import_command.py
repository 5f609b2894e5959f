"""`doctrail import`: what is in files of traces is put on record, once."""

import gzip
import json
from pathlib import Path
from uuid import UUID

import pytest

RECORDED = Path(__file__).parent / "recorded"
NOW = 1_700_000_000_000_000_000


def request(trace, *, question="When?", at=NOW, **changes):
    """An answer without a search, as OTLP has it in JSON."""
    said = {
        "openinference.span.kind": "LLM",
        "session.id": "4711",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": question,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "On February 28th.",
    }
    span = {
        "traceId": f"{trace:032x}",
        "spanId": f"{1:016x}",
        "name": "chat",
        "startTimeUnixNano": str(at),
        "endTimeUnixNano": str(at + 1000),
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in said.items()],
        **changes,
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def response_id(trace):
    return str(UUID(int=trace))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "traces.jsonl"


def on_record(doctrail):
    return [row["response_id"] for row in doctrail("responses", "--json").json_lines]


def test_a_line_for_each_request_is_read(doctrail, file):
    file.write_text("\n\n".join(json.dumps(request(n, at=NOW + n)) for n in (1, 2)) + "\n")
    outcome = doctrail("import", str(file))
    assert (outcome.code, outcome.out, outcome.err) == (0, "2 answers were put on record.\n", "")
    assert on_record(doctrail) == [response_id(2), response_id(1)]


@pytest.mark.parametrize(
    "document",
    [request(1), [request(1)], [request(1), request(1)]],
    ids=["one", "a list", "twice the same"],
)
def test_one_document_for_the_whole_file_is_read(doctrail, file, document):
    file.write_text(json.dumps(document, indent=2))
    assert doctrail("import", str(file)).code == 0
    assert on_record(doctrail) == [response_id(1)]


def test_a_compressed_file_and_one_with_a_mark_at_its_beginning_are_read(doctrail, tmp_path):
    packed, marked = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"
    packed.write_bytes(gzip.compress(json.dumps(request(1, at=NOW + 1)).encode()))
    marked.write_text(json.dumps(request(2)), encoding="utf-8-sig")
    assert doctrail("import", str(packed), str(marked)).code == 0
    assert on_record(doctrail) == [response_id(1), response_id(2)]


@pytest.mark.parametrize(
    "name",
    [
        "phoenix.dataframe.jsonl",
        "phoenix.dataframe.iso.jsonl",
        "phoenix.otlpv1.json",
        "phoenix.spans.json",
    ],
)
def test_what_phoenix_exports_is_read(doctrail, name):
    outcome = doctrail("import", str(RECORDED / name))
    assert (outcome.code, outcome.err) == (0, "")
    assert on_record(doctrail)


def test_what_was_imported_once_is_passed_over(doctrail, file):
    file.write_text(json.dumps(request(1)))
    assert doctrail("import", str(file)).code == 0
    outcome = doctrail("import", str(file))
    assert (outcome.code, outcome.out) == (0, "1 answers were on record before.\n")
    assert on_record(doctrail) == [response_id(1)]


def test_lines_that_are_no_traces_are_named_and_cost_the_others_nothing(doctrail, file):
    lines = [
        json.dumps(request(1)),
        "no JSON",
        json.dumps({"resourceSpans": 7}),
        json.dumps(request(2, spanId="x")),
        json.dumps({"message": "a log"}),
        json.dumps(7),
        json.dumps(request(3, at=NOW + 1)),
    ]
    file.write_text("\n".join(lines))
    outcome = doctrail("import", str(file), "--json")
    assert outcome.code == 2
    assert outcome.json == {"recorded": 2, "malformed": 5}
    told = outcome.err.splitlines()
    assert [line.partition(f" of {file}")[0] for line in told] == [
        f"doctrail: line {number}" for number in (2, 3, 4, 5, 6)
    ]
    assert on_record(doctrail) == [response_id(3), response_id(1)]


def test_a_first_line_that_is_none_costs_only_itself(doctrail, file):
    file.write_text(f"# a remark\n{json.dumps(request(1))}\n")
    outcome = doctrail("import", str(file))
    assert outcome.code == 2
    assert "line 1" in outcome.err
    assert on_record(doctrail) == [response_id(1)]


def test_of_many_lines_that_are_none_only_the_first_are_named(doctrail, file):
    file.write_text("no JSON\n" * 1000)
    outcome = doctrail("import", str(file))
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 21
    assert "980 more lines" in outcome.err


def test_turns_of_a_conversation_follow_each_other_however_the_file_is_sorted(doctrail, file):
    newest_first = [request(n, question=f"Question {n}?", at=NOW + n * 10**9) for n in (3, 2, 1)]
    file.write_text("\n".join(json.dumps(each) for each in newest_first))
    assert doctrail("import", str(file)).code == 0
    rows = doctrail("responses", "--json").json_lines
    assert [(row["response_id"], row["turn"]) for row in rows] == [
        (response_id(n), n) for n in (3, 2, 1)
    ]


def test_a_trace_whose_spans_are_spread_over_files_is_one(doctrail, tmp_path):
    whole = request(1)
    child = request(1, spanId=f"{2:016x}", parentSpanId=f"{1:016x}")
    for name, document in (("a.jsonl", child), ("b.jsonl", whole)):
        (tmp_path / name).write_text(json.dumps(document))
    outcome = doctrail("import", str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl"))
    assert outcome.out == "1 answers were put on record.\n"


def test_a_file_without_answers_is_told(doctrail, file):
    file.write_text(json.dumps(request(1, attributes=[])))
    outcome = doctrail("import", str(file))
    assert (outcome.code, outcome.out) == (1, "1 traces hold no answer that is understood.\n")
    file.write_text("")
    assert doctrail("import", str(file)).code == 1


def test_a_compressed_file_that_was_cut_is_read_as_far_as_it_goes(doctrail, tmp_path):
    lines = "".join(f"{json.dumps(request(n))}\n" for n in range(1, 200))
    cut, whole, none = (tmp_path / f"{name}.gz" for name in ("cut", "whole", "none"))
    packed = gzip.compress(lines.encode())
    cut.write_bytes(packed[: len(packed) * 3 // 4])
    whole.write_bytes(gzip.compress(json.dumps(request(1000)).encode()))
    none.write_bytes(b"no gzip")
    outcome = doctrail("import", str(cut), str(whole), str(none), "--json")
    assert outcome.code == 2
    assert outcome.json["malformed"] == 2
    assert 2 < outcome.json["recorded"] < 200
    assert [
        str(path) in line for path, line in zip((cut, none), outcome.err.splitlines(), strict=True)
    ]


def test_where_nothing_can_be_recorded_that_is_told(doctrail, home, file):
    file.write_text(json.dumps(request(1)))
    home.mkdir()
    (home / "spool").write_text("no folder")
    outcome = doctrail("import", str(file))
    assert (outcome.code, outcome.out) == (3, "")
    assert len(outcome.err.splitlines()) == 1
    assert "a fault of doctrail" not in outcome.err


def test_a_file_that_is_not_there_is_told(doctrail, file):
    outcome = doctrail("import", str(file))
    assert outcome.code == 3
    assert str(file) in outcome.err


def test_nothing_of_the_texts_stays_beside_the_records(doctrail, home, file):
    file.write_text(json.dumps(request(1)))
    home.mkdir()
    (home / "import.db").write_text("what a run left that was killed")
    assert doctrail("import", str(file)).code == 0
    assert list(home.glob("import.db*")) == []


@pytest.mark.parametrize("content", ["", "\n", "[]", '{"resourceSpans": []}'])
def test_a_file_without_any_span_is_named(doctrail, file, content):
    file.write_text(content)
    outcome = doctrail("import", str(file))
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == f"doctrail: no spans are in {file}\n"
