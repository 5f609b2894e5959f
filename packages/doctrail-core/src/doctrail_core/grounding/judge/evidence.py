"""Whether what a judge quotes is evidence: it stands in the chunk, and does not say otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import Word, stems, words
from doctrail_core.grounding.judge.quotes import Quotable
from doctrail_core.grounding.judge.rulings import Ruling
from doctrail_core.grounding.judge.windows import blanked
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim, Evidence
from doctrail_core.text.sentences import sentences
from doctrail_core.text.spans import Span

__all__ = ["Exhibit", "Found", "doubt", "found"]

_ENGLISH = 8
"""One in so many words is a function word, at least."""
_TELLING = 3
"""A claim of fewer content words leans on the question."""


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
        touched = (s for s in self.exhibit.sentences if s[0] < self.end and self.start < s[1])
        return blanked(self.exhibit.passage, [*touched, (self.start, self.end)])


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
    passages = tuple(place.context for place in places)
    if not _related(answer, claim, passages):
        return "quote_unrelated"
    if ruling.verdict != "supported":
        return None
    asked = replace(answer, passages=passages, claims=(claim,))
    (said,) = EmbeddedVerifier().verify(asked).verdicts
    return "quote_conflicts" if said.verdict == "contradicted" else None


def _related(answer: Answer, claim: Claim, passages: Sequence[Passage]) -> bool:
    """Whether claim and evidence have a word in common; of other languages than English nobody can tell."""
    index = Index(passages)
    said = words(answer.text[claim.start : claim.end])
    if len(stems(said)) < _TELLING:
        said += words(answer.question or "")
    if not all(map(_is_english, (said, [word for line in index.lines for word in line.words]))):
        return True
    return any(index.variants(word.stem) for word in said if word.kind != "function")


def _is_english(found: Sequence[Word]) -> bool:
    return sum(word.kind == "function" for word in found) * _ENGLISH >= len(found)
