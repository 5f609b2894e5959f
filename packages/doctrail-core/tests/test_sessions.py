"""What a turn builds on that earlier turns of its session retrieved."""

import pytest

from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
    ToolCalled,
    ToolReturned,
)
from doctrail_core.model import Message
from doctrail_core.testing import capture_trails

RENEWAL = "The contract renewal deadline for enterprise accounts is February 28th of each year."
NOTICE = "Either party may end this agreement by giving ninety days written notice to the other."
LAW = "This agreement is governed by the laws of the State of Delaware, without its conflict rules."
FIRST = (
    "Enterprise accounts renew by the end of February, which is the 28th in most years, as agreed."
)


@pytest.fixture
def lineage():
    with capture_trails() as captured:
        yield captured
        assert captured.errors == []


def chunk(text, name):
    return RetrievedChunk(text, f"{name}#0", name, 0, metadata={"source": f"{name}.pdf"})


def turn(
    lineage, response, messages, *, found=(), answer="Yes.", session="s", carried=(), question="?"
):
    """A chain that may search and then asks a model; returns its trail."""
    lineage.record(RunStarted(response, None, "chain", "test", question, session_id=session))
    if found:
        lineage.record(RetrievalStarted(f"{response}-ret", response, "R", question, "test"))
        lineage.record(RetrievalEnded(f"{response}-ret", found))
    lineage.record(PromptSent(f"{response}-llm", response, messages, "test", carried=carried))
    lineage.record(GenerationEnded(f"{response}-llm", answer))
    lineage.record(RunEnded(response, answer))
    return lineage.get(response)


def first_turn(lineage, answer=FIRST, **more):
    prompt = [Message("user", f"Answer from this:\n{RENEWAL}")]
    return turn(lineage, "r1", prompt, found=[chunk(RENEWAL, "renewal")], answer=answer, **more)


def told(trail):
    return [
        (c.chunk.chunk_id, c.carried_by, c.response_id, c.turn, c.through) for c in trail.carried
    ]


def test_a_text_still_in_the_prompt_at_turn_7_is_traced_to_the_search_of_turn_1(lineage):
    assert first_turn(lineage).turn == 1
    for number in range(2, 7):
        turn(lineage, f"r{number}", [Message("user", "And what else?")])
    prompt = [Message("user", f"Context of before:\n{RENEWAL}\n\nIs that so every year?")]
    trail = turn(lineage, "r7", prompt)
    assert trail.turn == 7
    assert told(trail) == [("renewal#0", "text", "r1", 1, None)]
    ((arrival,),) = (context.arrivals for context in trail.contexts)
    (span,) = arrival.spans
    assert prompt[0].text[span.start : span.end] == RENEWAL
    assert (arrival.state, arrival.order) == ("full", 0)
    assert trail.contexts[0].unexplained_length == len(prompt[0].text) - len(RENEWAL)
    assert trail.involvements == {"renewal#0": "direct"}
    assert trail.documents[0].grade == "in_prompt"


def test_what_only_an_earlier_answer_brought_is_indirect_and_transitive(lineage):
    first_turn(lineage)
    history = [Message("user", "When?"), Message("assistant", FIRST), Message("user", "Sure?")]
    second = turn(lineage, "r2", history, answer="Quite sure.")
    assert told(second) == [("renewal#0", "answer", "r1", 1, "r1")]
    assert second.involvements == {"renewal#0": "indirect"}
    assert second.contexts[0].arrivals == ()
    later = [Message("user", "Sure?"), Message("assistant", "Quite sure."), Message("user", "Ok?")]
    assert told(turn(lineage, "r3", later)) == [("renewal#0", "answer", "r1", 1, "r2")]


def test_a_long_answer_within_a_flattened_history_is_recognised_and_a_short_one_is_not(lineage):
    first_turn(lineage)
    flat = [Message("user", f"Human: When?\nAI: {FIRST}\nHuman: Sure?")]
    assert told(turn(lineage, "r2", flat, answer="Yes, sure.")) == [
        ("renewal#0", "answer", "r1", 1, "r1")
    ]
    assert told(turn(lineage, "r3", [Message("user", "AI: Yes, sure.\nHuman: Ok?")])) == []


def test_a_kept_artifact_is_on_the_ledger_before_the_model_is_called(lineage):
    first_turn(lineage)
    kept = RetrievedChunk(NOTICE, "notice#0", "notice", 0)
    lineage.record(RunStarted("r2", None, "chain", "test", "?", session_id="s"))
    before = len(lineage.entries)
    lineage.record(PromptSent("m", "r2", [Message("tool", NOTICE)], "test", carried=[kept]))
    ((kind, known),) = lineage.entries[before:]
    assert (kind, list(known.chunks)) == ("retrieved", ["notice#0"])


def test_an_artifact_is_traced_to_the_turn_that_found_it_or_to_nobody(lineage):
    first_turn(lineage)
    kept = [RetrievedChunk(RENEWAL, "renewal#0", "renewal", 0), chunk(NOTICE, "notice")]
    trail = turn(lineage, "r2", [Message("tool", f"{RENEWAL}\n{NOTICE}")], carried=kept)
    assert told(trail) == [
        ("renewal#0", "artifact", "r1", 1, None),
        ("notice#0", "artifact", None, None, None),
    ]


def test_an_artifact_that_is_not_in_the_prompt_is_not_claimed(lineage):
    trail = turn(lineage, "r1", [Message("user", "Hello")], carried=[chunk(RENEWAL, "renewal")])
    assert (trail.carried, trail.contexts[0].arrivals) == ((), ())


def test_what_the_response_itself_found_is_not_carried(lineage):
    first_turn(lineage)
    history = [Message("assistant", FIRST), Message("user", f"{RENEWAL}\nSure?")]
    again = [RetrievedChunk(RENEWAL, "other-id", "other", 0)]
    trail = turn(lineage, "r2", history, found=again, carried=[chunk(RENEWAL, "renewal")])
    assert trail.carried == ()
    assert [a.chunk_id for a in trail.contexts[0].arrivals] == ["other-id"]


def test_another_session_knows_nothing_of_it(lineage):
    first_turn(lineage)
    trail = turn(
        lineage, "r2", [Message("assistant", FIRST), Message("user", RENEWAL)], session="t"
    )
    assert (trail.carried, trail.turn) == ((), 1)


def test_a_resumed_run_is_traced_to_the_interrupted_turn(lineage):
    lineage.record(RunStarted("r1", None, "agent", "test", "When?", session_id="s"))
    lineage.record(ToolCalled("tool", "r1", "search", "test", "{}", "call-1"))
    lineage.record(RetrievalStarted("ret", "tool", "R", "renewal", "test"))
    lineage.record(RetrievalEnded("ret", [chunk(RENEWAL, "renewal"), chunk(LAW, "law")]))
    lineage.record(ToolReturned("tool", RENEWAL, "call-1"))
    lineage.record(RunEnded("r1", interrupted=True))
    prompt = [Message("user", "When?"), Message("tool", RENEWAL, "call-1")]
    trail = turn(lineage, "r2", prompt)
    assert lineage.get("r1").status == "interrupted"
    assert told(trail) == [
        ("renewal#0", "text", "r1", 1, None),
        ("law#0", "tool", "r1", 1, "r1"),
    ]
    assert trail.involvements == {"renewal#0": "direct", "law#0": "indirect"}
