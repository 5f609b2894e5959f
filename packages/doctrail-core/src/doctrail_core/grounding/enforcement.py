"""What becomes of an answer once it was checked: nothing, a note beneath it, a refusal, an error.

Pure, and the same for every adapter. What a check did not say is never held against an answer, unless
`if_unchecked` says so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from doctrail_core.model import NOT_A_CLAIM, VERDICTS, Assessment, Citation, Verdict, VerdictKind
from doctrail_core.model.printable import one_line
from doctrail_core.model.wording import few
from doctrail_core.text.citations import without_citations

__all__ = ["REFUSAL", "Action", "Enforcement", "UngroundedAnswerError"]

Action = Literal["pass", "annotate", "refuse", "raise"]
"""`pass` hands the answer on as it is, `annotate` adds a note to it, `refuse` puts a refusal in its
place, `raise` an `UngroundedAnswerError`."""

REFUSAL = "I cannot answer this from the sources that I have."

_HEADING = "Checked against the sources:"


class UngroundedAnswerError(Exception):
    """An answer that must not be handed on.

    Attributes:
        assessment: What the check found.
    """

    def __init__(self, assessment: Assessment) -> None:
        """Say what is wrong with the answer."""
        super().__init__(assessment)
        self.assessment = assessment

    def __str__(self) -> str:
        """Say it in one line."""
        if self.assessment.status != "checked":
            why = one_line(self.assessment.error or self.assessment.status, 400)
            return f"the answer could not be checked: {why}"
        found = list(_lines(self.assessment, VERDICTS[:2]))
        return f"the answer is not grounded in its sources: {few(found) or 'see the assessment'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """What an application asks for, of answers that are not grounded.

    Attributes:
        action: What becomes of an answer that has a claim with a verdict of `on`.
        on: The verdicts that count. `unsupported` of the embedded verifier asks for a look, not for
            a refusal: name it here where a judge or a model checks.
        if_unchecked: What becomes of an answer whose check failed or could not be made.
        refusal: What is said instead of an answer that is refused.

    Raises:
        ValueError: One of them is not among its choices.
    """

    action: Action = "refuse"
    on: tuple[VerdictKind, ...] = ("contradicted",)
    if_unchecked: Action = "pass"
    refusal: str = REFUSAL

    def __post_init__(self) -> None:
        """Find mistakes where they are made, not at the first bad answer."""
        for name in ("action", "if_unchecked"):
            if getattr(self, name) not in get_args(Action):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(get_args(Action))}"
                )
        if isinstance(self.on, str) or not set(self.on) <= set(VERDICTS):
            raise ValueError(f"on is {self.on!r}; it must be a tuple of {', '.join(VERDICTS)}")

    @property
    def holds_back(self) -> bool:
        """Whether a stream has to be checked before its first token may pass."""
        return not {self.action, self.if_unchecked} <= {"pass", "annotate"}

    def decide(self, assessment: Assessment) -> Action:
        """What is to become of the answer."""
        if assessment.status != "checked":
            return self.if_unchecked
        return self.action if any(_objected(assessment, self.on)) else "pass"

    def enforce(self, text: str, assessment: Assessment) -> str:
        """The answer as it may be handed on; the very same text where nothing becomes of it.

        Raises:
            UngroundedAnswerError: It may not, and that is to be an error.
        """
        action = self.decide(assessment)
        if action == "raise":
            raise UngroundedAnswerError(assessment)
        if action == "refuse":
            return self.refusal
        return text + self.note(assessment) if action == "annotate" else text

    def note(self, assessment: Assessment) -> str:
        """What is added to an answer that is annotated: a paragraph; empty for one that is not.

        What it quotes of answers and documents is on one line each, short and printable. It names no
        source: whoever reads the citations of the answer would take that for one.
        """
        if self.decide(assessment) != "annotate":
            return ""
        if assessment.status != "checked":
            return f"\n\n{_HEADING} not possible."
        lines = (f"- {line}" for line in _lines(assessment, self.on))
        return "\n".join(["", "", _HEADING, *lines])


def _objected(assessment: Assessment, on: tuple[VerdictKind, ...]) -> Iterator[Verdict]:
    found = (v for v in assessment.verdicts if v.verdict in on and v.reason != NOT_A_CLAIM)
    return iter(sorted(found, key=lambda v: VERDICTS.index(v.verdict)))


def _lines(assessment: Assessment, on: tuple[VerdictKind, ...]) -> Iterator[str]:
    return (_line(verdict, assessment.citations) for verdict in _objected(assessment, on))


def _line(verdict: Verdict, cited: tuple[Citation, ...]) -> str:
    claim = verdict.claim
    said = f"characters {claim.start}-{claim.end}"
    if claim.text:
        said = _quoted(_uncited(claim.text, claim.start, cited))
    return f"{_WORDS[verdict.verdict]}: {said}{''.join(_details(verdict))}"


def _uncited(text: str, start: int, cited: tuple[Citation, ...]) -> str:
    """A claim that begins at this place, without what it cites."""
    within = [c for c in cited if start <= c.start and c.end <= start + len(text)]
    moved = [replace(c, start=c.start - start, end=c.end - start) for c in within]
    words = " ".join(without_citations(text, moved).split())
    return _GAP.sub("", words) if moved else text


_GAP = re.compile(r" (?=[.,;:!?])")


def _details(verdict: Verdict) -> Iterator[str]:
    if verdict.conflicting_value:
        yield f", the source says {_quoted(verdict.conflicting_value)}"
    elif verdict.missing:
        yield f", not in the sources: {few(map(_quoted, verdict.missing))}"


def _quoted(text: str) -> str:
    return f'"{one_line(text, 160)}"'


_WORDS: dict[VerdictKind, str] = {
    "contradicted": "contradicted",
    "unsupported": "not supported",
    "not_checked": "not checked",
    "supported": "supported",
}
