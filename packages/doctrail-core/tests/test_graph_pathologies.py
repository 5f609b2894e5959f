"""What is wrong with how a response came by its evidence: what counts as that, and what does not yet."""

from dataclasses import replace

import pytest
from inline_snapshot import snapshot

from doctrail_core.graph import pathologies, tallied
from doctrail_core.graph.pathologies import (
    REREAD_CHARACTERS,
    STORM_CALLS,
    STORM_REPEATS,
    wrong,
)

QUESTION = "When must we give notice?"


def text(number):
    return (
        f"Paragraph {number} of the contract says what shall be done in the case {number * 7919}."
    )


def chunks(*numbers):
    return {f"doc_{number}#{number}": text(number) for number in numbers}


def found(trail, kind):
    return [p for p in pathologies(trail) if p.kind == kind]


def sentences(trail):
    return [p.sentence for p in pathologies(trail) if p.checked]


def test_a_plain_answer_has_nothing_wrong_with_it(story):
    told = story(QUESTION)
    told.search("s", None, QUESTION, chunks(1, 2))
    told.call("m", None, f"{text(1)}\n{text(2)}\n{QUESTION}", says="By November 30th.")
    trail = told.answered("By November 30th.")
    assert sentences(trail) == []
    assert list(wrong(trail)) == []


def test_searches_that_ask_anew_and_bring_the_same_are_thrash(story):
    told = story(QUESTION)
    told.search("s1", None, "notice", chunks(1, 2, 3, 4, 5))
    told.search("s2", None, "notice period", chunks(5, 4, 3, 2, 6))
    told.search("s3", None, "cancellation", chunks(7, 8, 1))
    told.search("s4", None, "notice", chunks(1, 2, 3, 4, 5))
    (thrash,) = found(told.answered("None."), "retrieval_thrash")
    assert (thrash.count, thrash.ids) == (2, ("s1", "s2", "s4"))
    assert thrash.sentence == snapshot(
        "2 searches asked something else than an earlier one and brought nearly the same chunks: nothing new was learnt by it."
    )


def test_one_question_asked_again_is_no_thrash_and_nothing_found_is_none(story):
    told = story(QUESTION)
    told.search("s1", None, "notice", chunks(1, 2))
    told.search("s2", None, "notice", chunks(1, 2))
    told.search("s3", None, "fees", {})
    told.search("s4", None, "costs", {})
    assert found(told.answered("None."), "retrieval_thrash") == []


def test_other_passages_of_the_same_document_are_no_thrash(story):
    told = story(QUESTION)
    told.search("s1", None, "notice", {"doc#1": text(1), "doc#2": text(2)})
    told.search("s2", None, "fees", {"doc#3": text(3), "doc#2": text(2)})
    assert found(told.answered("None."), "retrieval_thrash") == []


def test_searches_inside_another_are_meant_to_overlap(story):
    told = story(QUESTION)
    told.search("s", None, "notice", chunks(1, 2))
    trail = told.answered("None.")
    (outer,) = trail.retrievals
    inner = [
        replace(outer, retrieval_id=f"i{n}", enclosing_id="s", query_hash=str(n)) for n in (1, 2)
    ]
    assert pathologies(replace(trail, retrievals=(outer, *inner))) == pathologies(trail)


def storm(story, calls, arguments, parent="agent"):
    told = story(QUESTION)
    told.step("agent", None, "agent", QUESTION)
    for number in range(calls):
        told.tool(f"t{number}", parent, "search", arguments(number), f"c{number}")
        told.returned(f"t{number}", "nothing")
    told.ended("agent", "None.")
    told.call("m", None, QUESTION, says="None.")
    return told.answered("None.")


def test_many_calls_of_one_tool_are_a_storm(story):
    (many,) = found(storm(story, STORM_CALLS, str), "tool_storm")
    assert (many.count, many.sentence) == (10, "The tool search was called 10 times.")
    assert found(storm(story, STORM_CALLS - 1, str), "tool_storm") == []


def test_the_same_call_made_again_and_again_is_a_storm(story):
    (again,) = found(storm(story, STORM_REPEATS, lambda _: "{}"), "tool_storm")
    assert again.sentence == "The tool search was called 3 times, always with the same arguments."
    assert again.ids == ("t0", "t1", "t2")
    assert found(storm(story, STORM_REPEATS - 1, lambda _: "{}"), "tool_storm") == []


def test_a_prompt_full_of_chunks_is_not_called_bloat_where_nobody_checked_their_use(story):
    told = story(QUESTION)
    told.search("s", None, QUESTION, chunks(1, 2))
    told.call("m", None, f"{text(1)}\n{text(2)}\n{QUESTION}", says="By November 30th.")
    trail = told.answered("By November 30th.")
    (bloat,) = found(trail, "context_bloat")
    assert (bloat.checked, bloat.count, bloat.ids) == (False, 2, ("doc_1#1", "doc_2#2"))
    assert bloat.sentence == snapshot(
        "84 % of what the answering model read is text of 2 chunks; whether the answer uses it was not checked."
    )
    (tally,) = (t for t in tallied([trail, trail]) if t.kind == "context_bloat")
    assert (tally.of, tally.responses, tally.not_checked, tally.examples) == (2, 0, 2, ())


def test_what_no_answer_used_is_bloat_where_that_was_checked(story):
    told = story(QUESTION)
    told.search("s", None, QUESTION, chunks(1, 2, 3))
    told.call("m", None, "\n".join(map(text, (1, 2, 3))), says="By November 30th.")
    trail = told.answered("By November 30th.")
    grades = {"doc_1#1": "cited", "doc_2#2": "in_prompt", "doc_3#3": "in_prompt"}
    vars(trail)["chunk_grades"] = grades  # where they are kept once they were asked for
    (bloat,) = found(trail, "context_bloat")
    assert (bloat.checked, bloat.ids) == (True, ("doc_2#2", "doc_3#3"))
    assert bloat.sentence == snapshot(
        "66 % of what the answering model read is text of 2 chunks that the answer neither cites nor follows from."
    )
    vars(trail)["chunk_grades"] = grades | {"doc_2#2": "supports"}
    assert found(trail, "context_bloat") == []


def test_searches_that_found_nothing_are_told_with_what_they_asked(story):
    told = story(QUESTION)
    told.search("s1", None, "notice", chunks(1))
    told.search("s2", None, "notcie \x1b[2J", {})
    trail = told.answered("None.")
    (empty,) = found(trail, "empty_retrieval")
    assert (empty.count, empty.share, empty.ids) == (1, 0.5, ("s2",))
    assert empty.sentence == snapshot("1 search found nothing: notcie \\x1b[2J")
    failed = tuple(replace(r, error="TimeoutError") for r in trail.retrievals)
    assert found(replace(trail, retrievals=failed), "empty_retrieval") == []


def loop(story, calls, size):
    told = story(QUESTION)
    long = " ".join(f"word{number}" for number in range(size))
    told.search("s", None, QUESTION, {"doc#0": long})
    for number in range(calls):
        told.call(f"m{number}", None, long, QUESTION, says="Hm.")
    return told.answered("Hm."), len(long)


def test_a_chunk_that_is_sent_again_and_again_is_told_with_its_cost(story):
    trail, length = loop(story, 4, 1000)
    assert 3 * length > REREAD_CHARACTERS
    (again,) = found(trail, "repeated_chunk")
    assert (again.count, again.ids, again.characters) == (1, ("doc#0",), 3 * length)
    assert again.sentence == snapshot(
        "1 chunk stood in up to 4 prompts of this answer: 23,667 characters were paid for again, 75 % of all that was sent."
    )


@pytest.mark.parametrize(("calls", "size"), [(2, 4000), (4, 100)])
def test_what_was_sent_twice_or_costs_little_is_how_agents_work(story, calls, size):
    trail, _ = loop(story, calls, size)
    assert found(trail, "repeated_chunk") == []


def test_all_that_is_wrong_is_told_in_lines_that_fit(story):
    told = story(QUESTION)
    told.search("s1", None, "notice", chunks(1, 2))
    told.search("s2", None, "notice period", chunks(1, 2))
    told.search("s3", None, "a" * 300, {})
    lines = list(wrong(told.answered("None.")))
    assert lines[:2] == ["", "What is wrong with the evidence"]
    assert len([line for line in lines if line.startswith("  - ")]) == 2
    assert max(map(len, lines)) <= 100
