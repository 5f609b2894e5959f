"""The embedded verifier on texts that nobody wrote in good faith, and on texts at random."""

import random
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.reasons import REASONS
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim

HOSTILE = {
    "letters with dots": "a. " * 20_000,
    "numbers with dots": "1. " * 20_000,
    "brackets": "(" * 60_000,
    "citations": "[1]" * 20_000,
    "line feeds": "\n" * 60_000,
    "blanks": " " * 60_000 + "a",
    "one word": "x" * 1_000_000,
    "zero width": "\u200b" * 60_000,
    "right to left": "\u202eabc \u05d0\u05d1 " * 8_000,
    "lone surrogates": "\ud800 abc. " * 8_000,
    "negations": "not " * 15_000,
    "amounts": "$1 " * 20_000,
    "dates": "May 1, 2020 " * 5_000,
    "names": "Aa Bb " * 10_000,
    "quotes": '"' * 60_000,
    "table": "|a|b" * 15_000,
    "braces": '{"a":' * 10_000,
    "assignments": "a=b " * 15_000,
    "conditions": "if a, " * 10_000,
    "framing": "according to the " * 4_000,
    "tags": "<a>" * 20_000,
    "controls": "\x00\x1b[2J\x7f" * 8_000,
}


def check(answer, *texts, question=None, claims=None):
    passages = tuple(Passage(f"c{at}", "d", text) for at, text in enumerate(texts))
    return EmbeddedVerifier().verify(Answer(answer, passages, question, claims)).verdicts


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_read_to_their_end(name):
    text = HOSTILE[name]
    sane = "The fee of $5 was paid on May 1, 2020. It was not refunded."
    for answer, passage in ((text, sane), (sane, text), (text, text)):
        for found in check(answer, passage, question=text[:100]):
            assert found.reason in REASONS


def test_a_hostile_context_of_a_megabyte_does_not_hide_its_one_relevant_sentence():
    noise = random.Random(4)  # noqa: S311 -- the same in every run
    words = ["".join(noise.choices("abcdefghij", k=6)) for _ in range(500)]
    filler = " ".join(f"The {' '.join(noise.choices(words, k=12))}." for _ in range(12_000))
    (found,) = check("The toll of the tunnel is $9.", f"{filler} The toll of the tunnel is $4.")
    assert len(filler) > 1_000_000
    assert (found.verdict, found.conflicting_value) == ("contradicted", "$4")


def test_what_a_claim_costs_does_not_grow_with_how_often_it_is_repeated():
    (first, *rest) = check("The toll is $4. " * 2_000, "The toll is $4.")
    assert len(rest) == 1_999
    assert {(found.verdict, found.score) for found in (first, *rest)} == {("supported", 0.0)}


PARTS = st.sampled_from(
    [
        "The toll of the tunnel is $4.",
        "The toll of the tunnel is $9.",
        "The bridge opened on May 3, 1998.",
        "The bridge did not open in 1998.",
        "It may close at 20:00.",
        "According to the mayor, 40% of the drivers pay.",
        "Sure!",
        "- a list item about Globex",
        "| a | b | c |",
        "x = tunnel(toll);",
        "Das ist nicht die Brücke und der Tunnel.",
        "All tunnels are longer than the bridge.",
        "\u202e\u0000\ud800",
    ]
)
TEXTS = st.lists(PARTS | st.text(max_size=30), max_size=6).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=4), st.none() | TEXTS)
def test_every_verdict_keeps_the_rules_of_records(answer, texts, question):
    verdicts = check(answer, *texts, question=question)
    for found in verdicts:
        assert found.claim.text == answer[found.claim.start : found.claim.end]
        assert found.reason in REASONS
        flagged = found.verdict in {"contradicted", "unsupported"}
        assert flagged == (found.score is not None and found.score >= 0.5)
        assert found.score is None or 0 <= found.score <= 1
        assert found.verdict == "not_checked" or found.score is not None
        for evidence in (*found.evidence, *found.conflicting_evidence):
            text = texts[int(evidence.chunk_id[1:])]
            assert 0 <= evidence.start < evidence.end <= len(text)
            assert text[evidence.start : evidence.end].strip()
        assert found.verdict not in {"supported", "contradicted"} or found.evidence
    starts = [found.claim.start for found in verdicts]
    assert starts == sorted(starts)
    assert verdicts == check(answer, *texts, question=question)


@settings(max_examples=60, deadline=None)
@given(PARTS, st.lists(PARTS, min_size=2, max_size=3, unique=True))
def test_the_order_of_the_passages_changes_no_verdict(answer, texts):
    kinds = {
        tuple((found.verdict, found.reason) for found in check(answer, *order))
        for order in permutations(texts)
    }
    assert len(kinds) == 1


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | PARTS.filter(lambda part: "$4" not in part))
def test_an_irrelevant_passage_never_turns_a_contradiction_into_support(text):
    answer = "The toll of the northern tunnel for cars is $4."
    context = "The toll of the northern tunnel for cars is $7."
    (before,) = check(answer, context)
    (after,) = check(answer, context, text)
    assert before.verdict == "contradicted"
    assert after.verdict != "supported"


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.integers(-5, 50), st.integers(-5, 50))
def test_given_claims_come_back_as_they_were_given(text, start, end):
    claim = Claim(start, end)
    (found,) = check(text, "The toll of the tunnel is $4.", claims=(claim,))
    assert found.claim == claim
