"""What the embedded verifier must leave open: whatever has the words of the evidence and may say something else."""

import json

import pytest

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.verifier import Answer, Passage


def verdicts(answer, *texts, question=None):
    given = tuple(Passage(f"c{at}", f"d{at}", text) for at, text in enumerate(texts))
    return EmbeddedVerifier().verify(Answer(answer, given, question)).verdicts


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        pytest.param(
            "The physician examined the child.", "A doctor looked at the kid.", id="synonyms"
        ),
        pytest.param(
            "It sold 20 cars in May and 30 cars in June.",
            "It sold 50 cars in May and June.",
            id="sum",
        ),
        pytest.param("The price rose from $40 to $60.", "The price rose by $20.", id="difference"),
        pytest.param(
            "The schools are Oakwood, Elmwood and Pinewood.",
            "There are three schools.",
            id="count",
        ),
        pytest.param(
            "The rent is $900. The deposit is $400.", "The deposit is $900.", id="another slot"
        ),
        pytest.param(
            "The contract ends in June 2024.",
            "The contract ends next quarter.",
            id="relative date",
        ),
        pytest.param(
            "The contract ends two weeks later.",
            "The contract ends on June 20th.",
            id="relative date in the evidence",
        ),
        pytest.param(
            "The deadline is 3 April 2024.", "The deadline is 03/04/2024.", id="ambiguous date"
        ),
        pytest.param("The fee is 300 euros.", "The fee is $300.", id="currency"),
        pytest.param("The hall seats 98 people.", "The hall seats over 100 people.", id="bound"),
        pytest.param("The hall seats 80 to 120 people.", "The hall seats 100 people.", id="range"),
        pytest.param(
            "The tenant may sublet the flat.", "The tenant must sublet the flat.", id="obligation"
        ),
        pytest.param(
            "The tenant may sublet the flat.", "The tenant sublets the flat.", id="permission"
        ),
        pytest.param(
            "The treatment could cure the disease.",
            "The treatment cures the disease.",
            id="possibility",
        ),
        pytest.param(
            "The tenant may sublet the flat unless the landlord objects.",
            "The tenant may sublet the flat.",
            id="exception",
        ),
        pytest.param(
            "If the tenant leaves early, the deposit is kept.",
            "The deposit is kept.",
            id="condition",
        ),
        pytest.param(
            "Some of the delegates voted for the treaty.",
            "All delegates voted for the treaty.",
            id="quantifier",
        ),
        pytest.param(
            "The committee denied that the mayor had accepted the gift.",
            "The mayor had accepted the gift.",
            id="denial",
        ),
        pytest.param(
            "The bridge was closed. The storm reached the town.",
            "The bridge was closed because the storm reached the town.",
            id="cause",
        ),
        pytest.param(
            "The red car is faster than the blue car.",
            "The blue car is faster than the red car.",
            id="comparison",
        ),
        pytest.param(
            "The treaty was signed after the election was held.",
            "The election was held after the treaty was signed.",
            id="order in time",
        ),
        pytest.param(
            "The minister said the tunnel was finished.",
            "The tunnel was finished.",
            id="attribution left out",
        ),
        pytest.param(
            "The minister said the tunnel was finished. The mayor doubted the budget.",
            "The mayor said the tunnel was finished.",
            id="attributed to another",
        ),
        pytest.param(
            "The flat has a balcony.",
            "The passages do not mention whether the flat has a garden.",
            id="absence",
        ),
        pytest.param(
            "The red car was sold in 1998.", "The blue car was sold in 1998.", id="presupposed"
        ),
        pytest.param(
            "Die Frist endet am 28. Februar und wird nicht verlängert.",
            "Die Frist endet am 28. Februar und wird nicht verlängert.",
            id="German",
        ),
        pytest.param("期限は2月28日です。", "期限は2月28日です。", id="Japanese"),
        pytest.param(
            "Plan | Fee | Term\nBasic | $10 | 1 year\nPro | $20 | 2 years",
            "The Basic plan has a fee of $20.",
            id="table",
        ),
        pytest.param(
            "Use it so: def add(a, b): return a + b", "def add(a, b): return a + b", id="code"
        ),
        pytest.param("The area is a = b * c.", "a = b * c + 1", id="formula"),
        pytest.param(
            "The Lessor shall compensate the Lessee for any damage to the roof.",
            "The Lessee shall compensate the Lessor for any damage to the roof.",
            id="parties exchanged",
        ),
        pytest.param(
            "The ferry sails from Oslo to Kiel every two days.",
            "The ferry sails from Kiel to Oslo every two days.",
            id="names exchanged side by side",
        ),
        pytest.param(
            "The jury chose Lyon instead of Nantes for the new fair.",
            "The jury chose Nantes instead of Lyon for the new fair.",
            id="one name instead of another",
        ),
        pytest.param(
            "The opera was written by Ada Holm and staged by Per Lind.",
            "The opera was written by Per Lind.",
            id="another clause",
        ),
        pytest.param(
            "The pool is closed on Sundays and open on Fridays.",
            "The pool is open on Sundays.",
            id="another clause before it",
        ),
        pytest.param(
            "Ida is taller than Olaf, and Olaf runs the bakery in Bergen.",
            "Ida runs the bakery in Bergen.",
            id="another clause of another subject",
        ),
        pytest.param(
            "Tenants with cats should not use this lift. Tenants with bikes should use half the stairs.",
            "Tenants with bikes should not use this lift.",
            id="halves of two sentences",
        ),
        pytest.param(
            "Adults may take two tablets every 6 hours. Children aged 6 to 12 may take one tablet every 6 hours.",
            "Children aged 6 to 12 may take two tablets every 6 hours.",
            id="the value of the sentence before",
        ),
        pytest.param(
            "Does the ticket include the ferry? No, it does not.",
            "The ticket includes the ferry.",
            id="a question",
        ),
        pytest.param(
            "Never:\n- open the valve by hand\n- clean the lens with alcohol",
            "Clean the lens with alcohol.",
            id="an item of a list of what not to do",
        ),
        pytest.param(
            "The rent was raised to $900.", "The rent was raised by $900.", id="by and to"
        ),
        pytest.param(
            "The rates were cut from 5% to 4.5%.", "The rates were cut to 5%.", id="from and to"
        ),
    ],
)
def test_it_is_never_supported(context, answer):
    question = "When was the blue car sold?" if "blue car was" in answer else None
    assert {found.verdict for found in verdicts(answer, context, question=question)} <= {
        "not_checked",
        "unsupported",
        "contradicted",
    }


@pytest.mark.parametrize(
    ("context", "answer", "reason"),
    [
        ("The schools are Oakwood and Elmwood.", "There are two schools.", "derived_number"),
        (
            "The mill opened in 1950 and closed in 1990.",
            "The mill was open for 40 years.",
            "derived_number",
        ),
        (
            "The tent costs $120 and the stove costs $45.",
            "The tent and the stove cost $165.",
            "derived_number",
        ),
        (
            "75 percent of the members voted.",
            "Three quarters of the members voted.",
            "derived_number",
        ),
        ("The contract ends in June 2024.", "The contract ends next quarter.", "relative_date"),
        ("The tenant may sublet the flat.", "The tenant must sublet the flat.", "modality_differs"),
        ("Some delegates voted.", "All delegates voted.", "quantifier_differs"),
        ("The minister said the tunnel was finished.", "The tunnel was finished.", "attribution"),
        ("The flat and the garage cost $900 and $80.", "The flat costs $80.", "weak_value"),
        (
            "The flat has a balcony.",
            "The passages do not mention a garden.",
            "statement_of_absence",
        ),
        (
            "The flat has a balcony.",
            "Unable to answer based on given passages.",
            "statement_of_absence",
        ),
        (
            "Die Frist endet am Montag und das ist gut.",
            "The deadline ends on Monday.",
            "other_language",
        ),
        ('{"name": "Basic", "fee": 10}', "The fee of the Basic plan is listed.", "table"),
        ("The flat has a balcony.", "| flat | balcony | garden |", "table"),
        ("The flat has a balcony.", "x = balcony(flat);", "code"),
        ("The flat has a balcony.", "flat " * 400, "too_long"),
        ("The mill on the river was restored.", "The old mill was restored.", "partial_overlap"),
    ],
)
def test_why_it_is_left_open(context, answer, reason):
    (found,) = verdicts(answer, context)
    assert (found.verdict, found.reason) == ("not_checked", reason)


@pytest.mark.parametrize("reason", ["other_language", "table", "code", "too_long", "not_a_claim"])
def test_where_nothing_can_be_said_there_is_no_risk(reason):
    answers = {
        "other_language": "Der Garten ist nicht erwähnt und das ist schade.",
        "table": "| flat | balcony | garden |",
        "code": "x = balcony(flat);",
        "too_long": "flat " * 400,
        "not_a_claim": "Sure!",
    }
    (found,) = verdicts(answers[reason], "The flat has a balcony.")
    assert (found.reason, found.score) == (reason, None)


def test_who_says_that_the_sources_do_not_tell_makes_little_up():
    for context in ("The flat has a balcony.", ""):
        (found,) = verdicts("Unable to answer based on the given passages.", context)
        assert (found.reason, found.score) == ("statement_of_absence", 0.2)


def test_a_sentence_that_points_back_is_left_open():
    context = "The tunnel opened in 1998. It was closed in 2004."
    _, second = verdicts("The bridge opened. It was closed in 2004.", context)
    assert (second.verdict, second.reason) == ("not_checked", "needs_context")


def test_a_claim_that_takes_two_chunks_is_left_open():
    answer = "The tunnel opened in 1998 and the toll is $4."
    found = verdicts(answer, "The tunnel opened in 1998.", "The toll is $4.")
    assert [each.verdict for each in found] == ["not_checked"]


@pytest.mark.parametrize(
    "context",
    [
        "The tenant may sublet the flat" + " " * 40,
        "The tenant may" + " " * 40 + "sublet the flat.",
        " " * 40 + "the tenant may sublet the flat.",
    ],
)
def test_a_sentence_of_which_part_did_not_arrive_supports_nothing(context):
    (found,) = verdicts("The tenant may sublet the flat.", context)
    assert (found.verdict, found.reason) == ("not_checked", "needs_context")


def test_fenced_code_is_left_open():
    answer = "Use this:\n```\ndelete the balcony\n```\nThe flat has a balcony."
    found = verdicts(answer, "The flat has a balcony.")
    assert [each.reason for each in found] == ["not_a_claim", "code", "covered"]


def test_json_contexts_contradict_nothing():
    context = json.dumps({"name": "Cafe Luna", "stars": 4.5, "rent": "$900"})
    assert {v.verdict for v in verdicts("The rent of Cafe Luna is $700.", context)} == {
        "not_checked"
    }


def test_foreign_passages_beside_english_ones_leave_open_what_they_may_say():
    german = "Die Kaution beträgt 400 Euro und ist bei Einzug fällig. Das gilt nicht für Studenten."
    answer = "Students from Scandinavia are exempt by decree of the chancellor."
    (alone,) = verdicts(answer, "The flat has a balcony.")
    (found,) = verdicts(answer, "The flat has a balcony.", german)
    assert alone.verdict == "unsupported"
    assert (found.verdict, found.reason) == ("not_checked", "other_language")


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        pytest.param(
            "The rent fell from $900 to $850 in May.",
            "In May, the rent fell from $900 to $850.",
            id="moved to the front",
        ),
        pytest.param(
            "The opera was written by Ada Holm and staged by Per Lind.",
            "The opera was staged by Per Lind.",
            id="a clause left out",
        ),
        pytest.param(
            "You must:\n- wear a helmet on the site\n- close the gate behind you",
            "You must wear a helmet on the site.",
            id="an item of a list of what to do",
        ),
        pytest.param(
            "Whereas the landlord, to prevent a dispute, has acknowledged the terms, they agree as follows:\n1. The rent is $900.",
            "The rent is $900.",
            id="an item of a list with a long introduction",
        ),
    ],
)
def test_what_only_moves_or_leaves_out_a_part_is_supported(context, answer):
    (found,) = verdicts(answer, context)
    assert found.verdict == "supported"


def test_what_may_not_be_without_is_not_denied_by_what_may_be_with():
    (found,) = verdicts(
        "The tenant may sublet the flat with the written consent of the landlord.",
        "The tenant may not sublet the flat without the written consent of the landlord.",
    )
    assert found.verdict == "not_checked"


@pytest.mark.parametrize("last", [0, 1])
def test_what_one_of_two_like_sentences_denies_is_not_denied_by_their_order(last):
    texts = ["The bridge opened on May 3, 1998.", "The bridge did not open in 1998."]
    (found,) = verdicts(texts[0], texts[last], texts[1 - last])
    assert found.verdict == "supported"
