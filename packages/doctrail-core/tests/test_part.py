"""The part of a trail that happened inside one run, for answers that are checked one by one."""

from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.model import Message
from doctrail_core.model.part import part
from doctrail_core.testing import capture_trails


def ask(lineage, engine, chunk_id):
    """An engine inside of the response searches, and answers; it has not returned yet."""
    search, call = f"{engine}-search", f"{engine}-call"
    text = f"The text of {chunk_id} says what only it can say."
    lineage.record(RetrievalStarted(search, engine, "store", chunk_id, "test"))
    lineage.record(RetrievalEnded(search, [RetrievedChunk(text, chunk_id, chunk_id)]))
    lineage.record(PromptSent(call, engine, [Message("user", text)], "test"))
    lineage.record(GenerationEnded(call, f"As {chunk_id} says."))


def test_a_run_that_is_still_open_has_what_happened_inside_of_it_and_no_more():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "agent", "test", "Which?"))
        lineage.record(RunStarted("first", "r", "engine", "test", "Which first?"))
        ask(lineage, "first", "doc-1")
        lineage.record(RunEnded("first"))
        lineage.record(RunStarted("second", "r", "engine", "test", "Which second?"))
        ask(lineage, "second", "doc-2")
        within = part(lineage.so_far("second"), "second")
        whole = part(lineage.so_far("second"), "r")
        lineage.record(RunEnded("second"))
        lineage.record(RunEnded("r"))
    assert set(within.chunks) == {"doc-2"}
    assert [g.output for g in within.generations] == ["As doc-2 says."]
    assert [c.generation_id for c in within.contexts] == ["second-call"]
    assert within.response_id == "r"
    assert set(whole.chunks) == {"doc-1", "doc-2"}
    [trail] = lineage.trails
    assert [set(part(trail, run).chunks) for run in ("first", "second", "r")] == [
        {"doc-1"},
        {"doc-2"},
        {"doc-1", "doc-2"},
    ]


def test_an_engine_that_an_open_search_asks_has_read_what_it_found_itself():
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "app", "test", "Which?"))
        lineage.record(RetrievalStarted("outer", "r", "linking store", "Which?", "test"))
        lineage.record(RunStarted("inner", "outer", "engine", "test", "Which?"))
        ask(lineage, "inner", "doc-1")
        within = part(lineage.so_far("inner"), "inner")
        lineage.record(RunEnded("inner"))
        lineage.record(RetrievalEnded("outer", []))
        lineage.record(RunEnded("r"))
    assert [[a.state for a in c.arrivals] for c in within.contexts] == [["full"]]
