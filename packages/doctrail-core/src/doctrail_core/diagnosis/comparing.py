"""What changed between two answers to one question: what was found, what arrived, what was said, how it checks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import ndiff
from typing import Literal

from doctrail_core.grounding.checking import assess
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import VERDICTS, Assessment, Trail, VerdictKind
from doctrail_core.model.printable import one_line
from doctrail_core.model.wording import count
from doctrail_core.text.sentences import sentences

__all__ = ["Change", "Comparison", "Moved", "Said", "compared", "tell_comparison"]

Change = Literal["gone", "new", "same"]
_SIGNS: Mapping[Change, str] = {"gone": "-", "new": "+", "same": " "}


@dataclass(frozen=True, slots=True)
class Moved:
    """A chunk that was found, or arrived, in one of the two alone, or otherwise.

    `before` and `after` are arrival states, `retrieved` where no prompt was seen, None where it was not
    found at all.
    """

    chunk_id: str
    document_id: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence of the answers."""

    change: Change
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two answers to one question.

    Attributes:
        before, after: The ids of the two responses.
        chunks: Those that fared differently.
        answer: The sentences of both answers, in order.
        verdicts_before, verdicts_after: How many claims got each verdict; None where it was not checked.
        risk_before, risk_after: The risk of each.
    """

    before: str
    after: str
    chunks: tuple[Moved, ...]
    answer: tuple[Said, ...]
    verdicts_before: Mapping[VerdictKind, int] | None
    verdicts_after: Mapping[VerdictKind, int] | None
    risk_before: float | None
    risk_after: float | None


def compared(before: Trail, after: Trail, verifier: Verifier | None = None) -> Comparison:
    """Say what changed; both answers are checked by the same verifier, by default the embedded one."""
    old, new = assess(before, verifier), assess(after, verifier)
    return Comparison(
        before=before.response_id,
        after=after.response_id,
        chunks=tuple(_moved(before, after)),
        answer=tuple(_said(before.answer or "", after.answer or "")),
        verdicts_before=_counts(old),
        verdicts_after=_counts(new),
        risk_before=old.risk,
        risk_after=new.risk,
    )


def _moved(before: Trail, after: Trail) -> Iterator[Moved]:
    old, new = _fates(before), _fates(after)
    known = {**before.chunks, **after.chunks}
    for chunk_id in dict.fromkeys((*old, *new)):
        if old.get(chunk_id) != new.get(chunk_id):
            document_id = known[chunk_id].document_id
            yield Moved(chunk_id, document_id, old.get(chunk_id), new.get(chunk_id))


def _fates(trail: Trail) -> dict[str, str]:
    """How each chunk arrived, in the call that got most of it."""
    states = ("full", "partial", "ambiguous", "absent", "retrieved")
    fates = dict.fromkeys(trail.chunks, "retrieved")
    for arrival in (a for context in trail.contexts for a in context.arrivals):
        known = fates.get(arrival.chunk_id, "retrieved")
        fates[arrival.chunk_id] = min(known, arrival.state, key=states.index)
    return fates


def _said(before: str, after: str) -> Iterator[Said]:
    signs: dict[str, Change] = {"-": "gone", "+": "new", " ": "same"}
    for line in ndiff(_split(before), _split(after), linejunk=None, charjunk=None):
        if line[0] in signs:
            yield Said(signs[line[0]], line[2:])


def _split(text: str) -> list[str]:
    return [" ".join(text[start:end].split()) for start, end in sentences(text)]


def _counts(found: Assessment) -> Mapping[VerdictKind, int] | None:
    return found.counts if found.status == "checked" else None


# -- in words --------------------------------------------------------------------------------------


def tell_comparison(found: Comparison) -> str:
    """Say it in plain text, safe to print."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Comparison) -> Iterator[str]:
    yield f"Response {one_line(found.before)}"
    yield f"Replayed {one_line(found.after)}"
    yield ""
    yield f"What was found ({count(len(found.chunks), 'change')})"
    if not found.chunks:
        yield "  the same chunks, and they arrived alike"
    for moved in found.chunks:
        yield f"  {_sign(moved)} {one_line(moved.document_id, 60)}  chunk {one_line(moved.chunk_id, 60)}  {_way(moved)}"
    yield ""
    yield "What was said"
    for said in found.answer:
        yield f"  {_SIGNS[said.change]} {one_line(said.text, 600)}"
    yield ""
    yield "How it checks against what arrived"
    yield f"  before  {_verdicts(found.verdicts_before, found.risk_before)}"
    yield f"  after   {_verdicts(found.verdicts_after, found.risk_after)}"


def _sign(moved: Moved) -> str:
    return "+" if moved.before is None else "-" if moved.after is None else "~"


def _way(moved: Moved) -> str:
    words = {"full": "arrived", "partial": "arrived in part", "absent": "did not arrive"}
    before = words.get(moved.before or "", moved.before or "not found")
    after = words.get(moved.after or "", moved.after or "not found")
    return f"{before} -> {after}"


def _verdicts(counts: Mapping[VerdictKind, int] | None, risk: float | None) -> str:
    if counts is None:
        return "not checked"
    told = ", ".join(
        f"{counts[kind]} {kind.replace('_', ' ')}" for kind in VERDICTS if counts.get(kind)
    )
    rated = "no risk can be told" if risk is None else f"risk {risk:.2f}"
    return f"{told or 'no claims'}; {rated}"
