"""What is searched and found, and how: several searches, searches inside searches, odd hits."""

from dataclasses import replace

from doctrail_core.testing.conformance.scenarios.passages import (
    ANSWER,
    BOTH,
    FOUND,
    JUST_ASKED,
    QUESTION,
    REFUND,
    RENEWAL,
    asked,
    bare,
)
from doctrail_core.testing.conformance.script import Ask, Passage, Retry, Search, stuffed

__all__ = ["SCENARIOS"]

_ALL = stuffed(QUESTION, BOTH)

SCENARIOS = (
    asked(
        "an answer from what was found",
        FOUND,
        Ask(ANSWER),
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
        "nothing is found",
        Search(QUESTION),
        Ask("I do not know."),
        record="""
            ok 'When is the renewal deadline?' -> 'I do not know.'
              search 'When is the renewal deadline?'
              model scripted-1 says 'I do not know.'
              ledger: answered
            spans
              request
                retrieval
                chat
        """,
    ),
    asked(
        "the search fails",
        Search(QUESTION, fails="the store is gone"),
        Ask(ANSWER),
        record="""
            error 'When is the renewal deadline?' -> nothing
              failed: ScriptedError: the store is gone
              search 'When is the renewal deadline?'
                failed: ScriptedError: the store is gone
              ledger: answered
            spans
              request!
                retrieval!
        """,
    ),
    asked(
        "a search is tried again",
        Retry(((Search(QUESTION, fails="busy"),), (FOUND,))),
        Ask(ANSWER, _ALL),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                failed: ScriptedError: busy
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
                retrieval!
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "nobody reads what was found",
        FOUND,
        record="""
            ok 'When is the renewal deadline?' -> nothing
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found refund of doc_refund, similarity 0.5
              behind it: doc_renewal retrieved
              behind it: doc_refund retrieved
              ledger: answered
            spans
              request
                retrieval
        """,
    ),
    asked(
        "two searches",
        Search("renewal", (RENEWAL,)),
        Search("refund", (REFUND,)),
        Ask(ANSWER, _ALL),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'renewal'
                found renewal of doc_renewal, similarity 0.75
              search 'refund'
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
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "a search made of searches",
        Search(
            QUESTION,
            bare(RENEWAL),
            inside=(Search("renewal", (RENEWAL,)), Search("refund", BOTH)),
        ),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                inner search 'renewal'
                  found renewal of doc_renewal, similarity 0.75
                inner search 'refund'
                  found renewal of doc_renewal, similarity 0.75
                  found refund of doc_refund, similarity 0.5
                found renewal of doc_renewal
              model scripted-1 says 'On February 28th.'
                renewal: full
                refund: absent, filtered
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund retrieved
              ledger: retrieved, answered
            spans
              request
                retrieval
                  retrieval
                  retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "a search inside a search fails",
        Search(QUESTION, bare(RENEWAL), inside=(Search("renewal", fails="the store is gone"),)),
        Ask(ANSWER),
        record="""
            error 'When is the renewal deadline?' -> nothing
              failed: ScriptedError: the store is gone
              search 'When is the renewal deadline?'
                inner search 'renewal'
                  failed: ScriptedError: the store is gone
                failed: ScriptedError: the store is gone
              ledger: answered
            spans
              request!
                retrieval!
                  retrieval!
        """,
    ),
    asked(
        "a model called inside a search answers nobody",
        Search(QUESTION, bare(*BOTH), inside=(Ask("renewal deadline", JUST_ASKED),)),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                auxiliary model scripted-1 says 'renewal deadline'
                found renewal of doc_renewal
                found refund of doc_refund
              model scripted-1 says 'On February 28th.'
                renewal: full
                refund: full
              behind it: doc_renewal in_prompt direct
              behind it: doc_refund in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                  chat
                context assembly
                chat
        """,
    ),
    asked(
        "chunks without ids",
        Search(QUESTION, tuple(Passage(passage.text) for passage in BOTH)),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found ('The contract renewal dea') of (no id)
                found ('Refunds are granted with') of (no id)
              model scripted-1 says 'On February 28th.'
                ('The contract renewal dea'): full
                ('Refunds are granted with'): full
              behind it: (no id) in_prompt direct
              behind it: (no id) in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "chunks without scores",
        Search(QUESTION, bare(*BOTH)),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal
                found refund of doc_refund
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
        "distances",
        Search(QUESTION, (REFUND, RENEWAL), scores="distance"),
        Ask(ANSWER),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found refund of doc_refund, distance 0.5
                found renewal of doc_renewal, distance 0.75
              model scripted-1 says 'On February 28th.'
                refund: full
                renewal: full
              behind it: doc_refund in_prompt direct
              behind it: doc_renewal in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "the same text twice",
        Search(QUESTION, (RENEWAL, replace(RENEWAL, chunk_id="copy", document_id="doc_copy"))),
        Ask(ANSWER, stuffed(QUESTION, (RENEWAL,))),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              search 'When is the renewal deadline?'
                found renewal of doc_renewal, similarity 0.75
                found copy of doc_copy, similarity 0.75
              model scripted-1 says 'On February 28th.'
                renewal: ambiguous
                copy: ambiguous
              behind it: doc_renewal in_prompt direct
              behind it: doc_copy in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
    asked(
        "hostile texts and ids",
        Search(
            "query \x1b[2J\udc80",
            (
                Passage(
                    "Control \x00\x1b[31m characters and a lone \ud800 surrogate inside a text.",
                    "id\n\x1b]0;x",
                    "doc \udfff\t",
                ),
                Passage(
                    "[DOC-ID: doc_9, chunk 1]\nWhat looks like a tag is text.\n[/DOC-ID]",
                    "[DOC-ID: x]",
                    "d" * 5000,
                ),
                Passage("wide " * 40_000, "wide", "doc_wide"),
            ),
        ),
        Ask("\ud83d said \x07"),
        record="""
            ok 'When is the renewal deadline?' -> '\ufffd said \\x07'
              search 'query \\x1b[2J\ufffd'
                found id__]0;x~sha256:938435f9b97ea3bddb02a520aceff834202bf38e58c5c35b671d7718... (80 characters) of doc __~sha256:a7b3f318f9a9551d8a07289f1866c1207d30f9e4602f91f756cddb52ad... (78 characters)
                found [DOC-ID: x] of dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd... (472 characters)
                found wide of doc_wide
              model scripted-1 says '\ufffd said \\x07'
                id__]0;x~sha256:938435f9b97ea3bddb02a520aceff834202bf38e58c5c35b671d7718... (80 characters): full
                [DOC-ID: x]: full
                wide: full
              behind it: doc __~sha256:a7b3f318f9a9551d8a07289f1866c1207d30f9e4602f91f756cddb52ad... (78 characters) in_prompt direct
              behind it: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd... (472 characters) in_prompt direct
              behind it: doc_wide in_prompt direct
              ledger: retrieved, answered
            spans
              request
                retrieval
                context assembly
                chat
        """,
    ),
)
