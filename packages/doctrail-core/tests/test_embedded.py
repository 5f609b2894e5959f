"""The embedded verifier: what it says of claims, and what it leaves open."""

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim

CONTRACT = (
    "This Agreement renews annually. The contract renewal deadline for enterprise accounts is February 28th. "
    "Either party may terminate this Agreement on thirty (30) days' notice. The annual licence fee is $1,200,000. "
    "Supplier shall not assign this Agreement without prior written consent. Support is limited to business hours."
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


def quoted(found, *texts):
    return [texts[int(e.chunk_id[1:])][e.start : e.end] for e in found]


def test_another_date_in_the_same_place_contradicts_a_claim():
    found = verdict("The renewal deadline was March 15th.", CONTRACT)
    assert (found.verdict, found.reason, found.conflicting_value) == (
        "contradicted",
        "value_conflict",
        "February 28th",
    )
    assert quoted(found.evidence, CONTRACT) == ["February 28th"]
    assert found.claim == Claim(0, 36, "The renewal deadline was March 15th.")
    assert found.score >= 0.9
