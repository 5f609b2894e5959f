"""Models that read a premise and a claim at once: each claim is held against its best windows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from doctrail_core.grounding.nli.case import Case, unread
from doctrail_core.grounding.nli.families import Text
from doctrail_core.grounding.nli.judging import Opinion, Thresholds, judged, labels_of
from doctrail_core.grounding.nli.network import Network
from doctrail_core.grounding.nli.windows import Window, windows
from doctrail_core.model import Claim, Verdict

__all__ = ["PairChecker"]


@dataclass(frozen=True, slots=True)
class _Question:
    claim: Claim
    text: str
    windows: Sequence[Window]


class PairChecker:
    """Asks of all claims of all answers together."""

    def __init__(self, network: Network, thresholds: Thresholds, top_windows: int) -> None:
        self._network = network
        self._thresholds = thresholds
        self._top_windows = top_windows
        self._labels = labels_of(network.checkpoint)

    def check(self, cases: Sequence[Case]) -> list[Mapping[Claim, Verdict]]:
        asked = [[self._question(case, claim) for claim in case.open] for case in cases]
        texts = [
            self._written(window.text, question.text)
            for questions in asked
            for question in questions
            for window in question.windows
        ]
        said = iter(self._network.classified(texts))
        return [{q.claim: self._verdict(q, said) for q in questions} for questions in asked]

    def _question(self, case: Case, claim: Claim) -> _Question:
        text = case.text(claim)

        def fits(premise: str) -> bool:
            return self._network.length(self._written(premise, text)) <= self._network.max_length

        around = self._network.checkpoint.family.premise
        best = windows(text, case.index, self._top_windows, around, fits) if fits("") else []
        return _Question(claim, text, best)

    def _written(self, premise: str, claim: str) -> Text:
        plain, one = self._network.plain, self._network.checkpoint
        return one.family.write(plain(premise), plain(claim), one.tokenizer.eos_token or "")

    def _verdict(self, question: _Question, said: Iterator[Sequence[float]]) -> Verdict:
        rows = list(islice(said, len(question.windows)))
        if not rows:
            return unread(question.claim, "too_long")
        opinions = [
            Opinion(window.evidence, row[self._labels.supported], self._against(row))
            for window, row in zip(question.windows, rows, strict=True)
        ]
        return judged(question.claim, opinions, self._thresholds)

    def _against(self, row: Sequence[float]) -> float:
        return row[self._labels.contradicted] if self._labels.contradicted is not None else 0.0
