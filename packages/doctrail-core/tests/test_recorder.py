"""What the recorder makes of events, in whatever order a host sends them."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from doctrail_core.capture import recorder as recorder_module
from doctrail_core.capture.events import (
    ContextSelected,
    GenerationEnded,
    GenerationStreamed,
    PromptSent,
    RetrievalDescribed,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunFailed,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.capture.reports import Reports
from doctrail_core.capture.scope import suppress
from doctrail_core.capture.settings import Settings
from doctrail_core.model import Message
from doctrail_core.testing import CapturedLineage, capture_trails

RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th of each year."
NOTICE = "Either party may end this agreement by giving ninety days written notice to the other."
QUESTION = "When is the renewal deadline?"


@pytest.fixture
def lineage():
    with capture_trails() as captured:
        yield captured
        assert captured.errors == []


def ask(lineage: CapturedLineage, run_id="r", *, context=f"{RENEWAL}\n\n{NOTICE}", chunks=None):
    """A chain as LangChain would report it: root, retriever, model."""
    found = chunks if chunks is not None else [chunk(RENEWAL, 0, 0.9), chunk(NOTICE, 1, 0.4)]
    lineage.record(RunStarted(run_id, None, "chain", "test", QUESTION, session_id="s1"))
    lineage.record(RetrievalStarted(f"{run_id}-ret", run_id, "Retriever", QUESTION, "test"))
    lineage.record(RetrievalEnded(f"{run_id}-ret", found))
    prompt = [Message("system", f"Answer from this:\n{context}"), Message("user", QUESTION)]
    asked = {"temperature": 0.5, "stop": ["February"]}
    lineage.record(PromptSent(f"{run_id}-llm", run_id, prompt, "test", "m-1", parameters=asked))
    lineage.record(GenerationEnded(f"{run_id}-llm", "February 28th."))
    lineage.record(RunEnded(run_id, "February 28th."))


def chunk(text, index, score=None, document="doc_4821"):
    return RetrievedChunk(
        text, f"{document}#{index}", document, index, score=score, score_kind="similarity"
    )


def test_an_answer_leaves_one_trail_with_everything_in_it(lineage):
    ask(lineage)
    (trail,) = lineage.trails
    assert (trail.response_id, trail.status, trail.answer) == ("r", "ok", "February 28th.")
    assert (trail.question, trail.session_id, trail.framework) == (QUESTION, "s1", "test")
    (retrieval,) = trail.retrievals
    assert [(h.chunk.chunk_id, h.rank, h.score, h.score_kind) for h in retrieval.hits] == [
        ("doc_4821#0", 0, 0.9, "similarity"),
        ("doc_4821#1", 1, 0.4, "similarity"),
    ]
    (context,) = trail.contexts
    assert [(a.chunk_id, a.state, a.order) for a in context.arrivals] == [
        ("doc_4821#0", "full", 0),
        ("doc_4821#1", "full", 1),
    ]
    span = context.arrivals[0].spans[0]
    prompt = trail.generations[0].messages[span.message].text or ""
    assert prompt[span.start : span.end] == RENEWAL
    assert [(d.document_id, d.grade) for d in trail.documents] == [("doc_4821", "in_prompt")]
    assert lineage.open_count == 0


def test_sources_are_on_the_ledger_before_the_model_is_called(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(RetrievalStarted("ret", "r", "Retriever", QUESTION, "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    assert lineage.entries == []
    lineage.record(PromptSent("llm", "r", [Message("user", RENEWAL)], "test"))
    ((kind, known),) = lineage.entries
    assert (kind, list(known.chunks)) == ("retrieved", ["doc_4821#0"])
    lineage.record(GenerationEnded("llm", "x"))
    lineage.record(RunEnded("r", "x"))
    assert [kind for kind, _ in lineage.entries] == ["retrieved", "answered"]


def test_a_second_model_call_adds_an_entry_only_when_there_are_new_sources(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    for call in ("a", "b"):
        lineage.record(PromptSent(call, "r", [Message("user", RENEWAL)], "test"))
        lineage.record(GenerationEnded(call, "x"))
    lineage.record(RetrievalStarted("ret2", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("ret2", [chunk(NOTICE, 1)]))
    lineage.record(PromptSent("c", "r", [Message("user", NOTICE)], "test"))
    lineage.record(GenerationEnded("c", "x"))
    lineage.record(RunEnded("r", "x"))
    assert [kind for kind, _ in lineage.entries] == ["retrieved", "retrieved", "answered"]


def test_a_context_cut_by_a_budget_says_where_it_was_cut(lineage):
    ask(
        lineage,
        context=f"{RENEWAL}\n\n{NOTICE}"[:160],
        chunks=[
            chunk(RENEWAL, 0),
            chunk(NOTICE, 1),
            chunk("Governing law is that of Delaware, always.", 2),
        ],
    )
    arrivals = lineage.trails[0].contexts[0].arrivals
    assert [(a.state, a.reason) for a in arrivals] == [
        ("full", None),
        ("partial", "truncated"),
        ("absent", "truncated"),
    ]
    assert arrivals[2].reason_detail == "the context ends inside doc_4821#1"


def test_a_chunk_that_a_step_dropped_is_filtered_and_not_merely_unobserved(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0), chunk(NOTICE, 1)]))
    lineage.record(ContextSelected("r", ["doc_4821#0"], "SimilarityPostprocessor"))
    lineage.record(PromptSent("llm", "r", [Message("user", RENEWAL)], "test"))
    lineage.record(GenerationEnded("llm", "x"))
    lineage.record(RunEnded("r", "x"))
    dropped = lineage.trails[0].contexts[0].arrivals[1]
    assert (dropped.state, dropped.reason) == ("absent", "filtered")
    assert dropped.reason_detail == "by SimilarityPostprocessor"


def test_a_step_is_not_blamed_for_what_was_retrieved_after_it(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    for number, text in enumerate((RENEWAL, NOTICE)):
        lineage.record(RetrievalStarted(f"ret{number}", "r", "R", "q", "test"))
        lineage.record(RetrievalEnded(f"ret{number}", [chunk(text, number)]))
        lineage.record(ContextSelected("r", [], f"Filter{number}"))
    lineage.record(PromptSent("llm", "r", [Message("user", "q")], "test"))
    lineage.record(GenerationEnded("llm", "x"))
    lineage.record(RunEnded("r", "x"))
    blamed = [a.reason_detail for a in lineage.trails[0].contexts[0].arrivals]
    assert blamed == ["by Filter0", "by Filter1"]


def test_what_only_the_question_quotes_did_not_arrive(lineage):
    question = f"Is it true that {RENEWAL[:-1]}, as I was told?"
    lineage.record(RunStarted("r", None, "chain", "test", question))
    lineage.record(RetrievalStarted("ret", "r", "R", question, "test"))
    text = f"{RENEWAL} Unless it is a leap year, in which case it is the day after that one."
    lineage.record(RetrievalEnded("ret", [chunk(text, 0)]))
    lineage.record(PromptSent("llm", "r", [Message("user", f"Answer: {question}")], "test"))
    lineage.record(GenerationEnded("llm", "No."))
    lineage.record(RunEnded("r", "No."))
    (arrival,) = lineage.trails[0].contexts[0].arrivals
    assert (arrival.state, arrival.spans) == ("absent", ())


def test_an_event_that_arrives_while_its_thread_is_busy_waits_for_its_turn(lineage):
    class Collected(dict):
        """Stands for the garbage collector, which closes a stream in the middle of anything."""

        def pop(self, *args):
            if lineage.open_count and (ended := streams.pop() if streams else None):
                lineage.record(ended)
            return super().pop(*args)

    streams = [GenerationEnded("llm", "the part that was read")]
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [Message("user", QUESTION)], "test"))
    lineage._recorder._runs = Collected(lineage._recorder._runs)
    ending = threading.Thread(target=lineage.record, args=[RunEnded("r", "answer")], daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
    assert [t.status for t in lineage.trails] == ["ok"]


def test_what_another_call_of_the_answer_read_is_nobodys_fault(lineage):
    lineage.record(RunStarted("r", None, "refine", "test"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0), chunk(NOTICE, 1)]))
    for call, text in (("a", RENEWAL), ("b", NOTICE[:60]), ("c", NOTICE[60:])):
        lineage.record(PromptSent(call, "r", [Message("user", text)], "test"))
        lineage.record(GenerationEnded(call, "x"))
    lineage.record(RunEnded("r", "x"))
    told = [
        [(a.state, a.reason, a.reason_detail) for a in c.arrivals]
        for c in lineage.trails[0].contexts
    ]
    whole = ("absent", None, "read by another call of this answer")
    part = (None, "read in part by another call of this answer")
    assert [renewal for renewal, _ in told] == [("full", None, None), whole, whole]
    assert told[0][1] == ("absent", *part)
    assert told[1][1] == ("partial", "truncated", "the context ends inside this chunk")
    assert told[2][1] == ("absent", *part)


def test_a_chunk_that_is_cut_where_one_calls_prompt_is_full_is_not_missing_from_others(lineage):
    begins = "Termination needs a letter that both of the parties have signed before a notary, "
    ends = "who keeps one copy of it for ten years and sends the other one to the chamber."
    lineage.record(RunStarted("r", None, "refine", "test"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(
        RetrievalEnded("ret", [chunk(RENEWAL, 0), chunk(NOTICE, 1), chunk(f"{begins}{ends}", 2)])
    )
    texts = (f"{RENEWAL}\n{NOTICE[:60]}", f"{NOTICE[60:]}\n{begins}", ends)
    for call, text in zip("abc", texts, strict=True):
        lineage.record(PromptSent(call, "r", [Message("user", text)], "test"))
        lineage.record(GenerationEnded(call, "x"))
    lineage.record(RunEnded("r", "x"))
    told = [[(a.state, a.reason) for a in c.arrivals[1:]] for c in lineage.trails[0].contexts]
    assert told[0] == [("partial", "truncated"), ("absent", None)]
    assert told[1][1] == ("partial", "truncated")
    assert told[2] == [("absent", None), ("partial", None)]


def test_the_same_half_in_every_call_is_still_half_a_chunk(lineage):
    lineage.record(RunStarted("r", None, "agent", "test"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(f"{RENEWAL} {NOTICE}", 0)]))
    for call in ("a", "b", "c"):
        lineage.record(PromptSent(call, "r", [Message("user", RENEWAL)], "test"))
        lineage.record(GenerationEnded(call, "x"))
    lineage.record(RunEnded("r", "x"))
    told = [(a.state, a.reason) for c in lineage.trails[0].contexts for a in c.arrivals]
    assert told == [("partial", "truncated")] * 3


def test_a_response_that_cannot_be_completed_costs_no_other_one(monkeypatch):
    with capture_trails() as lineage:
        complete = Reports.complete

        def fail_first(reports, response, *args):
            if response.response_id == "first":
                raise RuntimeError("broken exporter")
            complete(reports, response, *args)

        monkeypatch.setattr(Reports, "complete", fail_first)
        for name in ("first", "second"):
            lineage.record(RunStarted(name, None, "chain", "test", QUESTION))
            lineage.record(PromptSent(f"{name}-llm", name, [], "test"))
        lineage.close()
        assert [t.response_id for t in lineage.trails] == ["second"]
        assert [where for where, _ in lineage.errors] == ["completing a response"]


def test_a_run_that_two_handlers_report_is_recorded_once(lineage):
    for _ in range(2):
        lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    for _ in range(2):
        lineage.record(RetrievalStarted("ret", "r", "R", QUESTION, "test"))
    for _ in range(2):
        lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    for _ in range(2):
        lineage.record(RunEnded("r", "x"))
    (trail,) = lineage.trails
    assert len(trail.retrievals) == 1
    assert lineage.dropped == {}


def test_a_forked_child_leaves_what_is_open_to_its_parent(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [], "test"))
    lineage._recorder._lock.acquire()  # by a thread that the child does not have
    lineage._recorder.after_fork_in_child()
    lineage.record(RunEnded("r", "x"))
    lineage.close()
    assert (lineage.trails, lineage.dropped, lineage.open_count) == ([], {}, 0)


def test_the_models_own_earlier_words_are_no_arrival(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("ret", "r", "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    prompt = [Message("assistant", RENEWAL), Message("user", "Are you sure?")]
    lineage.record(PromptSent("llm", "r", prompt, "test"))
    lineage.record(GenerationEnded("llm", "x"))
    lineage.record(RunEnded("r", "x"))
    assert [a.state for a in lineage.trails[0].contexts[0].arrivals] == ["absent"]


def test_inner_retrievals_tell_how_and_what_the_outer_one_dropped(lineage):
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("outer", "r", "Ensemble", "q", "test"))
    lineage.record(RetrievalStarted("inner", "outer", "BM25", "q", "test"))
    lineage.record(PromptSent("rewrite", "outer", [Message("user", "rewrite q")], "test"))
    lineage.record(GenerationEnded("rewrite", "q2"))
    lineage.record(RetrievalEnded("inner", [chunk(RENEWAL, 0), chunk(NOTICE, 1)]))
    lineage.record(RetrievalEnded("outer", [chunk(RENEWAL, 0)]))
    lineage.record(PromptSent("llm", "r", [Message("user", RENEWAL)], "test"))
    lineage.record(GenerationEnded("llm", "the answer"))
    lineage.record(RunEnded("r"))
    (trail,) = lineage.trails
    assert [(r.retrieval_id, r.enclosing_id) for r in trail.retrievals] == [
        ("inner", "outer"),
        ("outer", None),
    ]
    assert [(g.generation_id, g.auxiliary) for g in trail.generations] == [
        ("rewrite", True),
        ("llm", False),
    ]
    assert [(a.chunk_id, a.state, a.reason) for a in trail.contexts[0].arrivals] == [
        ("doc_4821#0", "full", None),
        ("doc_4821#1", "absent", "filtered"),
    ]
    assert trail.answer == "the answer"


def test_who_dropped_a_chunk_inside_a_retriever_is_named(lineage):
    """The nearest retriever that had it and did not hand it on, and the step of it where that is known."""
    found = [chunk(f"{RENEWAL} {number}", number) for number in range(4)]
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("outer", "r", "Compression", "q", "test"))
    lineage.record(RetrievalStarted("middle", "outer", "Ensemble", "q", "test"))
    lineage.record(RetrievalStarted("inner", "middle", "BM25", "q", "test"))
    lineage.record(RetrievalEnded("inner", found))
    lineage.record(RetrievalEnded("middle", found[:3]))
    lineage.record(ContextSelected("outer", ["doc_4821#0"], "Filter", among=["doc_4821#1"]))
    lineage.record(RetrievalEnded("outer", found[:1]))
    lineage.record(PromptSent("llm", "r", [Message("user", found[0].text)], "test"))
    lineage.record(RunEnded("r"))
    lineage.record(GenerationEnded("llm", "the answer"))
    assert {a.chunk_id: a.reason_detail for a in lineage.trails[0].contexts[0].arrivals} == {
        "doc_4821#0": None,
        "doc_4821#1": "by Filter in Compression",
        "doc_4821#2": "inside Compression",
        "doc_4821#3": "inside Ensemble",
    }


def test_a_chunk_whose_text_a_step_cut_says_where(lineage):
    whole = chunk(f"{RENEWAL} {NOTICE}", 0)
    lineage.record(RunStarted("r", None, "chain", "test"))
    lineage.record(RetrievalStarted("outer", "r", "Compression", "q", "test"))
    lineage.record(RetrievalStarted("inner", "outer", "BM25", "q", "test"))
    lineage.record(RetrievalEnded("inner", [whole]))
    lineage.record(RetrievalEnded("outer", [chunk(NOTICE, 0), chunk(RENEWAL, 0)]))
    lineage.record(PromptSent("llm", "r", [Message("user", f"{RENEWAL}\n\n{NOTICE}")], "test"))
    lineage.record(GenerationEnded("llm", "the answer"))
    lineage.record(RunEnded("r"))
    (trail,) = lineage.trails
    (context,) = trail.contexts
    (arrival,) = context.arrivals
    assert (arrival.state, arrival.reason) == ("full", None)
    assert arrival.reason_detail == "rewritten inside Compression"
    assert context.unexplained_length == len("\n\n")
    assert "rewritten inside Compression" in trail.why()


@pytest.mark.parametrize(("answer", "prepares"), [("a deadline", True), ("renewal", False)])
def test_a_call_whose_words_were_searched_for_answers_nobody_unless_they_are_the_answer(
    answer, prepares, lineage
):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("rewrite", "r", [Message("user", QUESTION)], "test"))
    lineage.record(GenerationEnded("rewrite", "renewal\n"))
    lineage.record(RetrievalStarted("ret", "r", "R", "renewal", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    lineage.record(PromptSent("llm", "r", [Message("user", RENEWAL)], "test"))
    lineage.record(GenerationEnded("llm", answer))
    lineage.record(RunEnded("r", answer))
    (trail,) = lineage.trails
    assert [g.auxiliary for g in trail.generations] == [prepares, False]
    assert len(trail.contexts) == 2 - prepares


def test_the_words_of_a_search_are_not_the_answer_of_a_response_that_was_cancelled(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("rewrite", "r", [Message("user", QUESTION)], "test"))
    lineage.record(GenerationEnded("rewrite", "renewal"))
    lineage.record(RetrievalStarted("ret", "r", "R", "renewal", "test"))
    lineage.record(RunFailed("r", asyncio.CancelledError()))
    assert lineage.trails[0].answer is None


def test_scores_that_hooks_cannot_see_are_joined_by_chunk_id(lineage):
    lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
    scores = {"doc_4821#0": 0.25, "doc_4821#1": float("nan")}
    lineage.record(
        RetrievalDescribed(
            "ret", 2, {"tenant": "acme"}, "similarity", "FAISS", None, scores, "distance"
        )
    )
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0), chunk(NOTICE, 1)]))
    (retrieval,) = lineage.trails[0].retrievals
    assert (retrieval.k, retrieval.filters, retrieval.store) == (2, {"tenant": "acme"}, "FAISS")
    assert [(h.score, h.score_kind) for h in retrieval.hits] == [
        (0.25, "distance"),
        (None, "unknown"),
    ]


@pytest.mark.parametrize("score", [None, float("nan"), float("inf"), "0.9", True, object()])
def test_what_is_no_number_is_no_score(lineage, score):
    lineage.record(RetrievalStarted("ret", None, "R", "q", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0, score)]))
    assert lineage.trails[0].retrievals[0].hits[0].score is None


def test_an_empty_retrieval_is_on_record_too(lineage):
    ask(lineage, chunks=[], context="nothing found")
    (trail,) = lineage.trails
    assert trail.retrievals[0].hits == ()
    assert trail.contexts[0].arrivals == ()
    assert [kind for kind, _ in lineage.entries] == ["answered"]


def test_the_same_chunk_returned_twice_stays_two_hits_of_one_chunk(lineage):
    ask(lineage, chunks=[chunk(RENEWAL, 0), chunk(RENEWAL, 0)])
    (trail,) = lineage.trails
    assert [h.rank for h in trail.retrievals[0].hits] == [0, 1]
    assert list(trail.chunks) == ["doc_4821#0"]
    assert [a.state for a in trail.contexts[0].arrivals] == ["full"]


def test_chunks_of_two_documents_that_share_an_id_keep_apart(lineage):
    same_id = [
        RetrievedChunk(RENEWAL, "1", "doc_4"),
        RetrievedChunk(NOTICE, "1", "doc_42"),
        RetrievedChunk(RENEWAL, "1", "doc_4"),
    ]
    ask(lineage, chunks=same_id)
    (trail,) = lineage.trails
    assert [h.chunk.chunk_id for h in trail.retrievals[0].hits] == ["1", "doc_42#1", "1"]
    assert [d.document_id for d in trail.documents] == ["doc_4", "doc_42"]
    assert [a.state for a in trail.contexts[0].arrivals] == ["full", "full"]


def test_a_run_that_retrieves_and_generates_nothing_leaves_nothing(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", "format this"))
    lineage.record(RunEnded("r", "formatted"))
    assert (lineage.trails, lineage.entries, lineage.open_count) == ([], [], 0)


def test_an_abandoned_stream_is_aborted_and_waits_for_the_model_to_be_drained(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [Message("user", QUESTION)], "test"))
    lineage.record(RunEnded("r", None, abandoned=True))
    assert lineage.trails == []
    lineage.record(GenerationEnded("llm", "the full text"))
    (trail,) = lineage.trails
    assert (trail.status, trail.answer) == ("aborted", "the full text")
    assert lineage.open_count == 0


def test_the_answer_of_an_abandoned_stream_is_what_had_been_said_by_then(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [Message("user", QUESTION)], "test"))
    lineage.record(GenerationStreamed("llm", "the full"))
    lineage.record(RunEnded("r", None, abandoned=True))
    lineage.record(GenerationEnded("llm", "the full text"))
    (trail,) = lineage.trails
    assert (trail.answer, trail.generations[0].output) == ("the full", "the full text")


def test_a_call_that_never_ends_keeps_what_it_had_said(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(ToolCalled("tool", "r", "ask", "test"))
    for call, parent in (("one", "r"), ("two", "r"), ("inner", "tool")):
        lineage.record(PromptSent(call, parent, [Message("user", QUESTION)], "test"))
        lineage.record(GenerationStreamed(call, f"{call} \ud800"))
    lineage.record(RunFailed("r", GeneratorExit()))
    (trail,) = lineage.trails
    assert trail.answer == "one \ufffd\n\ntwo \ufffd"
    assert {g.output for g in trail.generations} == {"one \ufffd", "two \ufffd", "inner \ufffd"}
    assert {g.error for g in trail.generations} == {"never ended"}


def test_a_cancelled_run_closes_at_once_although_its_model_never_ends(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [Message("user", QUESTION)], "test"))
    lineage.record(RunFailed("r", asyncio.CancelledError()))
    (trail,) = lineage.trails
    assert trail.status == "aborted"
    assert [g.error for g in trail.generations] == ["never ended"]
    assert lineage.open_count == 0


def test_the_late_end_of_a_run_that_a_failed_root_left_open_is_expected(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [Message("user", QUESTION)], "test"))
    lineage.record(RunFailed("r", GeneratorExit()))
    lineage.record(RunFailed("llm", GeneratorExit()))
    assert [t.status for t in lineage.trails] == ["aborted"]
    assert lineage.dropped == {}


def test_an_exception_is_an_error_and_keeps_what_was_retrieved(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(RetrievalStarted("ret", "r", "R", QUESTION, "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    lineage.record(PromptSent("llm", "r", [Message("user", RENEWAL)], "test"))
    lineage.record(RunFailed("llm", RuntimeError("rate limited")))
    lineage.record(RunFailed("r", RuntimeError("rate limited")))
    (trail,) = lineage.trails
    assert (trail.status, trail.error) == ("error", "RuntimeError: rate limited")
    assert trail.generations[0].error == "RuntimeError: rate limited"
    assert [d.document_id for d in trail.documents] == ["doc_4821"]


def test_an_event_after_its_run_ended_is_counted_and_harms_nothing(lineage):
    ask(lineage)
    lineage.record(GenerationEnded("r-llm", "again"))
    lineage.record(RunEnded("r", "again"))
    assert len(lineage.trails) == 1
    assert lineage.dropped == {"events after their run had ended": 2}


def test_a_sink_that_fails_costs_neither_the_answer_nor_the_other_sinks(monkeypatch):
    with capture_trails() as lineage:

        def full_disk(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(lineage.storage.ledger, "append", full_disk)
        ask(lineage)
        assert len(lineage.trails) == 1
        assert [where for where, _ in lineage.errors] == ["ledger", "ledger"]


def test_separate_calls_inside_a_scope_are_one_response(lineage):
    with lineage.scope(session_id="s", user_id="u") as opened:
        lineage.record(RetrievalStarted("ret", None, "R", QUESTION, "test"))
        lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
        lineage.record(PromptSent("llm", None, [Message("user", RENEWAL)], "test"))
        lineage.record(GenerationEnded("llm", "February 28th."))
        assert opened.trail is None
    trail = opened.trail
    assert trail is not None
    assert trail.response_id == opened.response_id
    assert (trail.session_id, trail.user_id, trail.framework) == ("s", "u", "test")
    assert (trail.question, trail.answer) == (QUESTION, "February 28th.")
    assert "February 28th" in opened.why()


def test_a_scope_inside_another_is_part_of_it(lineage):
    with lineage.scope() as outer:
        with lineage.scope() as inner:
            lineage.record(RetrievalStarted("ret", None, "Retriever", "q", "test"))
            lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
        assert "it is still open" in outer.why()
    assert [t.response_id for t in lineage.trails] == [outer.response_id]
    assert inner.response_id == outer.response_id
    assert inner.trail == outer.trail


def test_a_scope_of_another_lineage_is_a_response_of_its_own():
    with (
        capture_trails() as one,
        capture_trails() as other,
        one.scope() as outer,
        other.scope() as inner,
    ):
        assert inner.response_id != outer.response_id


def test_a_stream_that_is_drawn_after_its_scope_completes_the_response(lineage):
    with lineage.scope() as opened:
        lineage.record(PromptSent("llm", None, [Message("user", QUESTION)], "test"))
    assert opened.trail is None
    lineage.record(GenerationEnded("llm", "February 28th."))
    trail = opened.trail
    assert trail is not None
    assert (trail.status, trail.answer) == ("ok", "February 28th.")


def begin(lineage, run_id, parent_id):
    """An agent, in a task of its own."""
    lineage.record(RunStarted(run_id, parent_id, "agent", "test", QUESTION, detached=True))


def finish(lineage, run_id, answer="February 28th."):
    lineage.record(RetrievalStarted(f"{run_id}-ret", run_id, "Retriever", "renewal", "test"))
    lineage.record(RetrievalEnded(f"{run_id}-ret", [chunk(RENEWAL, 0)]))
    lineage.record(RunEnded(run_id, answer))


def test_a_task_that_outlives_its_scope_is_part_of_it_to_its_end(lineage):
    with lineage.scope(session_id="s1") as opened:
        begin(lineage, "agent", opened.response_id)
    assert lineage.trails == []
    finish(lineage, "agent")
    assert opened.trail is lineage.trails[0]
    assert (opened.trail.question, opened.trail.answer) == (QUESTION, "February 28th.")
    assert (opened.trail.session_id, len(opened.trail.retrievals)) == ("s1", 1)
    assert opened.trail.ended_at >= opened.trail.steps[0].ended_at
    assert lineage.open_count == 0


def test_a_task_that_begins_when_its_scope_has_ended_is_part_of_it(lineage):
    with lineage.scope(session_id="s1") as opened:
        context = contextvars.copy_context()
    for run_id in ("first", "second"):
        context.run(begin, lineage, run_id, opened.response_id)
    for run_id in ("first", "second"):
        context.run(finish, lineage, run_id)
    assert [opened.trail] == lineage.trails
    assert (opened.trail.session_id, len(opened.trail.steps)) == ("s1", 2)
    assert lineage.open_count == 0


def test_a_run_that_begins_when_its_scope_has_ended_and_is_no_task_stands_alone(lineage):
    with lineage.scope():
        context = contextvars.copy_context()
    context.run(ask, lineage)
    assert [t.response_id for t in lineage.trails] == ["r"]


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("no"), "error"), (asyncio.CancelledError(), "aborted")]
)
def test_how_a_task_ends_that_outlives_its_scope_is_how_the_response_ends(lineage, error, status):
    with lineage.scope() as opened:
        begin(lineage, "agent", opened.response_id)
        lineage.record(PromptSent("llm", "agent", [Message("user", QUESTION)], "test"))
    lineage.record(RunFailed("agent", error))
    assert opened.trail.status == status


def test_a_scope_that_raises_waits_for_no_task(lineage):
    with pytest.raises(ValueError, match="no"), lineage.scope() as opened:  # noqa: PT012  # the scope raises
        begin(lineage, "agent", opened.response_id)
        lineage.record(PromptSent("llm", "agent", [Message("user", QUESTION)], "test"))
        raise ValueError("no")
    assert opened.trail.status == "error"
    assert lineage.open_count == 0


def test_blocks_in_which_nothing_happened_are_not_kept_for_ever(lineage):
    for _ in range(300):
        with lineage.scope():
            pass
    assert len(lineage._recorder._awaited) == recorder_module._AWAITED


def test_the_question_of_a_scope_is_what_its_first_run_was_asked(lineage):
    with lineage.scope() as opened:
        lineage.record(RunStarted("agent", opened.response_id, "agent", "test", QUESTION))
        lineage.record(RunStarted("engine", "agent", "engine", "test", "renewal"))
        lineage.record(RetrievalStarted("ret", "engine", "Retriever", "renewal", "test"))
        lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
        lineage.record(RunEnded("engine"))
        lineage.record(RunEnded("agent"))
    assert opened.trail.question == QUESTION


def test_a_scope_that_raises_is_on_record_as_an_error_and_raises(lineage):
    with pytest.raises(ValueError, match="mine"), lineage.scope() as opened:  # noqa: PT012  # the events are the point
        lineage.record(RetrievalStarted("ret", None, "R", QUESTION, "test"))
        lineage.record(RetrievalEnded("ret", []))
        raise ValueError("mine")
    trail = opened.trail
    assert trail is not None
    assert trail.status == "error"


def test_nothing_is_recorded_inside_suppress(lineage):
    with suppress():
        ask(lineage)
    assert (lineage.trails, lineage.entries, lineage.dropped) == ([], [], {})


def test_tools_and_what_was_retrieved_inside_them_are_tied_together(lineage):
    lineage.record(RunStarted("r", None, "agent", "test", QUESTION))
    lineage.record(ToolCalled("tool", "r", "search", "test", '{"q": "x"}', "call_1"))
    lineage.record(RetrievalStarted("ret", "tool", "R", "x", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, 0)]))
    lineage.record(ToolReturned("tool", RENEWAL))
    lineage.record(RunEnded("r", "x"))
    (trail,) = lineage.trails
    assert trail.retrievals[0].tool_call_id == "call_1"
    assert (trail.tool_calls[0].name, trail.tool_calls[0].result) == ("search", RENEWAL)


def test_a_response_that_its_host_lost_is_closed_when_too_many_are_open(lineage, monkeypatch):
    monkeypatch.setattr(recorder_module, "MAX_OPEN_RESPONSES", 3)
    for number in range(5):
        lineage.record(RunStarted(f"lost-{number}", None, "chain", "test"))
        lineage.record(PromptSent(f"llm-{number}", f"lost-{number}", [], "test"))
    assert [t.response_id for t in lineage.trails] == ["lost-0", "lost-1"]
    assert {t.status for t in lineage.trails} == {"interrupted"}
    assert lineage.dropped == {"responses that never ended": 2}


def test_closing_puts_open_responses_on_record_as_interrupted(lineage):
    lineage.record(RunStarted("r", None, "chain", "test", QUESTION))
    lineage.record(PromptSent("llm", "r", [], "test"))
    lineage.close()
    assert [(t.response_id, t.status) for t in lineage.trails] == [("r", "interrupted")]
    assert lineage.open_count == 0


def test_concurrent_responses_do_not_mix(lineage):
    barrier = threading.Barrier(8)

    def one(number):
        barrier.wait()
        for turn in range(25):
            text = (
                f"Fact {number}-{turn}: the deadline of client {number} is day {turn} of the year."
            )
            document = f"doc_{number}_{turn}"
            ask(
                lineage,
                f"{number}-{turn}",
                context=text,
                chunks=[chunk(text, 0, document=document)],
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert len(lineage.trails) == 200
    for trail in lineage.trails:
        (document,) = trail.documents
        assert document.document_id == "doc_" + trail.response_id.replace("-", "_")
        assert document.grade == "in_prompt"
    assert lineage.open_count == 0


@pytest.mark.parametrize("content", ["hash", "off"])
def test_without_texts_a_trail_keeps_ids_scores_and_offsets(content):
    with capture_trails(Settings(content=content)) as lineage:
        ask(lineage)
        (trail,) = lineage.trails
        assert "February" not in repr(trail)
        assert "renewal" not in repr(trail)
        assert trail.contexts[0].arrivals[0].spans
        hit = trail.retrievals[0].hits[0]
        assert (hit.chunk.chunk_id, hit.score) == ("doc_4821#0", 0.9)
        assert (hit.chunk.content_hash is None) == (content == "off")
        assert "February" not in repr(lineage.entries)
        assert lineage.last is trail


def test_lone_surrogates_and_a_megabyte_chunk_are_taken_as_they_come(lineage):
    text = "renewal \ud800 deadline is February 28th for all of the accounts " * 16_000
    ask(lineage, context=text, chunks=[chunk(text, 0)])
    (trail,) = lineage.trails
    assert trail.contexts[0].arrivals[0].state == "full"
    assert "\ud800" not in (trail.chunks["doc_4821#0"].text or "")
