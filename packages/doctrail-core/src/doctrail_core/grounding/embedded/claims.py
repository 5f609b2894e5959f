"""What of an answer is a claim, and what only leads up to one."""

import re
from collections.abc import Sequence

from doctrail_core.grounding.embedded.lexicon import framing
from doctrail_core.grounding.embedded.structure import structure
from doctrail_core.grounding.embedded.words import Word
from doctrail_core.model import NOT_A_CLAIM, Claim
from doctrail_core.text.languages import is_english
from doctrail_core.text.sentences import sentences

__all__ = ["claims", "tells", "unclaimed"]

_ABSENCE = re.compile(
    r"\bunable to (?:answer|find|determine|provide|locate)\b"
    r"|\b(?:not|n['\u2019]t|never|neither|nor|without) (?:\w{1,12} ){0,2}"
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
    r"\W*(?:(?:sure|certainly|of course|absolutely|hello|hi|dear \w+|great question|yes|no|ok|okay)\W*(?:$|here\b|i\b)"
    r"|(?:many )?thanks?(?: you| a lot| for|\W*$)|you['\u2019]?re welcome|sorry\b|(?:my )?apologies|i apologi[sz]e"
    r"|i (?:do not|don['\u2019]t|cannot|can['\u2019]t|am unable|am sorry|can help)\b|i['\u2019]m (?:sorry|unable|happy|glad|here)\b"
    r"|(?:i )?hope (?:this|that|it)\b|let me know\b|feel free\b|if you (?:have|need|would like|want) (?:any|more|further|me)\b"
    r"|here (?:is|are)\b|here['\u2019]s\b|below (?:is|are)\b|please (?:let|feel|note that (?:this|these)|provide|ask|consult|check|refer)\b)",
    re.IGNORECASE,
)
_MOST = 1500
"""A longer stretch without an end is no sentence."""


def claims(answer: str) -> Sequence[Claim]:
    """Every sentence and list item of an answer, whether it claims something or not."""
    return [Claim(start, end, answer[start:end]) for start, end in sentences(answer)]


def unclaimed(text: str, found: Sequence[Word], values: int) -> str | None:
    """Why a sentence cannot be looked for in any passage; None for a claim."""
    if len(text) > _MOST:
        return "too_long"
    if kind := structure(text):
        return kind
    if is_english(text) is False:
        return "other_language"
    if _ABSENCE.search(text) and _SOURCES.search(text):
        return "statement_of_absence"
    if (
        text.rstrip("\"'\u201d\u2019)]* ").endswith("?")
        or text.rstrip("* _").endswith(":")
        or text.startswith("#")
        or _TALK.match(text)
    ):
        return NOT_A_CLAIM
    return None if values or tells(found) else NOT_A_CLAIM


def tells(found: Sequence[Word]) -> int:
    """How many different words say something that can be looked for."""
    return len({word.stem for word in found if word.kind != "function"} - framing())
