"""What of an answer is a claim, and what only leads up to one."""

import re
from collections.abc import Sequence

from doctrail_core.grounding.embedded.lexicon import framing
from doctrail_core.grounding.embedded.words import Word
from doctrail_core.model import NOT_A_CLAIM, Claim
from doctrail_core.text.sentences import sentences

__all__ = ["claims", "unclaimed"]

_ABSENCE = re.compile(
    r"\bunable to (?:answer|find|determine|provide|locate)\b"
    r"|\b(?:not|n['’]t|never|neither|nor|without) (?:\w{1,12} ){0,2}"
    r"(?:contain|provid|mention|specif|stat|includ|enough|sufficient|giv|list|say|indicat|offer|clear|address|discuss|cover|disclos|find|found|known|available|explicit)"
    r"|\bno (?:\w{1,12} ){0,2}(?:information|mention|details?|answer|data|indication|reference|evidence)\b"
    r"|\binsufficient\b|\bcannot be (?:determined|answered|found|inferred)\b|\b(?:un|not )(?:known|clear|specified|stated)\b",
    re.IGNORECASE,
)
_SOURCES = re.compile(
    r"\b(?:passages?|texts?|contexts?|documents?|sources?|articles?|excerpts?|content|information|answer|given|provided)\b",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"\W*(?:sure|certainly|of course|absolutely|hello|hi|dear|thanks?|thank you|you['’]?re welcome|sorry|apologies"
    r"|i (?:hope|apologi[sz]e|do not|don['’]t|cannot|can['’]t|am unable|am sorry)|i['’]m (?:sorry|unable|happy|glad)"
    r"|(?:i )?hope (?:this|that|it)|let me know|feel free|if you (?:have|need|would like) (?:any|more|further)"
    r"|here (?:is|are)|here['’]s|below (?:is|are)|please (?:let|feel|note that (?:this|these)|provide|ask))\b",
    re.IGNORECASE,
)
_FEWEST = 2
"""Fewer content words and values than this say nothing that can be looked for."""


def claims(answer: str) -> Sequence[Claim]:
    """Every sentence and list item of an answer, whether it claims something or not."""
    return [Claim(start, end, answer[start:end]) for start, end in sentences(answer)]


def unclaimed(text: str, found: Sequence[Word], values: int) -> str | None:
    """Why a sentence cannot be looked for in any passage; None for a claim."""
    if text.rstrip("\"'”’)]* ").endswith("?") or text.rstrip("* _").endswith(":"):
        return NOT_A_CLAIM
    if _ABSENCE.search(text) and _SOURCES.search(text):
        return "statement_of_absence"
    if _TALK.match(text):
        return NOT_A_CLAIM
    telling = {word.stem for word in found if word.kind == "content"} - framing()
    return NOT_A_CLAIM if len(telling) + values < _FEWEST else None
