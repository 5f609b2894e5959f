"""Whose fault a wrong answer was."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from doctrail_core.model.claim import Evidence

Fault = Literal[
    "retrieval",
    "assembly",
    "generation",
    "corpus_gap",
    "stale_sources",
    "conflicting_sources",
    "wrong_source",
    "undetermined",
    "no_fault",
]
"""Where it went wrong.

`retrieval`: the corpus has the answer, no retrieved chunk does. `assembly`: it was retrieved and did not
arrive. `generation`: it arrived, and the answer says otherwise. `corpus_gap`: nothing has it.
`stale_sources`, `conflicting_sources`: what was read is outdated, or disagrees with itself.
`wrong_source`: the answer follows what it read. `no_fault`: every claim checked is supported, and nothing
else was expected.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One reason of a diagnosis, with what it stands on.

    Attributes:
        code: What kind of reason it is, such as `not_retrieved` or `dropped`.
        text: The reason, in a sentence.
        evidence: The sentence of a chunk that it is about.
        document_id: That chunk's document.
        sentence: The sentence itself; None where texts are not kept.
        arrival: How the chunk arrived: `full`, `partial`, `absent`, `ambiguous`; None if it was not
            retrieved at all.
        order: Its place (from 0) among the chunks of the prompt.
        rank: Its rank (from 0) in the retrieval that returned it.
        score: Its score there.
        claim_start, claim_end: The characters of the answer that it concerns.
    """

    code: str
    text: str
    evidence: Evidence | None = None
    document_id: str | None = None
    sentence: str | None = None
    arrival: str | None = None
    order: int | None = None
    rank: int | None = None
    score: float | None = None
    claim_start: int | None = None
    claim_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Whose fault a response was, why, and what to do.

    Attributes:
        response_id: The response.
        fault: Where it went wrong.
        findings: The reasons, strongest first.
        fix: What to change, in a sentence.
        missing: What would have to be known to say more.
        expected: What the answer should have said, as far as it was told.
        by: Who asked (a user name, a program).
        at: When.
    """

    response_id: str
    fault: Fault
    findings: tuple[Finding, ...]
    fix: str
    at: datetime
    missing: tuple[str, ...] = ()
    expected: str | None = None
    by: str | None = None
