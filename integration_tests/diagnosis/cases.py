"""Answers that went wrong in a known way: the way is built in, and that gives the label.

A case is only made where its making holds: the clause really ranks below `k`, the cut really falls
before it. What a diagnosis says of it plays no part in that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

from diagnosis.facts import FACTS, Fact, library
from diagnosis.hosts import HOSTS, Asked, Host, Paper, Piece, Reader, Setup

from doctrail.demo.reading import extract
from doctrail_core.model import Fault
from doctrail_core.testing import CapturedLineage

DEPARTMENTS = ("legal", "sales")
REFUSAL = "The context does not say."


@dataclass(frozen=True)
class Case:
    """One answer, and whose fault it is."""

    way: str
    label: Fault
    host: Host
    fact: Fact
    setup: Setup
    read: Reader
    expected: str | None
    probed: bool = True

    @property
    def name(self) -> str:
        return f"{self.way}-{self.host.name}-{self.fact.document}-{FACTS.index(self.fact)}"

    def ask(self, lineage: CapturedLineage) -> Asked:
        """Really run the chain."""
        return self.host.ask(self.setup, self.fact.question, self.read, lineage)


def cases() -> list[Case]:
    """All cases: for every way to go wrong, the first facts of each framework with which it can."""
    return [case for way in WAYS for host in HOSTS for case in _some(way, host)]


Way = Callable[[Host, Fact], Case | None]
EACH = 6
"""So many cases of a way and a framework; fewer where fewer can be made."""


def _some(way: Way, host: Host) -> Iterator[Case]:
    """Facts are taken in turns, so that the ways do not all see the same ones."""
    first = WAYS.index(way) * 7 % len(FACTS)
    made = (way(host, fact) for fact in (*FACTS[first:], *FACTS[:first]))
    return islice((case for case in made if case), EACH)


# -- what is in the store --------------------------------------------------------------------------


@cache
def shelf() -> tuple[Paper, ...]:
    return tuple(
        Paper(c.document_id, c.text, {"source": c.source, "department": DEPARTMENTS[number % 2]})
        for number, c in enumerate(library().values())
    )


@cache
def without(document: str) -> tuple[Paper, ...]:
    return tuple(paper for paper in shelf() if paper.document_id != document)


def paper_of(document: str) -> Paper:
    return next(paper for paper in shelf() if paper.document_id == document)


@cache
def altered(fact: Fact, document_id: str | None = None, **metadata: str) -> Paper:
    """The contract with the other value."""
    paper = paper_of(fact.document)
    text = paper.text.replace(fact.clause, fact.altered)
    return Paper(document_id or paper.document_id, text, {**paper.metadata, **metadata})


# -- where the clause is ---------------------------------------------------------------------------


def rank(host: Host, setup: Setup, question: str, clause: str) -> int | None:
    """At which rank the store returns the chunk with the clause."""
    found = host.search(setup, question)
    return next((n for n, piece in enumerate(found) if clause in piece.text), None)


def whole(host: Host, fact: Fact) -> bool:
    """Whether some chunk has the clause in one piece."""
    return any(fact.clause in piece.text for piece in host.split(paper_of(fact.document)))


def enough(host: Host, fact: Fact, most: int = 6, least: int = 0) -> Setup | None:
    """The application with a `k` that brings the clause; None where that takes a large one."""
    setup = Setup(shelf())
    at = rank(host, setup, fact.question, fact.clause) if whole(host, fact) else None
    if at is None or not least <= at < most:
        return None
    return replace(setup, k=max(at + 1, 4))


def saying(answer: str) -> Reader:
    return lambda _: answer


# -- the ways --------------------------------------------------------------------------------------


def good(host: Host, fact: Fact) -> Case | None:
    setup = enough(host, fact)
    return setup and Case("good", "no_fault", host, fact, setup, saying(fact.right), fact.expected)


def good_untold(host: Host, fact: Fact) -> Case | None:
    setup = enough(host, fact)
    return setup and Case("good, untold", "no_fault", host, fact, setup, _quoting(fact), None)


def _quoting(fact: Fact) -> Reader:
    """Answers in the words of the contract, as careful models do."""
    text = library()[fact.document].text
    at = text.index(fact.clause)
    start = max(text.rfind(". ", 0, at) + 2, text.rfind("\n", 0, at) + 1)
    ends = [
        end for mark in (". ", ".\n", "\n") if (end := text.find(mark, at + len(fact.clause))) > 0
    ]
    return saying(text[start : min(ends) + 1].strip())


def k_too_small(host: Host, fact: Fact) -> Case | None:
    if (setup := enough(host, fact, most=40, least=1)) is None:
        return None
    at = rank(host, setup, fact.question, fact.clause)
    read = extract if FACTS.index(fact) % 2 else saying(fact.wrong)
    return at and Case(
        "k too small", "retrieval", host, fact, replace(setup, k=min(at, 3)), read, fact.expected
    )


def wrong_filter(host: Host, fact: Fact) -> Case | None:
    if (setup := enough(host, fact)) is None:
        return None
    own = paper_of(fact.document).metadata["department"]
    other = next(name for name in DEPARTMENTS if name != own)
    read = saying(REFUSAL) if FACTS.index(fact) % 2 else extract
    return Case(
        "wrong filter",
        "retrieval",
        host,
        fact,
        replace(setup, only=("department", other)),
        read,
        fact.expected,
    )


def cut_context(host: Host, fact: Fact) -> Case | None:
    if (setup := enough(host, fact, most=10, least=1)) is None:
        return None
    before = 0
    for piece in host.search(setup, fact.question):
        if fact.clause in piece.text:
            before += piece.text.index(fact.clause)
            break
        before += len(piece.text) + 2
    read = saying(fact.wrong) if FACTS.index(fact) % 2 else extract
    return Case(
        "cut context",
        "assembly",
        host,
        fact,
        replace(setup, budget=max(before - 10, 50)),
        read,
        fact.expected,
    )


def deduplicated(host: Host, fact: Fact) -> Case | None:
    if (setup := enough(host, fact, most=10, least=1)) is None:
        return None
    found = host.search(setup, fact.question)[: setup.k]
    best = next(piece for piece in found if piece.document_id == fact.document)
    if fact.clause in best.text:
        return None
    read = saying(REFUSAL) if FACTS.index(fact) % 2 else saying(fact.wrong)
    return Case(
        "deduplicated",
        "assembly",
        host,
        fact,
        replace(setup, one_each=True),
        read,
        fact.expected,
    )


def contradicting(host: Host, fact: Fact) -> Case | None:
    setup = enough(host, fact)
    return setup and Case(
        "contradicting reader", "generation", host, fact, setup, saying(fact.wrong), fact.expected
    )


def contradicting_untold(host: Host, fact: Fact) -> Case | None:
    """Says the contract's own sentence with another value."""
    if (setup := enough(host, fact)) is None:
        return None
    answer = _quoting(fact)("").replace(fact.value, fact.other)
    return Case(
        "contradicting reader, untold", "generation", host, fact, setup, saying(answer), None
    )


def ignoring(host: Host, fact: Fact) -> Case | None:
    setup = enough(host, fact)
    return setup and Case(
        "ignoring reader", "generation", host, fact, setup, saying(REFUSAL), fact.expected
    )


def wrong_citation(host: Host, fact: Fact) -> Case | None:
    if (setup := enough(host, fact)) is None:
        return None
    found = host.search(setup, fact.question)[: setup.k]
    others = [piece.document_id for piece in found if piece.document_id != fact.document]
    if not others:
        return None
    cited = others[0] if FACTS.index(fact) % 2 else "doc_90210"
    answer = f"{fact.right.removesuffix('.')} [DOC-ID: {cited}]."
    return Case(
        "wrong citation",
        "generation",
        host,
        fact,
        replace(setup, tagged=True),
        saying(answer),
        fact.expected,
    )


def _never_right(fact: Fact) -> Reader:
    """Picks a sentence, and declines where that would be right by chance."""

    def read(prompt: str) -> str:
        picked = extract(prompt)
        return REFUSAL if fact.value in picked else picked

    return read


def missing_document(host: Host, fact: Fact) -> Case | None:
    """The document was never put into the store; the reader makes do, or declines."""
    setup = Setup(without(fact.document), k=4)
    read = _never_right(fact) if FACTS.index(fact) % 2 else saying(REFUSAL)
    return Case("missing document", "corpus_gap", host, fact, setup, read, fact.expected)


def conflicting(host: Host, fact: Fact) -> Case | None:
    """A second contract of the same words says otherwise, and nothing tells which of them holds."""
    copy = altered(fact, f"{fact.document}-side-letter")
    setup = _with_both(host, fact, Setup((*shelf(), copy)))
    return setup and Case(
        "conflicting sources",
        "conflicting_sources",
        host,
        fact,
        setup,
        saying(fact.wrong),
        fact.expected,
    )


def conflicting_untold(host: Host, fact: Fact) -> Case | None:
    copy = altered(fact, f"{fact.document}-side-letter")
    setup = _with_both(host, fact, Setup((*shelf(), copy)))
    return setup and Case(
        "conflicting sources, untold",
        "conflicting_sources",
        host,
        fact,
        setup,
        _quoting(fact),
        None,
    )


def _with_both(host: Host, fact: Fact, setup: Setup) -> Setup | None:
    """With a `k` that brings both wordings."""
    ranks = [rank(host, setup, fact.question, clause) for clause in (fact.clause, fact.altered)]
    known = [at for at in ranks if at is not None]
    return (
        replace(setup, k=max(known) + 1) if len(known) == len(ranks) and max(known) < 10 else None
    )


def stale_beside_new(host: Host, fact: Fact) -> Case | None:
    """Both versions were read, and the answer follows the old one."""
    setup = _with_both(host, fact, Setup(_versions(fact)))
    return setup and Case(
        "stale beside new", "stale_sources", host, fact, setup, saying(fact.wrong), fact.expected
    )


def stale_alone(host: Host, fact: Fact) -> Case | None:
    """Only the old version was found; the new one is in the store."""
    setup = Setup(_versions(fact))
    old = rank(host, setup, fact.question, fact.altered)
    if old is None or old >= 6 or not whole(host, fact):
        return None
    return Case(
        "stale alone",
        "stale_sources",
        host,
        fact,
        replace(setup, k=old + 1, only=("state", "published")),
        saying(fact.wrong),
        fact.expected,
    )


@cache
def _versions(fact: Fact) -> tuple[Paper, ...]:
    """Every contract, and of this one an earlier version that says otherwise."""
    now = paper_of(fact.document)
    if FACTS.index(fact) % 2:  # the version is in the metadata
        new = Paper(
            f"{fact.document}-2024", now.text, {**now.metadata, "effective_date": "2024-03-01"}
        )
        old = altered(fact, f"{fact.document}-2019", effective_date="2019-03-01")
    else:
        new = Paper(f"{fact.document}-v2", now.text, {**now.metadata, "version": "2"})
        old = altered(fact, f"{fact.document}-v1", version="1")
    others = [
        replace(paper, metadata={**paper.metadata, "state": "published"})
        for paper in without(fact.document)
    ]
    published = replace(old, metadata={**old.metadata, "state": "published"})
    return (*others, published, replace(new, metadata={**new.metadata, "state": "draft"}))


def wrong_source(host: Host, fact: Fact) -> Case | None:
    """The only copy of the contract has the wrong value, and the answer follows it."""
    if fact.again:  # then the copy contradicts itself
        return None
    setup = Setup((*without(fact.document), altered(fact)))
    at = rank(host, setup, fact.question, fact.altered)
    if at is None or at >= 6:
        return None
    return Case(
        "wrong source",
        "wrong_source",
        host,
        fact,
        replace(setup, k=max(at + 1, 4)),
        saying(fact.wrong),
        fact.expected,
    )


def nobody_to_ask(host: Host, fact: Fact) -> Case | None:
    """The clause was not retrieved, and there is no retriever to look with."""
    case = k_too_small(host, fact)
    return case and replace(
        case, way="nobody to ask", label="undetermined", read=saying(REFUSAL), probed=False
    )


def other_clause(host: Host, fact: Fact) -> Case | None:
    """The reader takes a value of the right kind from another clause of the same contract."""
    others = [f for f in FACTS if f.document == fact.document and f is not fact]
    setup = Setup(shelf(), k=12)
    ranks = {f: rank(host, setup, fact.question, f.clause) for f in (fact, *others)}
    near = [f for f in others if (at := ranks[f]) is not None and at < setup.k]
    at = ranks[fact]
    if not near or at is None or at >= setup.k:
        return None
    return Case(
        "reader takes another clause",
        "generation",
        host,
        fact,
        setup,
        saying(fact.answer.format(near[0].expected)),
        fact.expected,
    )


def _told_in_a_sentence(way: Way) -> Way:
    """The same, where what should have been said is told in a whole sentence."""

    def told(host: Host, fact: Fact) -> Case | None:
        case = way(host, fact)
        return case and replace(case, way=f"{case.way}, told in a sentence", expected=fact.right)

    return told


good_in_a_sentence = _told_in_a_sentence(good)
k_too_small_in_a_sentence = _told_in_a_sentence(k_too_small)
cut_context_in_a_sentence = _told_in_a_sentence(cut_context)
contradicting_in_a_sentence = _told_in_a_sentence(contradicting)
missing_in_a_sentence = _told_in_a_sentence(missing_document)


def _declined(way: Way) -> Way:
    """The same, where the reader declines and nobody says what would have been right."""

    def declined(host: Host, fact: Fact) -> Case | None:
        case = way(host, fact)
        return case and replace(
            case, way=f"{case.way}, declined, untold", read=saying(REFUSAL), expected=None
        )

    return declined


k_too_small_declined = _declined(k_too_small)
cut_context_declined = _declined(cut_context)
ignoring_declined = _declined(ignoring)
missing_declined = _declined(missing_document)

WAYS: tuple[Way, ...] = (
    good,
    good_untold,
    k_too_small,
    wrong_filter,
    cut_context,
    deduplicated,
    contradicting,
    contradicting_untold,
    ignoring,
    wrong_citation,
    missing_document,
    conflicting,
    conflicting_untold,
    stale_beside_new,
    stale_alone,
    wrong_source,
    nobody_to_ask,
    k_too_small_declined,
    cut_context_declined,
    ignoring_declined,
    missing_declined,
    other_clause,
    good_in_a_sentence,
    k_too_small_in_a_sentence,
    cut_context_in_a_sentence,
    contradicting_in_a_sentence,
    missing_in_a_sentence,
)

__all__ = ["WAYS", "Case", "Piece", "cases"]
