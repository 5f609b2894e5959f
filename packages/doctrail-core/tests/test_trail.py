"""A whole trail, as the recorder makes it with fixed ids and a fixed clock."""

from datetime import UTC, datetime

from inline_snapshot import snapshot
from pydantic import TypeAdapter

from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.graph import evidence_graph
from doctrail_core.model import Arrival, Context, Message, Trail
from doctrail_core.testing import capture_trails


def test_a_trail_holds_what_happened_and_nothing_else():
    text = "The renewal deadline is February 28th of every year."
    with capture_trails() as lineage:
        lineage.record(RunStarted("r", None, "chain", "test", "When?", "session-7", "ada"))
        lineage.record(RetrievalStarted("ret", "r", "Retriever", "When?", "test"))
        found = RetrievedChunk(text, None, "doc_4821", 3, {"source": "a.pdf"}, 0.87, "similarity")
        lineage.record(RetrievalEnded("ret", [found]))
        lineage.record(PromptSent("llm", "r", [Message("user", f"{text} When?")], "test", "m-1"))
        lineage.record(GenerationEnded("llm", "February 28th."))
        lineage.record(RunEnded("r", "February 28th."))
        (trail,) = lineage.trails
    told = TypeAdapter(Trail).dump_python(trail, mode="json", exclude_none=True)
    assert told == snapshot(
        {
            "response_id": "r",
            "status": "ok",
            "started_at": "2026-01-01T00:00:00Z",
            "ended_at": "2026-01-01T00:00:05Z",
            "query_hash": "hmac-sha256:7d7fb2837f7a62a254e48b4d70d624dbf1c4cfd7f367418b5def0379124062d4",
            "question": "When?",
            "answer": "February 28th.",
            "session_id": "session-7",
            "user_id": "ada",
            "trace_id": "00000000000000000000000000000001",
            "framework": "test",
            "retrievals": [
                {
                    "retrieval_id": "ret",
                    "retriever": "Retriever",
                    "query": "When?",
                    "query_hash": "hmac-sha256:7d7fb2837f7a62a254e48b4d70d624dbf1c4cfd7f367418b5def0379124062d4",
                    "hits": [
                        {
                            "chunk": {
                                "chunk_id": "sha256:bdc46ec931d5c9ea9bb27d0226b922b054c34f7c198a41a50c2591ea37cc0e8c",
                                "document_id": "doc_4821",
                                "content_hash": "sha256:23d7e1f1cbc03e48ba763be8f5bc76f5f2f175b87a6e20065b33795a96c3d298",
                                "text": "The renewal deadline is February 28th of every year.",
                                "index": 3,
                                "chunk_id_origin": "derived",
                                "document_id_origin": "given",
                                "source": "a.pdf",
                                "metadata": {"source": "a.pdf"},
                            },
                            "rank": 0,
                            "score": 0.87,
                            "score_kind": "similarity",
                        }
                    ],
                    "started_at": "2026-01-01T00:00:01Z",
                    "ended_at": "2026-01-01T00:00:02Z",
                    "access": [],
                }
            ],
            "contexts": [
                {
                    "generation_id": "llm",
                    "arrivals": [
                        {
                            "chunk_id": "sha256:bdc46ec931d5c9ea9bb27d0226b922b054c34f7c198a41a50c2591ea37cc0e8c",
                            "document_id": "doc_4821",
                            "state": "full",
                            "coverage": 1.0,
                            "share": 0.8966,
                            "order": 0,
                            "spans": [{"message": 0, "start": 0, "end": 52}],
                        }
                    ],
                    "prompt_length": 58,
                    "unexplained_length": 6,
                    "unexplained": [{"message": 0, "start": 52, "end": 58}],
                }
            ],
            "generations": [
                {
                    "generation_id": "llm",
                    "messages": [
                        {
                            "role": "user",
                            "text": "The renewal deadline is February 28th of every year. When?",
                        }
                    ],
                    "output": "February 28th.",
                    "started_at": "2026-01-01T00:00:03Z",
                    "ended_at": "2026-01-01T00:00:04Z",
                    "model": "m-1",
                    "parameters": {},
                    "finish_reasons": [],
                    "auxiliary": False,
                    "tool_requests": [],
                    "span_id": "0000000000000003",
                }
            ],
            "tool_calls": [],
            "steps": [],
            "carried": [],
            "turn": 1,
            "citations": [],
            "assessments": [],
            "diagnoses": [],
            "derivations": [],
            "reused": [],
            "reranks": [],
        }
    )


def test_drawing_a_graph_of_a_trail_adds_no_chunk_to_it():
    now = datetime.now(UTC)
    seen_only_in_a_prompt = Arrival("c-1", "doc_1", "full", 1.0)
    context = Context("llm", (seen_only_in_a_prompt,), prompt_length=10, unexplained_length=0)
    trail = Trail("r", "ok", now, now, "hash", contexts=(context,))

    assert "chunk:c-1" in {node.node_id for node in evidence_graph(trail).nodes}

    assert not trail.chunks
