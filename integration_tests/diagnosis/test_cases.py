"""A diagnosis finds the fault that was built in: real contracts, real chains of both frameworks."""

import os
from collections import Counter
from pathlib import Path

import pytest
from diagnosis.facts import FACTS, library
from diagnosis.measuring import FAULTS, Outcome, as_made, outcomes, tables

PAGE = Path(__file__).parents[2] / "docs" / "diagnosis.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
DEVELOPED, HELD_OUT = 0.95, 0.9
"""The least share of right diagnoses: of all that a half has, and of any fault in it a tenth less."""


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    return outcomes()


def test_every_clause_stands_once_in_its_contract():
    for fact in FACTS:
        text = library()[fact.document].text
        assert text.count(fact.clause) == 1
        assert fact.value in fact.clause
        assert fact.again is None or fact.again in text


def test_every_fault_has_ten_cases_and_more_in_both_frameworks(found):
    counts = Counter((o.case.label, o.case.host.name) for o in found)
    assert (
        min(counts[fault, host] for fault in FAULTS for host in ("langchain", "llama_index")) >= 5
    )
    assert min(Counter(o.case.label for o in found).values()) >= 10
    assert len(found) >= 60


def test_every_case_went_wrong_in_the_way_that_its_label_says(found):
    assert [o.case.name for o in found if not as_made(o)] == []


@pytest.mark.parametrize(("held_out", "least"), [(False, DEVELOPED), (True, HELD_OUT)])
def test_the_fault_is_found(found, held_out, least):
    half = [o for o in found if o.case.fact.held_out is held_out]
    assert sum(o.right for o in half) >= least * len(half)
    for fault in FAULTS:
        some = [o for o in half if o.case.label == fault]
        assert sum(o.right for o in some) >= (least - 0.1) * len(some), fault


def test_a_right_answer_is_never_blamed_and_no_blame_is_without_a_reason(found):
    assert {o.diagnosis.fault for o in found if o.case.label == "no_fault"} == {"no_fault"}
    for outcome in found:
        assert outcome.diagnosis.findings or outcome.diagnosis.missing, outcome.case.name
        assert outcome.diagnosis.fix


def test_reasons_quote_the_chunk_they_name(found):
    for outcome in found:
        for finding in outcome.diagnosis.findings:
            if finding.evidence and finding.evidence.chunk_id in outcome.trail.chunks:
                texts = [
                    c.text
                    for c in outcome.trail.finds
                    if c.chunk_id == finding.evidence.chunk_id and c.text
                ]
                assert any(finding.sentence in text for text in texts)


def test_the_documentation_has_these_figures(found):
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    written, _, after = rest.partition(END)
    measured = tables(found)
    if os.environ.get("DOCTRAIL_WRITE_FIGURES"):
        PAGE.write_text(f"{before}{BEGIN}{measured}{END}{after}", encoding="utf-8")
    else:
        assert written == measured, "DOCTRAIL_WRITE_FIGURES=1 writes them anew"
