"""A cascade asks its second verifier about what the first leaves open, and loses nothing if that fails."""

from dataclasses import dataclass, field

import pytest

from doctrail_core.grounding.cascade import Cascade
from doctrail_core.grounding.checking import check
from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.verifier import Answer, Findings, Passage, Verifier, VerifierError
from doctrail_core.model import Claim, Evidence, Usage, Verdict

SENTENCES = {
    "Hello there!": ("not_checked", None, "not_a_claim"),
    "It is covered.": ("supported", 0.1, "covered"),
    "It is another day.": ("contradicted", 0.95, "value_conflict"),
    "It is not so.": ("contradicted", 0.92, "negation_differs"),
    "It is nowhere.": ("unsupported", 0.7, "value_absent"),
    "It is open.": ("not_checked", 0.3, "partial_overlap"),
}
ESCALATED = ["It is not so.", "It is nowhere.", "It is open."]


def answer(*sentences):
    return Answer(" ".join(sentences or SENTENCES), (Passage("c1", "d1", "Some text."),), "Why?")


def text(given, verdict):
    return given.text[verdict.claim.start : verdict.claim.end]


@dataclass
class Fake(Verifier):
    """A fake that says of each sentence what it is told to, and keeps what it was asked."""

    name: str
    says: dict
    usage: Usage | None = None
    cost: float | None = None
    error: VerifierError | None = None
    fails_together: bool = False
    asked: list = field(default_factory=list)
    version = "7"

    def verify(self, given):
        self.asked.append([given.text[c.start : c.end] for c in given.claims or ()])
        if self.error:
            raise self.error
        claims = given.claims
        if claims is None:
            starts = [(given.text.find(s), s) for s in self.says if s in given.text]
            claims = [Claim(start, start + len(s)) for start, s in sorted(starts)]
        verdicts = [self.verdict(c, given.text[c.start : c.end]) for c in claims]
        return Findings(verdicts=tuple(verdicts), usage=self.usage, cost=self.cost)

    async def averify(self, given):
        return self.verify(given)

    def verify_batch(self, answers):
        if self.fails_together:
            raise VerifierError("one of them is bad")
        return [self.verify(given) for given in answers]

    def verdict(self, claim, said):
        verdict, score, reason = self.says[said]
        return Verdict(claim=claim, verdict=verdict, score=score, reason=reason)


SECOND = {
    "It is not so.": ("supported", 0.05, "judged"),
    "It is nowhere.": ("contradicted", 0.95, "judged"),
    "It is open.": ("not_checked", None, "quote_not_found"),
}


@pytest.fixture
def first():
    return Fake("first", SENTENCES, Usage(1, 2, 3), 0.25)


@pytest.fixture
def second():
    return Fake("second", SECOND, Usage(10, 20, 30), 0.5)


@pytest.fixture(params=["verify", "averify", "verify_batch"])
def run(request):
    """Check an answer in each of the ways."""

    async def check_one(cascade, given):
        if request.param == "verify":
            return cascade.verify(given)
        if request.param == "averify":
            return await cascade.averify(given)
        (found,) = cascade.verify_batch([given])
        return found

    return check_one


async def test_only_what_is_open_is_asked_again(first, second, run):
    found = await run(Cascade(first=first, then=second), answer())
    assert second.asked == [ESCALATED]
    assert [(text(answer(), v), v.verdict, v.reason, v.verifier) for v in found.verdicts] == [
        ("Hello there!", "not_checked", "not_a_claim", "first"),
        ("It is covered.", "supported", "covered", "first"),
        ("It is another day.", "contradicted", "value_conflict", "first"),
        ("It is not so.", "supported", "judged", "second"),
        ("It is nowhere.", "contradicted", "judged", "second"),
        ("It is open.", "not_checked", "quote_not_found", "second"),
    ]
    assert (found.usage, found.cost) == (Usage(11, 22, 33), 0.75)
    assert (found.degraded_from, found.error) == (None, None)


async def test_what_the_second_cannot_say_leaves_what_the_first_said(first, second, run):
    second.says = dict.fromkeys(ESCALATED, ("not_checked", None, "malformed"))
    found = await run(Cascade(first=first, then=second), answer())
    assert [(v.verdict, v.verifier) for v in found.verdicts[3:]] == [
        ("contradicted", "first"),
        ("unsupported", "first"),
        ("not_checked", "second"),
    ]


async def test_strictly_everything_is_asked_again(first, second, run):
    second.says = dict.fromkeys(SENTENCES, ("unsupported", 0.8, "judged"))
    found = await run(Cascade(first=first, then=second, strict=True), answer())
    assert second.asked == [list(SENTENCES)]
    assert {(v.verdict, v.verifier) for v in found.verdicts} == {("unsupported", "second")}


async def test_nobody_is_asked_where_nothing_is_open(first, second, run):
    given = answer("Hello there!", "It is covered.")
    found = await run(Cascade(first=first, then=second), given)
    assert second.asked == []
    assert [v.verifier for v in found.verdicts] == ["first", "first"]
    assert (found.usage, found.cost) == (first.usage, first.cost)


async def test_if_the_second_fails_the_first_stands_and_why_is_told(first, second, run):
    second.error = VerifierError("no quota", usage=Usage(5, 5, 10), cost=0.125)
    found = await run(Cascade(first=first, then=second), answer())
    assert [(v.verdict, v.verifier) for v in found.verdicts] == [
        (verdict, "first") for verdict, _, _ in SENTENCES.values()
    ]
    assert (found.degraded_from, found.error) == ("second", "no quota")
    assert (found.usage, found.cost) == (Usage(6, 7, 13), 0.375)


async def test_if_the_first_fails_so_does_the_cascade(first, second, run):
    first.error = VerifierError("no good")
    with pytest.raises(VerifierError, match="no good"):
        await run(Cascade(first=first, then=second), answer())


async def test_a_second_that_left_it_to_another_is_told_of(first, second, run):
    third = Findings(verdicts=(), degraded_from="judge", error="the budget of the hour is used up")
    second.verify = lambda given: third
    found = await run(Cascade(first=first, then=second), answer())
    assert (found.degraded_from, found.error) == ("judge", "the budget of the hour is used up")
    assert {v.verifier for v in found.verdicts} == {"first"}


def test_a_batch_asks_the_second_once_and_only_about_what_is_open(first, second):
    closed, both, single = answer("It is covered."), answer(), answer("It is open.")
    found = Cascade(first=first, then=second).verify_batch([closed, both, single])
    assert second.asked == [ESCALATED, ["It is open."]]
    assert [len(f.verdicts) for f in found] == [1, 6, 1]
    assert found[2].verdicts[0].verifier == "second"


def test_a_batch_that_fails_together_is_asked_one_by_one(first, second):
    second.fails_together = True
    found = Cascade(first=first, then=second).verify_batch([answer(), answer("It is open.")])
    assert [f.degraded_from for f in found] == [None, None]
    assert second.asked == [ESCALATED, ["It is open."]]


def test_cascades_can_be_cascaded(first, second):
    third = Fake("third", dict.fromkeys(ESCALATED, ("supported", 0.1, "judged")))
    inner = Cascade(first=second, then=third, name="inner")
    found = Cascade(first=first, then=inner).verify(answer())
    assert third.asked == [["It is nowhere.", "It is open."]]
    assert [v.verifier for v in found.verdicts][3:] == ["second", "third", "third"]


def test_the_embedded_verifier_comes_first_unless_told_otherwise(second):
    cascade = Cascade(then=second)
    embedded = EmbeddedVerifier()
    assert cascade.name == "cascade"
    assert cascade.version == f"embedded {embedded.version} > second 7"
    line = "The renewal deadline for enterprise accounts is February 28th."
    found = cascade.verify(Answer(line, (Passage("c1", "d1", line),)))
    assert [(v.verdict, v.verifier) for v in found.verdicts] == [("supported", "embedded")]
    assert second.asked == []


def test_the_whole_assessment_says_who_said_what(first, second):
    second.error = VerifierError("no quota")
    chunk = {"text": "Some text.", "chunk_id": "c1"}
    assessment = check(answer().text, [chunk], verifier=Cascade(first=first, then=second))
    assert (assessment.verifier, assessment.status) == ("cascade", "checked")
    assert assessment.degraded_from == "second"
    assert assessment.risk == 0.95


def test_evidence_of_either_is_kept(first, second):
    evidence = (Evidence("c1", 0, 4),)
    second.verdict = lambda claim, said: Verdict(
        claim=claim, verdict="supported", score=0.1, reason="judged", evidence=evidence
    )
    found = Cascade(first=first, then=second).verify(answer())
    assert [v.evidence for v in found.verdicts] == [(), (), (), evidence, evidence, evidence]
