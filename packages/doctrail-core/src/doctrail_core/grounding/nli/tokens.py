"""Models that mark the words of an answer that its sources do not bear out: they read answers as a whole.

What is too long to be read at once is read in parts: the answer in runs of claims, the passages in
groups. A claim counts as supported where one group bears all of it out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from doctrail_core.grounding.nli.case import Case, unread
from doctrail_core.grounding.nli.families import lettucedetect_prompt
from doctrail_core.grounding.nli.judging import Opinion, Thresholds, judged, labels_of
from doctrail_core.grounding.nli.network import Network, TokenRisk
from doctrail_core.grounding.nli.windows import halves, windows
from doctrail_core.model import Claim, Verdict
from doctrail_core.text.spans import merged

__all__ = ["TokenChecker"]

_MADE_UP = 0.5


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring claims, and the prompts after which the stretch of the answer with them is read."""

    claims: Sequence[Claim]
    start: int
    text: str
    prompts: Sequence[str]


class TokenChecker:
    """Asks of all answers together."""

    def __init__(self, network: Network, thresholds: Thresholds) -> None:
        labels_of(network.checkpoint)
        self._network = network
        self._thresholds = thresholds

    def check(self, cases: Sequence[Case]) -> list[Mapping[Claim, Verdict]]:
        read = [list(self._runs(case, _in_order(case.open), whole=True)) for case in cases]
        texts = [(prompt, run.text) for runs in read for run in runs for prompt in run.prompts]
        told = iter(self._network.told(texts))
        return [
            {
                claim: verdict
                for run in runs
                for claim, verdict in self._verdicts(
                    case, run, list(islice(told, len(run.prompts)))
                )
            }
            for case, runs in zip(cases, read, strict=True)
        ]

    def _runs(self, case: Case, claims: Sequence[Claim], *, whole: bool) -> Iterator[_Run]:
        """The answer, or parts of it that leave half of what can be read to the passages."""
        if not claims:
            return
        start, end = (0, len(case.answer.text)) if whole else (claims[0].start, claims[-1].end)
        text = self._network.plain(case.answer.text[start:end])
        bare = self._network.length((lettucedetect_prompt([""], case.answer.question), text))
        if bare > self._network.max_length // 2 and len(claims) > 1:
            yield from self._runs(case, claims[: len(claims) // 2], whole=False)
            yield from self._runs(case, claims[len(claims) // 2 :], whole=False)
        elif bare > self._network.max_length // 2 and whole:
            yield from self._runs(case, claims, whole=False)
        else:
            yield _Run(claims, start, text, self._prompts(case, text))

    def _prompts(self, case: Case, text: str) -> Sequence[str]:
        plain = self._network.plain
        question = case.answer.question
        asked = None if question is None else plain(question)
        passages = [plain(p.text.strip()) for p in case.answer.passages if p.text.strip()]

        def written(group: Sequence[str]) -> str:
            return lettucedetect_prompt(group, asked)

        def fits(group: Sequence[str]) -> bool:
            return self._network.length((written(group), text)) <= self._network.max_length

        return [written(group) for group in _groups(passages, fits)] if fits([""]) else []

    def _verdicts(
        self, case: Case, run: _Run, told: Sequence[Sequence[TokenRisk]]
    ) -> Iterator[tuple[Claim, Verdict]]:
        for claim in run.claims:
            yield claim, self._verdict(case, claim, [_within(claim, run, risks) for risks in told])

    def _verdict(self, case: Case, claim: Claim, told: Sequence[Sequence[TokenRisk]]) -> Verdict:
        if not any(told):
            return unread(claim, "too_long")
        best = min(filter(None, told), key=_worst)
        nearest = windows(case.text(claim), case.index, 1, 0, lambda _: True)
        opinion = Opinion(nearest[0].evidence, supported=1 - _worst(best))
        verdict = judged(claim, [opinion], self._thresholds)
        return replace(verdict, missing=_made_up(case.answer.text, best))


def _in_order(claims: Sequence[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: claim.start)


def _groups(
    passages: Sequence[str], fits: Callable[[Sequence[str]], bool]
) -> Iterator[Sequence[str]]:
    """The passages in order, as many together as can be read; one that is too long, in pieces."""
    if fits(passages):
        yield passages
    elif len(passages) > 1:
        yield from _groups(passages[: len(passages) // 2], fits)
        yield from _groups(passages[len(passages) // 2 :], fits)
    elif len(passages[0]) > 1:
        for piece in halves(passages[0]):
            yield from _groups([piece], fits)


def _within(claim: Claim, run: _Run, risks: Sequence[TokenRisk]) -> list[TokenRisk]:
    """The tokens of the claim, at their places in the answer."""
    placed = ((start + run.start, end + run.start, risk) for start, end, risk in risks)
    return [token for token in placed if token[0] < claim.end and claim.start < token[1]]


def _worst(tokens: Sequence[TokenRisk]) -> float:
    return max(risk for _, _, risk in tokens)


def _made_up(answer: str, tokens: Sequence[TokenRisk]) -> tuple[str, ...]:
    """The stretches that the model marks, as the answer words them."""
    marked = [(start, end) for start, end, risk in tokens if risk > _MADE_UP]
    closed = merged((start, end + 1) for start, end in marked)
    said = (answer[start : end - 1].strip() for start, end in closed)
    return tuple(text for text in dict.fromkeys(said) if text)
