"""Answers that stream, and requests that do not come to their end."""

from doctrail_core.testing.conformance.scenarios.passages import ANSWER, FOUND, QUESTION, asked
from doctrail_core.testing.conformance.script import Ask, Hang, Search

__all__ = ["SCENARIOS"]

SCENARIOS = (
    asked(
        "a stream that is read to its end",
        FOUND,
        Ask(ANSWER),
        delivery="streamed",
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On February 28th.'
                renewal: full
                refund: full
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "a stream that its reader leaves",
        FOUND,
        Ask("On February 28th, of this year and of each one after it."),
        delivery="left",
        record="""
            aborted 'When is the renewal deadline?' -> 'On '...
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On '...
                renewal: full
                refund: full
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "a stream that breaks off",
        FOUND,
        Ask("On February", fails="cut off"),
        delivery="streamed",
        record="""
            error 'When is the renewal deadline?' -> 'On February'
              failed: ScriptedError: cut off
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On February'
                renewal: full
                refund: full
                failed: ScriptedError: cut off
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request!
                retrieval
                context assembly
                chat!
        """,
    ),
    asked(
        "cancelled while the model is called",
        FOUND,
        Ask(ANSWER, inside=(Hang(),)),
        stopped="cancelled",
        record="""
            aborted 'When is the renewal deadline?' -> nothing
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says nothing
                renewal: full
                refund: full
                unfinished
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "timed out while the model is called",
        FOUND,
        Ask(ANSWER, inside=(Hang(),)),
        stopped="timed out",
        record="""
            aborted 'When is the renewal deadline?' -> nothing
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says nothing
                renewal: full
                refund: full
                unfinished
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "cancelled while searching",
        Search(QUESTION, inside=(Hang(),)),
        Ask(ANSWER),
        stopped="cancelled",
        record="""
            aborted 'When is the renewal deadline?' -> nothing
              search 'When is the renewal deadline?'
                unfinished
              ledger: answered
            spans
              request
                retrieval
        """,
    ),
)
