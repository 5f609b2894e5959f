"""What a turn builds on that earlier turns of its session retrieved."""

import pytest
from inline_snapshot import snapshot

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
from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.ledger.record import decode as ledger_entry
from doctrail_core.ledger.record import encode as ledger_bytes
from doctrail_core.ledger.record import from_trail
from doctrail_core.model import Message
from doctrail_core.testing import capture_trails
from doctrail_core.trails.codec import decode, encode, joined, taken_apart

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


def test_the_host_knows_whose_text_it_is_where_earlier_turns_had_two_alike(lineage):
    found = [chunk(RENEWAL, "a"), chunk(RENEWAL, "b")]
    turn(lineage, "r1", [Message("user", RENEWAL)], found=found)
    trail = turn(lineage, "r2", [Message("user", f"{RENEWAL} Sure?")])
    assert [(a.chunk_id, a.state) for a in trail.contexts[0].arrivals] == [
        ("a#0", "ambiguous"),
        ("b#0", "ambiguous"),
    ]
    trail = turn(lineage, "r3", [Message("user", f"{RENEWAL} Sure?")], carried=[found[1]])
    assert [(a.chunk_id, a.state) for a in trail.contexts[0].arrivals] == [("b#0", "full")]


def test_an_artifact_that_lost_its_ids_is_known_by_its_text(lineage):
    first_turn(lineage)
    kept = [RetrievedChunk(RENEWAL)]
    assert told(turn(lineage, "r2", [Message("tool", RENEWAL)], carried=kept)) == [
        ("renewal#0", "artifact", "r1", 1, None)
    ]


def test_what_the_user_quotes_was_brought_by_the_user(lineage):
    first_turn(lineage)
    question = f"You said: {RENEWAL} Is that so?"
    assert turn(lineage, "r2", [Message("user", question)], question=question).carried == ()


def test_a_chunk_of_another_document_with_the_same_id_keeps_a_name_of_its_own(lineage):
    turn(lineage, "r1", [Message("user", NOTICE)], found=[RetrievedChunk(NOTICE, "1", "old")])
    prompt = [Message("user", f"{LAW}\n{NOTICE}")]
    trail = turn(lineage, "r2", prompt, found=[RetrievedChunk(LAW, "1", "new")])
    assert {i: c.document_id for i, c in trail.chunks.items()} == {"1": "new", "old#1": "old"}
    assert [(a.chunk_id, a.state) for a in trail.contexts[0].arrivals] == [
        ("1", "full"),
        ("old#1", "full"),
    ]


def test_the_same_answer_of_two_turns_counts_if_it_is_there_twice(lineage):
    first_turn(lineage, answer="Yes.")
    turn(lineage, "r2", [Message("user", NOTICE)], found=[chunk(NOTICE, "notice")])
    once = [Message("assistant", "Yes."), Message("user", "Sure?")]
    assert turn(lineage, "r3", once, answer="No.").carried == ()
    twice = [Message("user", "?"), Message("assistant", "Yes."), *once]
    assert [c.chunk.chunk_id for c in turn(lineage, "r4", twice).carried] == [
        "renewal#0",
        "notice#0",
    ]


def test_one_call_id_of_two_turns_tells_nothing(lineage):
    for response, text, name in (("r1", RENEWAL, "renewal"), ("r2", NOTICE, "notice")):
        lineage.record(RunStarted(response, None, "agent", "test", "?", session_id="s"))
        lineage.record(ToolCalled(f"{response}-t", response, "search", "test", "{}", "call-1"))
        lineage.record(RetrievalStarted(f"{response}-r", f"{response}-t", "R", "?", "test"))
        lineage.record(RetrievalEnded(f"{response}-r", [chunk(text, name)]))
        lineage.record(ToolReturned(f"{response}-t", "A summary.", "call-1"))
        lineage.record(RunEnded(response, interrupted=True))
    assert turn(lineage, "r3", [Message("tool", "A summary.", "call-1")]).carried == ()


def test_a_first_call_that_reads_what_is_then_searched_again_read_it_from_before(lineage):
    first_turn(lineage)
    lineage.record(RunStarted("r2", None, "agent", "test", "?", session_id="s"))
    for call in ("first", "second"):
        prompt = [Message("user", f"{RENEWAL}\nGo on.")]
        lineage.record(PromptSent(call, "r2", prompt, "test"))
        lineage.record(GenerationEnded(call, "Let me look."))
        if call == "first":
            lineage.record(RetrievalStarted("again", "r2", "R", "?", "test"))
            lineage.record(RetrievalEnded("again", [chunk(RENEWAL, "renewal")]))
    lineage.record(RunEnded("r2", "Done."))
    trail = lineage.get("r2")
    assert [[a.state for a in context.arrivals] for context in trail.contexts] == [
        ["full"],
        ["full"],
    ]
    assert [context.unexplained_length for context in trail.contexts] == [7, 7]
    assert told(trail) == [("renewal#0", "text", "r1", 1, None)]
    assert trail.involvements == {"renewal#0": "direct"}


def test_many_chunks_behind_answers_are_bounded_and_counted(lineage):
    for number in range(60):
        found = [chunk(f"{number}.{part} {LAW}", f"d{number}-{part}") for part in range(6)]
        prompt = [Message("user", "\n".join(each.text for each in found))]
        turn(lineage, f"r{number}", prompt, found=found, answer=f"The answer is {number}.")
    history = [Message("assistant", f"The answer is {number}.") for number in range(60)]
    trail = turn(lineage, "last", history)
    assert len(trail.carried) == 256
    assert trail.carried[-1].response_id == "r59"
    assert lineage.dropped == {"chunks behind answers of long ago, not recorded again": 104}


def test_within_a_process_texts_are_compared_even_where_none_are_kept():
    with capture_trails(Settings(content="hash")) as lineage:
        first_turn(lineage)
        trail = turn(lineage, "r2", [Message("user", f"{RENEWAL} Sure?")])
        assert told(trail) == [("renewal#0", "text", "r1", 1, None)]
        assert trail.carried[0].chunk.text is None
        assert trail.carried[0].chunk.content_hash is not None
        assert lineage.errors == []


def test_answers_of_a_process_that_died_just_now_are_known(tmp_path):
    """Its records lie in the spool, and nobody has moved them yet."""
    first, second = (Lineage(Settings(home=tmp_path, spans="none")) for _ in range(2))
    first_turn(first)
    trail = turn(second, "r2", [Message("assistant", FIRST), Message("user", "Sure?")])
    assert (trail.turn, told(trail)) == (2, [("renewal#0", "answer", "r1", 1, "r1")])
    assert second.flush()
    kept = Lineage(Settings(home=tmp_path, spans="none")).get("r2")
    assert kept.carried[0].chunk.text == RENEWAL
    for each in (first, second):
        each.close()


def test_processes_that_answer_in_turns_know_of_each_other(tmp_path):
    first, second = (Lineage(Settings(home=tmp_path, spans="none")) for _ in range(2))
    first_turn(first)
    history = [Message("assistant", FIRST)]
    turn(second, "r2", [*history, Message("user", NOTICE)], found=[chunk(NOTICE, "notice")])
    trail = turn(first, "r3", [*history, Message("user", f"{NOTICE} Sure?")])
    assert trail.turn == 3
    assert told(trail) == [
        ("notice#0", "text", "r2", 2, None),
        ("renewal#0", "answer", "r1", 1, "r1"),
    ]
    for each in (first, second):
        each.close()


def test_an_erased_text_has_gone_from_the_prompts_that_it_was_carried_into(lineage):
    first_turn(lineage)
    trail = turn(lineage, "r2", [Message("user", f"Before: {RENEWAL}")])
    assert decode(encode(trail)) == trail
    parts = taken_apart(encode(trail))
    assert [use[:2] for use in parts.uses] == [["renewal", "renewal#0"]]
    assert RENEWAL.encode() not in parts.body
    erased = joined(parts.body, parts.question, parts.answer, {})
    assert erased.generations[0].messages[0].text == "Before: [erased]"
    assert erased.carried[0].chunk.text is None


def test_the_ledger_calls_indirect_what_only_an_answer_brought_and_stays_silent_otherwise(lineage):
    first = from_trail("answered", first_turn(lineage), writer="w", counter=0)
    assert b"involvement" not in ledger_bytes(first)
    history = [Message("assistant", FIRST), Message("user", "Sure?")]
    later = from_trail("answered", turn(lineage, "r2", history), writer="w", counter=1)
    (fact,) = later.chunks
    assert (fact.document_id, fact.grade, fact.involvement) == ("renewal", "in_prompt", "indirect")
    assert fact.carried
    assert ledger_entry(ledger_bytes(later)) == later


def test_before_the_model_is_called_the_ledger_says_no_more_than_that_a_chunk_is_there(lineage):
    turn(lineage, "r1", [Message("tool", RENEWAL)], carried=[chunk(RENEWAL, "renewal")])
    grades = [
        from_trail(kind, trail, writer="w", counter=0).chunks[0].grade
        for kind, trail in lineage.entries
    ]
    assert grades == ["retrieved", "in_prompt"]


def test_why_tells_the_turns(lineage):
    first_turn(lineage)
    turn(
        lineage,
        "r2",
        [Message("user", NOTICE), Message("assistant", FIRST), Message("user", "Sure?")],
        carried=[chunk(NOTICE, "notice")],
    )
    said = lineage.get("r2").why()
    assert said.startswith("Response r2, turn 2 of its session\n")
    start = said.index("What came from earlier turns")
    assert said[start : said.index("What the model read")] == snapshot("""\
What came from earlier turns (2 chunks)
  from turn 1 of this session, response r1
     document  chunk  how                                text
     renewal   0      through the answer of response r1  The contract renewal deadline for enterpri…
  from a turn that is not on record
     document  chunk  how                                     text
     notice    0      in the prompt, kept by the application  Either party may end this agreement b…

""")
