"""From what was found of a claim to the verdict, and to how much risk is left.

The risk lies in the band of its verdict: `supported` below 0.2, `not_checked` below 0.5, `unsupported`
from 0.5, `contradicted` from 0.9. Within a band it grows with how much of the claim is news.
"""

import re
from collections.abc import Iterable, Sequence
from math import exp

from doctrail_core.grounding.embedded.alignment import Window
from doctrail_core.grounding.embedded.claims import tells, unclaimed
from doctrail_core.grounding.embedded.examination import Examination, examine
from doctrail_core.grounding.embedded.facts import Fact, Place, Standing
from doctrail_core.grounding.embedded.index import Index, Line
from doctrail_core.grounding.embedded.logic import attributes, opposed, points_back
from doctrail_core.grounding.embedded.order import ordered
from doctrail_core.grounding.embedded.support import VERBATIM, closest, doubt, supporting
from doctrail_core.grounding.embedded.words import stems, words
from doctrail_core.model import Claim, Evidence, Verdict, VerdictKind
from doctrail_core.text.values import values_in

__all__ = ["judge", "unread"]

_BANDS: dict[VerdictKind, tuple[float, float]] = {
    "supported": (0.0, 0.2),
    "not_checked": (0.2, 0.5),
    "unsupported": (0.5, 0.9),
    "contradicted": (0.9, 1.0),
}
_OPEN: dict[Standing, str] = {
    "relative": "relative_date",
    "derived": "derived_number",
    "weak": "weak_value",
}
_NEWS, _NEW_WORDS = 2.25, 1.5
"""News of this weight make a claim unsupported, if words of that weight are among it."""
_SCALE = 3.0
_FEWEST = 2
"""Fewer words and values say something only together with what was asked."""
_SAME_SENTENCE = 0.8
_SAME_BACK = 0.5
_SAME_ORDER = 0.75
_RIVALS = 0.1
_POSSESSIVE = re.compile(r"['\u2019]s$")


def judge(claim: Claim, text: str, index: Index, *, follows: bool = False) -> Verdict:
    """Say of one claim what the passages say of it; `follows` tells of a sentence before it."""
    found, stated = words(text), values_in(text)
    if reason := unclaimed(text, found, len(stated)) or index.unread:
        return unread(claim, reason)
    if not index.lines:
        return Verdict(claim=claim, verdict="unsupported", score=0.75, reason="no_context")
    case = examine(text, found, stated, index)
    alone = len(stated) + tells(found) >= _FEWEST and not (follows and points_back(text))
    return _ruled(claim, case, alone=alone)


def unread(claim: Claim, reason: str) -> Verdict:
    """Of what cannot be looked for nothing is said, not even a risk.

    But one who says that the sources do not tell makes nothing up: that has the least risk of what is open.
    """
    score = _BANDS["not_checked"][0] if reason == "statement_of_absence" else None
    return Verdict(claim=claim, verdict="not_checked", score=score, reason=reason)


def _ruled(claim: Claim, case: Examination, *, alone: bool) -> Verdict:
    if conflict := next((fact for fact in case.facts if fact.standing == "conflict"), None):
        return _contradicted(claim, case, conflict)
    if denial := _denial(case):
        return _verdict(claim, case, "contradicted", "negation_differs", (denial,))
    if reason := _unsupported(case):
        if case.index.partly_foreign:
            return _verdict(claim, case, "not_checked", "other_language")
        return _verdict(claim, case, "unsupported", reason)
    if (reason := _open(case, alone=alone)) is None and (windows := supporting(case)):
        return _verdict(claim, case, "supported", "covered", windows)
    near = closest(case)
    reason = reason or (doubt(case, near) if near else None) or "partial_overlap"
    return _verdict(claim, case, "not_checked", reason, (near,) if near else ())


def _unsupported(case: Examination) -> str | None:
    if any(fact.standing == "absent" for fact in case.facts):
        return "value_absent"
    if case.news < _NEWS or case.novelty.mass < _NEW_WORDS:
        return None
    return "name_absent" if case.novelty.names else "little_overlap"


def _open(case: Examination, *, alone: bool) -> str | None:
    """Why not even the same words would support it."""
    standings = {fact.standing for fact in case.facts}
    if reason := next((why for standing, why in _OPEN.items() if standing in standings), None):
        return reason
    if not alone:
        return "needs_context"
    copied = case.novelty.rearranged <= VERBATIM
    return "attribution" if attributes(case.bare) and not copied else None


def _denial(case: Examination) -> Window | None:
    """A sentence of the evidence that says nearly the same words in their order, while one of the two denies them.

    Unless another one that comes as close does not.
    """
    lines = case.index.lines
    near = [
        window
        for window in case.alignment.windows
        if window.first == window.last
        and window.coverage >= _SAME_SENTENCE
        and _near_identical(case, lines[window.first])
    ]
    closest = [window for window in near if window.coverage == near[0].coverage]
    denied = all(_denies(case, lines[window.first]) for window in closest)
    return next(iter(closest), None) if denied else None


def _denies(case: Examination, line: Line) -> bool:
    return opposed(case.text, case.words, line.text, line.words)


def _near_identical(case: Examination, line: Line) -> bool:
    mine, theirs = stems(case.words), stems(line.words)
    if len(mine & theirs) < _SAME_BACK * len(theirs):
        return False
    order = [
        [word.stem for word in each if word.kind == "content"] for each in (case.words, line.words)
    ]
    return ordered(*order) >= _SAME_ORDER


def _contradicted(claim: Claim, case: Examination, fact: Fact) -> Verdict:
    return Verdict(
        claim=claim,
        verdict="contradicted",
        score=_score("contradicted", fact.others[0].fit),
        reason="value_conflict",
        evidence=(_stated(fact.others[0], case.index),),
        conflicting_value=fact.others[0].value.text,
    )


def _verdict(
    claim: Claim,
    case: Examination,
    verdict: VerdictKind,
    reason: str,
    windows: Sequence[Window] = (),
) -> Verdict:
    return Verdict(
        claim=claim,
        verdict=verdict,
        score=_score(verdict, 1 - exp(-case.news / _SCALE)),
        reason=reason,
        evidence=tuple(_evidence(window, case.index) for window in windows),
        missing=tuple(_missing(case)),
        conflicting_evidence=tuple(_rivals(case)) if verdict == "supported" else (),
    )


def _score(verdict: VerdictKind, share: float) -> float:
    low, high = _BANDS[verdict]
    return round(low + (high - low) * min(share, 0.999), 4)


def _evidence(window: Window, index: Index) -> Evidence:
    first, last = index.lines[window.first], index.lines[window.last]
    return Evidence(index.passages[first.passage].chunk_id, first.start, last.end)


def _missing(case: Examination) -> Iterable[str]:
    yield from (fact.value.text for fact in case.facts if fact.standing == "absent")
    yield from (_POSSESSIVE.sub("", word.text) for word in case.novelty.names)


def _rivals(case: Examination) -> Iterable[Evidence]:
    """The values of other passages that stand in the very place of a value that was found."""
    lines = case.index.lines
    for fact in case.facts:
        for place in fact.others:
            elsewhere = lines[place.line].passage != lines[fact.same[0].line].passage
            if elsewhere and place.fit >= fact.same[0].fit - _RIVALS:
                yield _stated(place, case.index)


def _stated(place: Place, index: Index) -> Evidence:
    line = index.lines[place.line]
    chunk_id = index.passages[line.passage].chunk_id
    return Evidence(chunk_id, line.start + place.value.start, line.start + place.value.end)
