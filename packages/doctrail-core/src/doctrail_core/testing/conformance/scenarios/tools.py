"""Agents: what tools found and said, one inside another, and parts with a name of their own."""

from dataclasses import replace

from doctrail_core.model import Message, ToolRequest
from doctrail_core.testing.conformance.scenarios.passages import (
    ANSWER,
    BOTH,
    JUST_ASKED,
    QUESTION,
    REFUND,
    RENEWAL,
    asked,
)
from doctrail_core.testing.conformance.script import (
    Act,
    Ask,
    Fallback,
    Parallel,
    Search,
    Step,
    UseTool,
    stuffed,
)

__all__ = ["SCENARIOS"]

_LOOKUP = ToolRequest("lookup", '{"about": "renewal"}', "call-1")
_POLICY = ToolRequest("policy", '{"about": "refund"}', "call-2")
_FEBRUARY = "The 28th of February."


def _use(chosen: ToolRequest, *inside: Act, returns: str = "", fails: str | None = None) -> UseTool:
    return UseTool(
        chosen.name, chosen.arguments or "{}", chosen.tool_call_id, inside, returns, fails
    )


def _heard(*results: tuple[ToolRequest, str]) -> tuple[Message, ...]:
    """What an agent sends its model after tools returned."""
    told = (Message("tool", text, chosen.tool_call_id) for chosen, text in results)
    return (*JUST_ASKED, Message("assistant", ""), *told)


SCENARIOS = (
    asked(
        "a tool that searches",
        Ask(prompt=JUST_ASKED, chooses=(_LOOKUP,)),
        _use(_LOOKUP, Search("renewal", (RENEWAL,)), returns=RENEWAL.text),
        Ask(ANSWER, _heard((_LOOKUP, RENEWAL.text))),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              model scripted-1 says nothing
                chooses lookup({"about": "renewal"}) as call-1
              tool lookup({"about": "renewal"}) as call-1 returns 'The contract renewal deadline for enterprise accounts is February 28th o... (84 characters)'
                search 'renewal' for call-1
                  found renewal of doc_renewal, similarity 0.75
              model scripted-1 says 'On February 28th.'
                renewal: full
              behind it: doc_renewal in_prompt direct
              ledger: retrieved, answered
            spans
              request
                chat
                execute_tool lookup
                  retrieval
                context assembly
                chat
        """,
    ),
    replace(
        asked(
            "two tools at once",
            Ask(prompt=JUST_ASKED, chooses=(_LOOKUP, _POLICY)),
            Parallel(
                (
                    (_use(_LOOKUP, Search("renewal", (RENEWAL,)), returns=RENEWAL.text),),
                    (_use(_POLICY, Search("refund", (REFUND,)), returns=REFUND.text),),
                )
            ),
            Ask(ANSWER, _heard((_LOOKUP, RENEWAL.text), (_POLICY, REFUND.text))),
            record="""
                ok 'When is the renewal deadline?' -> 'On February 28th.'
                  model scripted-1 says 'On February 28th.'
                    refund: full
                    renewal: full
                  model scripted-1 says nothing
                    chooses lookup({"about": "renewal"}) as call-1
                    chooses policy({"about": "refund"}) as call-2
                  tool lookup({"about": "renewal"}) as call-1 returns 'The contract renewal deadline for enterprise accounts is February 28th o... (84 characters)'
                    search 'renewal' for call-1
                      found renewal of doc_renewal, similarity 0.75
                  tool policy({"about": "refund"}) as call-2 returns 'Refunds are granted within thirty days of the purchase, against the orig... (85 characters)'
                    search 'refund' for call-2
                      found refund of doc_refund, similarity 0.5
                  behind it: doc_refund in_prompt direct
                  behind it: doc_renewal in_prompt direct
                  ledger: retrieved, answered
                spans
                  request
                    chat
                    chat
                    context assembly
                    execute_tool lookup
                      retrieval
                    execute_tool policy
                      retrieval
            """,
        ),
        in_order=False,
    ),
    asked(
        "a tool that answers by itself",
        Ask(prompt=JUST_ASKED, chooses=(_LOOKUP,)),
        _use(
            _LOOKUP,
            Search("renewal", BOTH),
            Ask(_FEBRUARY, stuffed("renewal", BOTH)),
            returns=_FEBRUARY,
        ),
        Ask(ANSWER, _heard((_LOOKUP, _FEBRUARY))),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              model scripted-1 says nothing
                chooses lookup({"about": "renewal"}) as call-1
              tool lookup({"about": "renewal"}) as call-1 returns 'The 28th of February.'
                search 'renewal' for call-1
                  found renewal of doc_renewal, similarity 0.75
                  found refund of doc_refund, similarity 0.5
                model scripted-1 says 'The 28th of February.'
                  renewal: full
                  refund: full
              model scripted-1 says 'On February 28th.'
                renewal: absent
                refund: absent
              behind it: doc_renewal in_prompt indirect
              behind it: doc_refund in_prompt indirect
              ledger: retrieved, answered
            spans
              request
                chat
                execute_tool lookup
                  retrieval
                  context assembly
                  chat
                context assembly
                chat
        """,
    ),
    asked(
        "a tool that fails",
        Ask(prompt=JUST_ASKED, chooses=(_LOOKUP,)),
        Fallback((_use(_LOOKUP, fails="no such thing"),), ()),
        Ask("I do not know.", _heard((_LOOKUP, "no such thing"))),
        record="""
            ok 'When is the renewal deadline?' -> 'I do not know.'
              model scripted-1 says nothing
                chooses lookup({"about": "renewal"}) as call-1
              tool lookup({"about": "renewal"}) as call-1 returns nothing
                failed: ScriptedError: no such thing
              model scripted-1 says 'I do not know.'
              ledger: answered
            spans
              request
                chat
                execute_tool lookup!
                chat
        """,
    ),
    asked(
        "a part inside a part",
        Step(
            "research",
            "renewal",
            (
                Step(
                    "reading",
                    "all of it",
                    (Search("renewal", BOTH), Ask(_FEBRUARY, stuffed("renewal", BOTH))),
                ),
            ),
        ),
        Ask(ANSWER, (Message("user", f"{QUESTION} {_FEBRUARY}"),)),
        record="""
            ok 'When is the renewal deadline?' -> 'On February 28th.'
              step research 'renewal' says 'The 28th of February.'
                step reading 'all of it' says 'The 28th of February.'
                  search 'renewal'
                    found renewal of doc_renewal, similarity 0.75
                    found refund of doc_refund, similarity 0.5
                  model scripted-1 says 'The 28th of February.'
                    renewal: full
                    refund: full
              model scripted-1 says 'On February 28th.'
                renewal: absent
                refund: absent
              behind it: doc_renewal in_prompt indirect
              behind it: doc_refund in_prompt indirect
              ledger: retrieved, answered
            spans
              request
                step research
                  step reading
                    retrieval
                    context assembly
                    chat
                context assembly
                chat
        """,
    ),
)
