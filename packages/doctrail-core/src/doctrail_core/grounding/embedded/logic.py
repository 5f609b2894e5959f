"""What turns the sense of a sentence: negation, obligation and permission, quantifiers, conditions.

Two sentences with the same words may differ in just these, and then neither supports the other.
"""

import re
from collections.abc import Collection, Sequence
from itertools import islice

from doctrail_core.grounding.embedded.words import Word, stems
from doctrail_core.text.values import Value

__all__ = [
    "attributes",
    "bare",
    "difference",
    "opposed",
    "points_back",
    "relates",
    "unframed",
]

_NEGATION = re.compile(
    r"\b(?:not|no|never|none|neither|nor|cannot|without|nobody|nothing|nowhere|unable|fail(?:s|ed|ing)?|lack(?:s|ed|ing)?"
    r"|prohibit\w{0,4}|forbid\w{0,4}|exclud\w{0,4}|except|refus\w{0,3}|den(?:y|ies|ied|ying)|hardly|barely|rarely|seldom"
    r"|prevent\w{0,3}|avoid\w{0,3}|stop(?:s|ped)|non|isn|unlike(?:ly)?|false|myth|untrue|instead of|rather than|(?:apart|aside) from)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
_FLIP = re.compile(r"\b(?:not|no(?!,)|never|cannot|neither)\b|n['\u2019]t\b", re.IGNORECASE)
"""The negations that make the very opposite of a sentence; the others only change its sense."""
_WITHOUT = re.compile(r"\b(?:without|except|unless)\b", re.IGNORECASE)
_CLAUSE_END = re.compile(
    r"[,;:()—]|\b(?:and|but|or|because|which|that|although|while|unless|except)\b", re.IGNORECASE
)
_OBLIGATION = re.compile(
    r"\b(?:shall|must|requir\w{0,6}|obligat\w{0,5}|obliged|ha(?:s|ve|d) to|need(?:s|ed)? to|mandatory|ought)\b",
    re.IGNORECASE,
)
_PERMISSION = re.compile(
    r"\b(?:may|permit\w{0,5}|allow\w{0,3}|entitled|free to|optional\w{0,2}|authori[sz]ed)\b",
    re.IGNORECASE,
)
_POSSIBILITY = re.compile(
    r"\b(?:can|could|might|may|would|should|possib\w{2,4}|likely|unlikely|probabl\w|perhaps|potential\w{0,2}|expect\w{0,3}|plan(?:s|ned)?"
    r"|propos\w{1,4}|intend\w{0,3}|alleg\w{1,5}|believ\w{1,3}|thought|suspect\w{0,3}|suggest\w{0,3}|rumou?r\w{0,3}|claim(?:s|ed)?"
    r"|report(?:s|ed|edly)|appear(?:s|ed)?|seem(?:s|ed)?|almost|nearly|hop(?:e|es|ed)|want(?:s|ed)?|wish(?:es|ed)?|aim(?:s|ed)?|attempt\w{0,3}|tr(?:y|ies|ied))\b",
    re.IGNORECASE,
)
_QUANTIFIER = re.compile(
    r"\b(?:all|every|each|always|any|some|only|solely|exclusively|most|mostly|few|many|several|never|none|entire\w{0,2}|partial\w{0,2}"
    r"|half|majority|minority|both|either|at least|at most|up to|more|less|fewer|least|best|worst|largest|smallest|highest|lowest"
    r"|first|last|usually|often|sometimes|rarely|completely|first|again|still|yet)\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(?:if|unless|except|provided that|notwithstanding|subject to|in case|as long as|only (?:when|where|if|in|on|at|for|with|after|during|upon)|other than|until|once)\b",
    re.IGNORECASE,
)
_RELATION = re.compile(
    r"\b(?:because|due to|caus\w{1,3}|therefore|thus|as a result|consequently|led to|leads? to|before|after|while|since|than|instead of|despite|although)\b",
    re.IGNORECASE,
)
_SOURCE = r"(?:passages?|texts?|contexts?|documents?|sources?|articles?|excerpts?|content|information|paragraphs?|references?|materials?)"
_FRAME = re.compile(
    rf"\b(?:based on|according to|as (?:\w{{1,12}} )?(?:in|by)|per|in|from) (?:the |these |this |your )?(?:\w{{1,12}} ){{0,2}}{_SOURCE}\b(?: \d{{1,2}}\b)?"
    rf"|\b(?:the |these |this )?(?:\w{{1,12}} ){{0,2}}{_SOURCE} (?:\d{{1,2}} )?(?:also )?(?:say|state|mention|indicate|suggest|note|explain|describe|specifie?|list|provide)s?\b(?: that\b)?",
    re.IGNORECASE,
)
_ATTRIBUTION = re.compile(
    r"\b(?:sa(?:id|ys?)|stated|states? that|stating that|claim(?:s|ed) that|argu(?:e[sd]?|ing)|told|wr(?:ote|ites)|announced|explained|believe[sd]?|thinks?|thought"
    r"|suggest(?:s|ed)|report(?:s|ed|edly)|testified|acknowledged|insisted|noted|according to)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\W*(?:(?:and|but|so|also|then|however|additionally|therefore|thus|in addition|furthermore|moreover|overall|instead|finally|similarly),?\s)?"
    r"(?:it|this|that|these|those|they|he|she|its|their|his|her|such|both|the (?:former|latter|same))\b",
    re.IGNORECASE,
)
_SCOPE = 3


def difference(claim: str, evidence: str) -> str | None:
    """In what the claim is another statement than the evidence, though it has its words; None where in nothing."""
    if len(_NEGATION.findall(claim)) != len(_NEGATION.findall(evidence)):
        return "negation_differs"
    for sense in (_OBLIGATION, _PERMISSION, _POSSIBILITY, _CONDITION):
        if bool(sense.search(claim)) != bool(sense.search(evidence)):
            return "modality_differs"
    if _said(_ATTRIBUTION, claim) != _said(_ATTRIBUTION, evidence):
        return "attribution"
    if not _said(_QUANTIFIER, claim) <= _said(_QUANTIFIER, evidence):
        return "quantifier_differs"
    if not _said(_RELATION, claim) <= _said(_RELATION, evidence):
        return "needs_context"
    return None


def bare(text: str, values: Sequence[Value]) -> str:
    """The text with blanks for framing, and for dates: what is due in May is not what may be."""
    parts: list[str] = []
    done = 0
    for value in values:
        if value.kind == "date":
            parts += text[done : value.start], " " * (value.end - value.start)
            done = value.end
    return unframed("".join((*parts, text[done:])))


def unframed(text: str) -> str:
    """The text with blanks for `according to the passages` and the like."""
    return _FRAME.sub(lambda found: " " * len(found[0]), text)


def points_back(text: str) -> bool:
    """Whether a sentence speaks of what another sentence named."""
    return bool(_POINTS_BACK.match(text))


def attributes(text: str) -> bool:
    """Whether a sentence tells what somebody said."""
    return bool(_ATTRIBUTION.search(text))


def relates(text: str) -> bool:
    """Whether a sentence says how things relate: by cause, in time, by comparison."""
    return bool(_RELATION.search(text))


def opposed(claim: str, mine: Sequence[Word], evidence: str, theirs: Sequence[Word]) -> bool:
    """Whether of two sentences of the same words one denies the other.

    By its count of negations, and by those that stand before the words of the other. `Not without` is more
    than `with`: what only changes the sense must be in both.
    """
    if _turns(claim) != _turns(evidence):
        return False
    if (len(_FLIP.findall(claim)) - len(_FLIP.findall(evidence))) % 2 == 0:
        return False
    return _denials(claim, mine, stems(theirs)) != _denials(evidence, theirs, stems(mine))


def _turns(text: str) -> int:
    return len(_WITHOUT.findall(text))


def _denials(text: str, found: Sequence[Word], other: Collection[str]) -> int:
    return sum(_denies(text, m.end(), found, other) for m in _FLIP.finditer(text)) % 2


def _denies(text: str, end: int, found: Sequence[Word], other: Collection[str]) -> bool:
    stop = _CLAUSE_END.search(text, end + 3)
    limit = stop.start() if stop else len(text)
    following = (
        word.stem for word in found if end <= word.start < limit and word.kind == "content"
    )
    denied = list(islice(following, _SCOPE))
    return bool(denied) and sum(stem in other for stem in denied) >= max(1, len(denied) - 1)


def _said(sense: re.Pattern[str], text: str) -> set[str]:
    return {said.casefold() for said in sense.findall(text)}
