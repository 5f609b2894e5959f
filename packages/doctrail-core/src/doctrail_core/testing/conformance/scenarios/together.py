"""Requests that are made at the same time."""

from doctrail_core.testing.conformance.scenario import Scenario
from doctrail_core.testing.conformance.scenarios.passages import QUESTION, REFUND, RENEWAL
from doctrail_core.testing.conformance.script import Ask, Meet, Passage, Request, Search

__all__ = ["SCENARIOS"]


def _meeting(found: Passage) -> Request:
    """A request that waits for the other one after searching, and again after answering."""
    return Request(
        f"{QUESTION} ({found.chunk_id})",
        (Search(QUESTION, (found,)), Meet(), Ask(f"As told in {found.document_id}."), Meet()),
    )


SCENARIOS = (
    Scenario(
        "two requests in step with each other",
        (_meeting(RENEWAL), _meeting(REFUND)),
        (
            """
            ok 'When is the renewal deadline? (refund)' -> 'As told in doc_refund.'
              search 'When is the renewal deadline?'
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'As told in doc_refund.'
                refund: full
              behind it: doc_refund cited direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
            """
            ok 'When is the renewal deadline? (renewal)' -> 'As told in doc_renewal.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
              model scripted-1 says 'As told in doc_renewal.'
                renewal: full
              behind it: doc_renewal cited direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
        ),
    ),
)
