"""Citations are held against the texts they name: does another one say it, is the quotation there?"""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from doctrail_core.grounding.citations import checked
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Chunk, Citation, Claim, Evidence, Verdict
from doctrail_core.text.citations import citations
from doctrail_core.text.sentences import sentences

RENEWAL = Passage(
    "c-1", "doc_1", "The contract renewal deadline for enterprise accounts is February 28th."
)
REFUNDS = Passage(
    "c-2", "doc_2", "Refunds are granted within thirty days of the purchase, for any reason."
)
STARTUPS = Passage(
    "c-3", "doc_3", "The contract renewal deadline for startup accounts is March 15th."
)
NOTICE = Passage("c-4", "doc_4", "Either party may terminate on thirty (30) days' notice.")
PASSAGES = (RENEWAL, REFUNDS, STARTUPS, NOTICE)


def judged(
    text: str, passages: Sequence[Passage] = PASSAGES, verdicts: Sequence[Verdict] = ()
) -> tuple[Citation, ...]:
    chunks = {p.chunk_id: Chunk(p.chunk_id, p.document_id, None, text=p.text) for p in passages}
    return checked(citations(text, chunks, list(chunks)), Answer(text, tuple(passages)), verdicts)


@pytest.mark.parametrize(
    ("text", "state", "better"),
    [
        ("The renewal deadline for enterprise accounts is February 28 [doc_1].", "ok", None),
        ("The renewal deadline for enterprise accounts is February 28 [doc_2].", "misattributed", "c-1"),
        ("The renewal deadline for enterprise accounts is February 28 [doc_3].", "misattributed", "c-1"),
        ("The renewal deadline for startup accounts is 15 March [doc_1].", "misattributed", "c-3"),
        ("Refunds are granted within 30 days of the purchase [doc_2].", "ok", None),
        ("Refunds are granted within 30 days of the purchase [doc_1].", "misattributed", "c-2"),
        ("Refunds are granted within thirty days of the purchase [doc_4].", "misattributed", "c-2"),
        ("The office cat is called Tom and likes fish [doc_1].", "ok", None),
        ("The renewal deadline is February 28 [doc_2][doc_1].", "ok", None),
        ("The renewal deadline is May 1st [doc_3].", "ok", None),
        ("Yes [doc_2].", "ok", None),
        ('It says "refunds are granted within thirty days" [doc_2].', "ok", None),
        ("It says “refunds are granted within sixty days” [doc_2].", "quote_not_verbatim", None),
        ('It says "refunds are granted within thirty days" [doc_1].', "misattributed", "c-2"),
    ],
)  # fmt: skip
def test_a_citation_is_wrong_only_if_something_better_is_at_hand(
    text: str, state: str, better: str | None
):
    assert (judged(text)[0].state, judged(text)[0].better) == (state, better)


def test_citations_that_do_not_resolve_stay_as_they_are():
    found = judged("The renewal deadline for enterprise accounts is February 28 [doc_9] [9].")
    assert [c.state for c in found] == ["unknown_id", "unknown_id"]


def test_evidence_of_a_verdict_in_the_cited_chunk_settles_it():
    text = "The renewal deadline for startup accounts is 15 March [doc_1]."
    claim = Claim(0, len(text))
    verdict = Verdict(
        claim=claim,
        verdict="supported",
        score=0.1,
        reason="judged",
        evidence=(Evidence("c-1", 0, 9),),
    )
    assert [c.state for c in judged(text, verdicts=[verdict])] == ["ok"]


def test_evidence_of_a_verdict_in_another_chunk_counts_where_the_cited_one_has_few_of_the_words():
    text = "Purchasers get back the money that they paid for the purchase [doc_1]."
    verdict = Verdict(
        claim=Claim(0, len(text)), verdict="supported", score=0.1, reason="judged", evidence=(Evidence("c-2", 0, 9),)
    )  # fmt: skip
    assert [c.state for c in judged(text)] == ["ok"]
    assert [(c.state, c.better) for c in judged(text, verdicts=[verdict])] == [
        ("misattributed", "c-2")
    ]


def test_a_chunk_whose_text_is_not_known_cannot_be_held_against():
    text = "The renewal deadline for enterprise accounts is February 28 [doc_2]."
    chunks = {"c-2": Chunk("c-2", "doc_2", None)}
    cited = citations(text, chunks, ["c-2"])
    assert checked(cited, Answer(text, (RENEWAL,)), ()) == cited


_CONTRACTS = Path(__file__).parents[2] / "doctrail/src/doctrail/demo/contracts"


def _pieces(text: str) -> list[str]:
    spans = sentences(text)
    groups = [spans[n : n + 6] for n in range(0, len(spans), 6)]
    return [text[group[0][0] : group[-1][1]] for group in groups]


def test_sentences_of_real_contracts_are_told_from_those_of_others():
    files = sorted(_CONTRACTS.glob("*.txt"))
    pool = [
        Passage(f"{file.stem}-{n}", file.stem, piece)
        for file in files
        for n, piece in enumerate(_pieces(file.read_text()))
    ]
    draw = random.Random(4)  # noqa: S311 -- a sample, no secret
    rightly: list[str] = []
    wrongly: list[str] = []
    for _ in range(60):
        passages = draw.sample(pool, 6)
        source, other = passages[:2]
        said = [
            source.text[a:b].rstrip(".;") for a, b in sentences(source.text) if 60 < b - a < 400
        ]
        for sentence in said[:1]:
            rightly += [c.state for c in judged(f"{sentence} [{source.chunk_id}].", passages)[-1:]]
            wrongly += [c.state for c in judged(f"{sentence} [{other.chunk_id}].", passages)[-1:]]
    assert len(rightly) > 30
    assert set(rightly) == {"ok"}
    assert wrongly.count("misattributed") > 0.6 * len(wrongly)
