"""What is asked and found in most scenarios."""

from dataclasses import replace
from typing import Any

from doctrail_core.model import Message
from doctrail_core.testing.conformance.scenario import Scenario
from doctrail_core.testing.conformance.script import Act, Passage, Request, Search

__all__ = [
    "ANSWER",
    "BOTH",
    "FOUND",
    "JUST_ASKED",
    "QUESTION",
    "REFUND",
    "RENEWAL",
    "asked",
    "bare",
]

QUESTION = "When is the renewal deadline?"
ANSWER = "On February 28th."
RENEWAL = Passage(
    "The contract renewal deadline for enterprise accounts is February 28th of each year.",
    "renewal",
    "doc_renewal",
    0.75,
)
REFUND = Passage(
    "Refunds are granted within thirty days of the purchase, against the original receipt.",
    "refund",
    "doc_refund",
    0.5,
)
BOTH = (RENEWAL, REFUND)
FOUND = Search(QUESTION, BOTH)
JUST_ASKED = (Message("user", QUESTION),)


def bare(*passages: Passage) -> tuple[Passage, ...]:
    """The passages without scores."""
    return tuple(replace(passage, score=None) for passage in passages)


def asked(name: str, *acts: Act, record: str, **more: Any) -> Scenario:
    """The scenario of one request that asks the usual question; `more` are a request's fields."""
    request = Request(QUESTION, acts, **more)
    modes = ("async",) if request.stopped else ("sync", "async")
    return Scenario(name, (request,), (record,), modes=modes)
