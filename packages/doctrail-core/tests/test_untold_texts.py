"""Chunks whose texts nobody told, as instrumentations hide them: known by their ids, and no more is said."""

import pytest

from doctrail_core import Settings
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.model import Message, Trail
from doctrail_core.testing import CapturedLineage, capture_trails
from doctrail_core.text.identity import identify

TEXT = "The renewal of an enterprise contract must be declared by February 28th of each year."


def answered(lineage: CapturedLineage, *chunks: RetrievedChunk, kept: str | None = None) -> Trail:
    lineage.record(RunStarted("run", None, "app", "test", session_id="s"))
    lineage.record(RetrievalStarted("search", "run", "store", "q", "test"))
    lineage.record(RetrievalEnded("search", chunks))
    if kept:
        lineage.record(ContextSelected("run", [kept], "cutoff"))
    lineage.record(PromptSent("call", "run", [Message("user", f"{TEXT}\n\nq")], "test"))
    lineage.record(GenerationEnded("call", "An answer."))
    lineage.record(RunEnded("run", "An answer."))
    assert lineage.errors == []
    return lineage.trails[-1]


def test_a_chunk_without_a_text_has_no_hash_and_its_id_names_its_document() -> None:
    chunk = identify(None, chunk_id="c1")
    assert (chunk.chunk_id, chunk.document_id) == ("c1", "c1")
    assert (chunk.text, chunk.content_hash) == (None, None)
    assert (chunk.chunk_id_origin, chunk.document_id_origin) == ("given", "derived")


def test_its_metadata_names_its_document_as_ever() -> None:
    chunk = identify(None, metadata={"document_id": "d1", "chunk_index": 3})
    assert (chunk.document_id, chunk.index, chunk.chunk_id_origin) == ("d1", 3, "derived")
    other = identify(None, metadata={"document_id": "d1", "chunk_index": 4})
    assert chunk.chunk_id != other.chunk_id
    assert identify(None).chunk_id.startswith("sha256:")


def test_nothing_is_said_of_whether_it_arrived() -> None:
    with capture_trails() as lineage:
        told = RetrievedChunk(TEXT, "c1")
        trail = answered(lineage, told, RetrievedChunk(None, "c2"))
    (context,) = trail.contexts
    assert [(a.chunk_id, a.state) for a in context.arrivals] == [("c1", "full")]
    assert {d.document_id: d.grade for d in trail.documents}["c2"] == "retrieved"


def test_that_a_step_dropped_it_is_known() -> None:
    with capture_trails() as lineage:
        chunks = [RetrievedChunk(None, "c1"), RetrievedChunk(None, "c2")]
        trail = answered(lineage, *chunks, kept="c1")
    (context,) = trail.contexts
    assert [(a.chunk_id, a.reason) for a in context.arrivals] == [("c2", "filtered")]


def test_one_of_an_earlier_turn_is_not_taken_for_it() -> None:
    with capture_trails() as lineage:
        answered(lineage, RetrievedChunk(None, "c1"))
        second = answered(lineage, RetrievedChunk(None, "c2"))
    assert [d.document_id for d in second.documents] == ["c2"]


@pytest.mark.parametrize("content", ["full", "hash", "off"])
def test_it_is_kept_and_put_on_record(content: str) -> None:
    with capture_trails(Settings(content=content)) as lineage:  # type: ignore[arg-type]  # one of the three
        trail = answered(lineage, RetrievedChunk(None, "c1", score=0.5))
    (hit,) = trail.retrievals[0].hits
    assert (hit.chunk.chunk_id, hit.score, hit.chunk.text) == ("c1", 0.5, None)
    assert {kind for kind, _ in lineage.entries} == {"retrieved", "answered"}
