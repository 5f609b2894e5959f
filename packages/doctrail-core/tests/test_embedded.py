"""The embedded verifier: what it says of claims, and by what evidence."""

import subprocess
import sys

import pytest

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.reasons import REASONS
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import NOT_A_CLAIM, Claim, Evidence

CONTRACT = (
    "This Agreement renews annually. The contract renewal deadline for enterprise accounts is "
    "February 28th. Either party may terminate this Agreement on thirty (30) days' notice. The "
    "annual licence fee is $1,200,000. Supplier shall not assign this Agreement without prior "
    "written consent. Support is limited to business hours. The uptime is 99.9%. Data is stored in "
    "Dublin for 5 years. The warehouse covers 4,500 square feet."
)


def passages(*texts):
    return tuple(Passage(f"c{at}", f"d{at}", text) for at, text in enumerate(texts))


def verdicts(answer, *texts, question=None):
    return EmbeddedVerifier().verify(Answer(answer, passages(*texts), question)).verdicts


def verdict(answer, *texts, question=None):
    (only,) = verdicts(answer, *texts, question=question)
    return only


def said(answer, *texts, question=None):
    found = verdict(answer, *texts, question=question)
    return found.verdict, found.reason


def quoted(evidence, *texts):
    return [texts[int(e.chunk_id[1:])][e.start : e.end] for e in evidence]


def test_another_date_in_the_same_place_contradicts_a_claim():
    found = verdict("The renewal deadline was March 15th.", CONTRACT)
    assert (found.verdict, found.reason) == ("contradicted", "value_conflict")
    assert found.conflicting_value == "February 28th"
    assert quoted(found.evidence, CONTRACT) == ["February 28th"]
    assert found.claim == Claim(0, 36, "The renewal deadline was March 15th.")
    assert found.score >= 0.9


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("The annual licence fee is $1.5 million.", "$1,200,000"),
        ("Either party may terminate this Agreement on 60 days' notice.", "thirty (30) days"),
        ("The uptime is 99.5%.", "99.9%"),
        ("Data is stored in Dublin for seven years.", "5 years"),
        ("The warehouse covers 6,000 square feet.", "4,500 square feet"),
    ],
)
def test_values_of_every_kind_contradict(answer, value):
    found = verdict(answer, CONTRACT)
    assert (found.verdict, found.conflicting_value) == ("contradicted", value)
    assert quoted(found.evidence, CONTRACT) == [value]


@pytest.mark.parametrize(
    "answer",
    [
        "The renewal deadline for enterprise accounts is 28 February.",
        "The annual licence fee is $1.2 million.",
        "Either party may terminate this Agreement on 30 days' notice.",
        "The uptime is 99.9 percent.",
        "Data is stored in Dublin for five years.",
        "Supplier shall not assign this Agreement without prior written consent.",
        "According to the provided context, support is limited to business hours.",
    ],
)
def test_what_the_evidence_says_in_other_notation_is_supported(answer):
    found = verdict(answer, CONTRACT)
    assert (found.verdict, found.reason) == ("supported", "covered")
    assert found.score < 0.2


def test_the_evidence_of_a_supported_claim_is_the_sentence_that_says_it():
    found = verdict("The annual licence fee is $1.2 million.", CONTRACT)
    assert quoted(found.evidence, CONTRACT) == ["The annual licence fee is $1,200,000."]


def test_every_passage_that_says_it_is_evidence():
    copy = "As agreed, nothing else changes. The annual licence fee is $1,200,000. Payment is due in June."
    found = verdict("The annual licence fee is $1.2 million.", CONTRACT, copy)
    assert {e.chunk_id for e in found.evidence} == {"c0", "c1"}


def test_a_negation_that_only_one_of_two_like_sentences_has_contradicts():
    found = verdict("Supplier may assign this Agreement without prior written consent.", CONTRACT)
    assert (found.verdict, found.reason) == ("contradicted", "negation_differs")
    assert quoted(found.evidence, CONTRACT) == [
        "Supplier shall not assign this Agreement without prior written consent."
    ]


def test_a_no_that_answers_the_question_denies_nothing():
    found = verdict("No, support is limited to business hours.", CONTRACT)
    assert found.verdict != "contradicted"


def test_a_name_that_is_nowhere_is_unsupported_and_named():
    found = verdict("The supplier keeps the contract data in Initech's Frankfurt vault.", CONTRACT)
    assert (found.verdict, found.reason) == ("unsupported", "name_absent")
    assert found.missing == ("Initech", "Frankfurt")
    assert found.evidence == ()


def test_a_value_that_is_nowhere_is_unsupported_and_named():
    found = verdict("Late payments bear interest of 7.25% under this Agreement.", CONTRACT)
    assert (found.verdict, found.reason) == ("unsupported", "value_absent")
    assert found.missing == ("7.25%",)


def test_rare_words_that_are_nowhere_make_a_claim_unsupported():
    found = said("Invoices are disputed by arbitration before a tribunal.", CONTRACT)
    assert found == ("unsupported", "little_overlap")


def test_without_anything_that_arrived_every_claim_is_unsupported():
    assert said("The renewal deadline was March 15th.") == ("unsupported", "no_context")
    assert said("The renewal deadline was March 15th.", "   ") == ("unsupported", "no_context")


def test_conflicting_passages_support_with_the_conflict_flagged():
    older = "The contract renewal deadline for enterprise accounts is January 31st."
    newer = "The contract renewal deadline for enterprise accounts is February 28th."
    answer = "The contract renewal deadline for enterprise accounts is February 28th."
    found = verdict(answer, older, newer)
    assert found.verdict == "supported"
    assert quoted(found.evidence, older, newer) == [newer]
    assert quoted(found.conflicting_evidence, older, newer) == ["January 31st"]


def test_a_value_of_another_place_does_not_support():
    text = "The deposit is $300 and the monthly rent is $950. Parking costs $80."
    assert said("The deposit is $950.", text)[0] != "supported"
    assert said("The monthly rent is $300.", text)[0] != "supported"
    assert said("The monthly rent is $80.", text)[0] != "supported"
    assert said("The deposit is $300.", text)[0] == "supported"


def test_two_values_that_changed_places_do_not_support():
    text = "Revenue was $5 million in Germany and $7 million in France."
    assert (
        said("Revenue was $7 million in Germany and $5 million in France.", text)[0] != "supported"
    )
    assert (
        said("Revenue was $5 million in Germany and $7 million in France.", text)[0] == "supported"
    )


def test_names_that_changed_places_do_not_support():
    assert said("Globex acquired Initech.", "Initech acquired Globex.") == (
        "not_checked",
        "partial_overlap",
    )


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("The colour of the harbour changed.", "The color of the harbor changed."),
        ("They organised the shipment.", "They organized the shipment."),
        ("Write an e-mail to the landlord.", "Write an email to the landlord."),
        ("Health care is offered to tenants.", "Healthcare is offered to tenants."),
        ("The tenant's deposits were refunded.", "The deposit of the tenants was refunded."),
        ("She wrote the novel.", "The novel was written by her."),
        ("It is run by the World Health Organization.", "It is run by the WHO."),
        ("Hydration of the skin helps.", "Hydrating the skin helps."),
    ],
)
def test_spelling_and_inflection_are_no_news(context, answer):
    found = verdict(answer, context)
    assert found.verdict in {"supported", "not_checked"}
    assert found.missing == ()


@pytest.mark.parametrize(
    "answer",
    [
        "Based on the provided passages, here is some important information about the deadline.",
        "Overall, it is important to consider the renewal deadline.",
        "In conclusion, these steps may help to ensure a good result.",
    ],
)
def test_framing_and_advice_is_not_flagged(answer):
    found = verdict(answer, CONTRACT, question="When is the renewal deadline?")
    assert found.verdict == "not_checked"


def test_what_was_asked_is_no_news_but_no_evidence_either():
    question = "When does the Globex subscription in Frankfurt expire?"
    found = verdict(
        "The Globex subscription in Frankfurt renews annually.", CONTRACT, question=question
    )
    assert found.verdict == "not_checked"
    assert found.missing == ()


@pytest.mark.parametrize(
    "answer",
    [
        "When is the deadline?",
        "Sure!",
        "Hello.",
        "Here are the deadlines:",
        "Thank you!",
        "I hope this helps.",
        "Let me know if you have any more questions about the licence fee.",
        "In summary.",
        "## Fees and renewal deadlines",
    ],
)
def test_what_claims_nothing_is_no_claim(answer):
    found = verdict(answer, CONTRACT)
    assert (found.verdict, found.reason, found.score) == ("not_checked", NOT_A_CLAIM, None)


def test_each_sentence_and_list_item_is_judged_with_its_own_characters():
    answer = (
        "The fees are:\n\n1. The annual licence fee is $1.2 million.\n2. The uptime is 99.5%.\n"
    )
    found = verdicts(answer, CONTRACT)
    assert [answer[v.claim.start : v.claim.end] for v in found] == [v.claim.text for v in found]
    assert [(v.claim.text, v.verdict) for v in found] == [
        ("The fees are:", "not_checked"),
        ("The annual licence fee is $1.2 million.", "supported"),
        ("The uptime is 99.5%.", "contradicted"),
    ]


def test_only_the_claims_that_were_given_are_judged():
    text = "Sure. The uptime is 99.9%. The moon is made of Gorgonzola cheese."
    asked = Answer(text, passages(CONTRACT), claims=(Claim(6, 26, "The uptime is 99.9%."),))
    (found,) = EmbeddedVerifier().verify(asked).verdicts
    assert (found.claim, found.verdict) == (asked.claims[0], "supported")


def test_evidence_has_the_offsets_of_the_chunk_where_parts_of_it_did_not_arrive():
    blank = " " * len("This Agreement renews annually. ")
    found = verdict("The uptime is 99.9%.", blank + CONTRACT[len(blank) :])
    start = CONTRACT.index("The uptime")
    assert found.evidence == (Evidence("c0", start, start + len("The uptime is 99.9%.")),)


def test_more_news_is_more_risk():
    some = verdict("Invoices are disputed by arbitration before a tribunal.", CONTRACT)
    more = verdict(
        "Invoices are disputed by arbitration before a Zurich tribunal of Swiss notaries and bankers.",
        CONTRACT,
    )
    assert 0.5 <= some.score < more.score < 0.9


def test_every_reason_is_put_into_words():
    answers = [
        "Supplier may assign this Agreement without prior written consent. It renews annually.",
        "The fee is $5. Sure! The licence is perpetual. The passages do not mention a fee.",
    ]
    reasons = {found.reason for answer in answers for found in verdicts(answer, CONTRACT)}
    assert reasons <= set(REASONS)
    assert all(words and words[0].islower() for words in REASONS.values())


def test_importing_the_core_loads_no_stemmer():
    code = "import sys, doctrail_core, doctrail_core.grounding.embedded; print('snowballstemmer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
