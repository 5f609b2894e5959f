"""The fake model that tests of applications can judge by."""

from doctrail_core.grounding.checking import check
from doctrail_core.grounding.judge import JudgeVerifier
from doctrail_core.model import Usage
from doctrail_core.testing.judging import FakeJudge

CHUNKS = [
    {"text": "Refunds are granted within thirty days.", "chunk_id": "c1"},
    {"text": "The renewal deadline is February 28th.", "chunk_id": "c2"},
]
ANSWER = (
    "The renewal deadline falls on March 15th. Refunds take up to thirty days. Support is free."
)


def test_it_rules_as_it_is_told_and_quotes_the_source_that_has_it():
    fake = FakeJudge(
        {
            "March 15th": ("contradicted", "The renewal deadline is February 28th."),
            "Refunds": ("supported", "Refunds are granted within thirty days."),
        },
        usage=Usage(100, 10, 110),
    )
    found = check(ANSWER, CHUNKS, verifier=JudgeVerifier(fake))
    assert [(v.verdict, [e.chunk_id for e in v.evidence]) for v in found.verdicts] == [
        ("contradicted", ["c2"]),
        ("supported", ["c1"]),
        ("unsupported", []),
    ]
    assert found.usage == Usage(100, 10, 110)
    assert len(fake.asked) == 1
