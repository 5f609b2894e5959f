"""What of the found reached the model, and what the model said: dropped, cut, several calls."""

from doctrail_core.model import Message
from doctrail_core.testing.conformance.scenarios.passages import (
    ANSWER,
    BOTH,
    FOUND,
    JUST_ASKED,
    QUESTION,
    REFUND,
    RENEWAL,
    asked,
)
from doctrail_core.testing.conformance.script import Ask, Fallback, Keep, Search, stuffed

__all__ = ["SCENARIOS"]

_ALL = stuffed(QUESTION, BOTH)

SCENARIOS = (
    asked(
        "an answer from nothing but the model",
        Ask(ANSWER, JUST_ASKED),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              model scripted-1 says 'On February 28th.'
              ledger: answered
            spans
              request
                chat
        """,
    ),
    asked(
        "a step drops a chunk",
        FOUND,
        Keep(("renewal",)),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On February 28th.'
                renewal: full
                refund: absent, filtered
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund retrieved
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "a chunk is left out without a word",
        FOUND,
        Ask(ANSWER, stuffed(QUESTION, (RENEWAL,))),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On February 28th.'
                renewal: full
                refund: absent, not observed
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund retrieved
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "a budget cuts a chunk",
        FOUND,
        Ask(ANSWER, (Message("user", f"{RENEWAL.text}\n\n{REFUND.text[:43]}"),)),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On February 28th.'
                renewal: full
                refund: partial 54%, truncated
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
        "the model fails",
        FOUND,
        Ask(fails="the model is gone"),
        record="""
            error 'When is the renewal deadline?' -> nothing
              failed: ScriptedError: the model is gone
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says nothing
                renewal: full
                refund: full
                failed: ScriptedError: the model is gone
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
        "another model answers when the first one fails",
        FOUND,
        Fallback((Ask(prompt=_ALL, fails="overloaded"),), (Ask(ANSWER, _ALL),)),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says nothing
                renewal: full
                refund: full
                failed: ScriptedError: overloaded
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
                chat!
                context assembly
                chat
        """,
    ),
    asked(
        "two answers to one request",
        FOUND,
        Ask("Let me see.", _ALL),
        Search("refund", (REFUND,)),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'Let me see.'
                renewal: full
                refund: full
              search 'refund'
                found refund of doc_refund, similarity 0.5
              model scripted-1 says 'On February 28th.'
                renewal: absent
                refund: full
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "session and user",
        FOUND,
        Ask(ANSWER),
        session_id="session-7",
        user_id="ada",
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              for ada in session-7
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
)
