"""Whether what a judge quotes is evidence: it stands in the chunk, and does not say otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import words
from doctrail_core.grounding.judge.quotes import Quotable
from doctrail_core.grounding.judge.rulings import Ruling
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim, Evidence
from doctrail_core.text.languages import is_english
from doctrail_core.text.sentences import sentences
from doctrail_core.text.spans import Span
from doctrail_core.text.values import Value, compare, values_in

__all__ = ["Exhibit", "Found", "doubt", "found"]

_FIRM = ("date", "duration", "measure", "money", "percent")
"""Of these kinds a value is seldom worked out from others."""


@dataclass(frozen=True)
class Exhibit:
    """A passage that a judge may quote."""

    passage: Passage

    @cached_property
    def quotable(self) -> Quotable:
        return Quotable(self.passage.text)

    @cached_property
    def sentences(self) -> list[Span]:
        return sentences(self.passage.text)


@dataclass(frozen=True)
class Found:
    """Characters `[start, end)` of a passage, which were quoted."""

    exhibit: Exhibit
    start: int
    end: int

    @property
    def evidence(self) -> Evidence:
        return Evidence(self.exhibit.passage.chunk_id, self.start, self.end)

    @property
    def context(self) -> Passage:
        """The sentences that it is taken from, and nothing else: half a sentence may deceive."""
        passage = self.exhibit.passage
        own = (self.start, self.end)
        touched = [s for s in self.exhibit.sentences if s[0] < self.end and self.start < s[1]]
        start = min(start for start, _ in (own, *touched))
        end = max(end for _, end in (own, *touched))
        return replace(passage, text=passage.text[start:end])


def found(ruling: Ruling, claim: str, exhibits: Mapping[str, Exhibit]) -> Sequence[Found]:
    """What is quoted for a claim; nothing unless every quote stands in the source that it names."""
    places: list[Found] = []
    for quote in ruling.quotes:
        exhibit = exhibits.get(quote.source)
        spans = exhibit.quotable.find(quote.text, claim) if exhibit else ()
        if exhibit is None or not spans:
            return ()
        places += (Found(exhibit, *span) for span in spans)
    return list(dict.fromkeys(places))


def doubt(answer: Answer, claim: Claim, ruling: Ruling, places: Sequence[Found]) -> str | None:
    """Why what is quoted does not bear out the ruling, as far as words and values tell."""
    passages = tuple(dict.fromkeys(place.context for place in places))
    if not _related(answer, claim, passages):
        return "quote_unrelated"
    asked = replace(answer, passages=passages, claims=(claim,))
    (said,) = EmbeddedVerifier().verify(asked).verdicts
    opposite = {ruling.verdict, said.verdict} == {"supported", "contradicted"}
    if opposite or (ruling.verdict == "supported" and _values_differ(answer, claim, passages)):
        return "quote_conflicts"
    return None


def _related(answer: Answer, claim: Claim, passages: Sequence[Passage]) -> bool:
    """Whether claim and evidence have a word in common; of other languages than English nobody can tell.

    A claim without a value may be a paraphrase, so that evidence on what was asked for will do.
    """
    index, stated = Index(passages), answer.text[claim.start : claim.end]
    said = words(stated) + ([] if values_in(stated) else words(answer.question or ""))
    if is_english(stated) is False or any(is_english(p.text) is False for p in passages):
        return True
    return any(index.variants(word.stem) for word in said if word.kind != "function")


def _values_differ(answer: Answer, claim: Claim, passages: Sequence[Passage]) -> bool:
    stated = values_in(answer.text[claim.start : claim.end])
    told = [value for passage in passages for value in values_in(passage.text)]
    return any(_is_replaced(value, told) for value in stated if value.kind in _FIRM)


def _is_replaced(value: Value, told: Sequence[Value]) -> bool:
    """Whether the evidence has values of the kind, and none that could be this one."""
    others = [other for other in told if other.kind == value.kind]
    return bool(others) and not any(_may_be(value, other) for other in others)


def _may_be(value: Value, other: Value) -> bool:
    """Whether they are the same, or the same but for a year or a bound that one of them leaves out."""
    comparison = compare(value, other)
    if comparison != "incomparable":
        return comparison == "equal"
    return value.kind == "date" or value.number == other.number
