"""One answer to diagnose: what is known of it, and the conclusions that several ways lead to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property

from doctrail_core.diagnosis.evidence import Evidence, Place
from doctrail_core.diagnosis.probe import Probe
from doctrail_core.diagnosis.remedies import remedy
from doctrail_core.diagnosis.versions import newer, version_of
from doctrail_core.grounding.checking import assess
from doctrail_core.grounding.verifier import Verifier
from doctrail_core.model import Arrival, Assessment, Citation, Diagnosis, Fault, Finding, Trail
from doctrail_core.model.wording import percent

__all__ = ["Case"]

_NO_PROBE = "whether the corpus has it: no retriever was given to ask"
_LOST = {
    "deduplicated": "was dropped as a duplicate",
    "filtered": "was dropped",
    "truncated": "was cut off with the end of the context",
    "not observed": "is not in the prompt, and no step on record dropped it",
}
_CITED = {
    "not_in_context": "which was retrieved, and did not arrive in the prompt",
    "unknown_id": "which is nothing that was retrieved",
    "misattributed": "which does not say it",
    "quote_not_verbatim": "which does not have the words that are quoted",
}


class Case:
    """A trail, what else can be looked at, and what turned out to be missing."""

    def __init__(
        self,
        trail: Trail,
        expected: str | None = None,
        probe: Probe | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        """Look at nothing yet."""
        self.trail = trail
        self.answer = trail.answer or ""
        self.expected = expected
        self.evidence = Evidence(trail, probe, expected)
        self.missing: list[str] = []
        self._verifier = verifier

    @cached_property
    def assessment(self) -> Assessment:
        """The latest check on record by this verifier, by any if none is asked for; else a new one."""
        name = self._verifier.name if self._verifier else None
        on_record = [
            found
            for found in self.trail.assessments
            if found.status == "checked" and name in (None, found.verifier)
        ]
        return on_record[-1] if on_record else assess(self.trail, self._verifier)

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The sources that the answer names, as they were checked, or else as they were read."""
        return self.assessment.citations or self.trail.citations

    def conclude(self, fault: Fault, findings: Iterable[Finding]) -> Diagnosis:
        """The diagnosis, with the fix that follows."""
        reasons = tuple(findings)
        return Diagnosis(
            response_id=self.trail.response_id,
            fault=fault,
            findings=reasons,
            fix=remedy(fault, reasons),
            at=datetime.now(UTC),
            missing=tuple(dict.fromkeys(self.missing)),
            expected=self.expected,
        )

    def undetermined(self, missing: str | None, *findings: Finding) -> Diagnosis:
        """What is known, and what would have to be."""
        if missing:
            self.missing.append(missing)
        return self.conclude("undetermined", findings)

    def could_look(self) -> bool:
        """Whether the corpus was asked, and answered; else that goes among what is missing."""
        evidence = self.evidence
        if evidence.trouble:
            self.missing.append(
                f"whether the corpus has it: the retriever failed ({evidence.trouble})"
            )
        elif not evidence.can_look:
            self.missing.append(_NO_PROBE)
        return evidence.can_look

    # -- conclusions -------------------------------------------------------------------------------

    def lost(self, right: Sequence[Place]) -> Diagnosis:
        """It was retrieved and did not arrive."""
        if not self.trail.contexts:
            text = "This was retrieved; whether it arrived was not seen."
            found = self.evidence.finding("retrieved", text, right[0])
            return self.undetermined("what the model read: no prompt was seen", found)
        return self.conclude("assembly", [self._loss(place) for place in right[:2]])

    def _loss(self, place: Place) -> Finding:
        fate = self.evidence.fate(place.chunk.chunk_id)
        code, how = self._way_out(fate)
        detail = f" ({fate.reason_detail})" if fate and fate.reason_detail else ""
        return self.evidence.finding(code, f"This was retrieved, and {how}{detail}.", place)

    def _way_out(self, fate: Arrival | None) -> tuple[str, str]:
        reason = (fate.reason if fate else None) or "not observed"
        if fate is None or fate.state == "absent":
            return reason.replace(" ", "_"), _LOST[reason]
        if fate.state == "partial":
            how = f"did not arrive with the {percent(fate.coverage)} of its chunk that did"
            return reason.replace(" ", "_"), how
        return "rewritten", "a later step cut it out of its chunk"

    def unfound(self, right: Sequence[Place]) -> Diagnosis:
        """The corpus has it, and the search did not bring it."""
        best = min(right, key=self._effort)
        return self.conclude("retrieval", [self.not_retrieved(), self._way_to(best)])

    def _effort(self, place: Place) -> tuple[int, int]:
        found = self.evidence.found(place.chunk.chunk_id)
        order = ("question", "unfiltered", "expected")
        return (order.index(found.by), found.rank) if found else (len(order), 0)

    def _way_to(self, place: Place) -> Finding:
        found = self.evidence.found(place.chunk.chunk_id)
        k = max((r.k or 0 for r in self.trail.retrievals), default=0)
        filters = next((r.filters for r in self.trail.retrievals if r.filters), None)
        match found.by if found else "expected":
            case "question" if found and found.rank < k:
                code = "found_now"
                how = f"the same question finds it now, at rank {found.rank + 1} of k = {k}, and did not then"
            case "question":
                beyond = f", beyond k = {k}" if k else ""
                code = "k_too_small"
                how = (
                    f"the same question finds it at rank {(found.rank if found else 0) + 1}{beyond}"
                )
            case "unfiltered":
                code = "filtered_out"
                how = f"the search's filter leaves it out{f': {filters}'[:200] if filters else ''}"
            case _:
                code = "not_found_by_question"
                how = "the words of the right answer find it, those of the question do not"
        return self.evidence.finding(code, f"The corpus has it; {how}.", place)

    def superseded(self, followed: Iterable[Place], right: Iterable[Place]) -> Diagnosis | None:
        """What the answer follows is an older version of what says otherwise."""
        later = list(right)
        pairs = ((old, new) for old in followed for new in later if newer(old.chunk, new.chunk))
        found = next(pairs, None)
        return self.conclude("stale_sources", self._versions(*found)) if found else None

    def _versions(self, old: Place, new: Place) -> Iterator[Finding]:
        before, after = version_of(old.chunk), version_of(new.chunk)
        yield self.evidence.finding(
            "outdated", f"The answer follows this{f' ({before})' if before else ''}.", old
        )
        yield self.evidence.finding(
            "newer_version", f"A newer version says otherwise{f' ({after})' if after else ''}.", new
        )

    def conflicting(self, followed: Place, other: Place) -> Diagnosis:
        """Two sources in one prompt disagree."""
        mine = self.evidence.finding("says_otherwise", "The answer follows this.", followed)
        text = "This arrived in the same prompt, and says otherwise."
        return self.conclude(
            "conflicting_sources", [mine, self.evidence.finding("conflicts", text, other)]
        )

    # -- reasons -----------------------------------------------------------------------------------

    def not_retrieved(self) -> Finding:
        """That nothing retrieved has it."""
        number = len(self.evidence.retrieved)
        what = "has what was expected" if self.expected else "seems to answer the question"
        text = (
            f"None of the {number} retrieved chunks {what}." if number else "Nothing was retrieved."
        )
        return Finding(code="not_retrieved", text=text)

    def not_in_corpus(self) -> Finding:
        """That the probe did not find it either."""
        by = "the question or the words of the right answer" if self.expected else "the question"
        return Finding(
            code="not_in_corpus",
            text=f"Nor has anything that the retriever finds now by {by}, however deep it looks.",
        )

    def nearest(self) -> Iterator[Finding]:
        """What arrived and comes nearest to the question."""
        place = self.evidence.closest(self.evidence.read)
        if place is not None and place.relevance > 0:
            yield self.evidence.finding("nearest", "This is the nearest that arrived.", place)

    def bad_citations(self) -> Iterator[Finding]:
        """The sources that the answer names and should not."""
        for citation in self.citations:
            if citation.state in _CITED:
                yield _miscited(citation)


def _miscited(citation: Citation) -> Finding:
    better = f"; {citation.better} does" if citation.better else ""
    found = Finding(
        code=f"citation_{citation.state}",
        text=f"The answer names {citation.cited} as its source, {_CITED[citation.state]}{better}.",
    )
    return replace(found, claim_start=citation.claim_start, claim_end=citation.claim_end)
