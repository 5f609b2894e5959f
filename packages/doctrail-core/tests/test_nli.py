"""What local models need before one is loaded: how checkpoints are told apart, windows, thresholds."""

import re
import sys
from math import isclose

import pytest

from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.nli import NliVerifier, Thresholds
from doctrail_core.grounding.nli.families import (
    FACTCG,
    HHEM,
    LETTUCEDETECT,
    MINICHECK,
    MINICHECK_T5,
    NLI,
    family_of,
)
from doctrail_core.grounding.nli.windows import halves, windows
from doctrail_core.grounding.verifier import Passage, VerifierError

CLASSIFIER = ["DebertaV2ForSequenceClassification"]


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_without_the_libraries_the_error_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(VerifierError, match=re.escape("pip install 'doctrail-core[nli]'")):
        NliVerifier("any/model")


# Families


@pytest.mark.parametrize(
    ("model", "architecture", "labels", "family"),
    [
        ("cross-encoder/nli-deberta-v3-base", CLASSIFIER, ("contradiction", "entailment"), NLI),
        (
            "FacebookAI/roberta-large-mnli",
            ["RobertaForSequenceClassification"],
            ("ENTAILMENT",),
            NLI,
        ),
        ("vectara/hallucination_evaluation_model", ["HHEMv2ForSequenceClassification"], (), HHEM),
        ("lytang/MiniCheck-Flan-T5-Large", ["T5ForConditionalGeneration"], (), MINICHECK_T5),
        ("lytang/MiniCheck-RoBERTa-Large", ["RobertaForSequenceClassification"], (), MINICHECK),
        ("lytang/MiniCheck-DeBERTa-v3-Large", CLASSIFIER, (), MINICHECK),
        ("yaxili96/FactCG-DeBERTa-v3-Large", CLASSIFIER, (), FACTCG),
        (
            "KRLabsOrg/lettucedect-base-modernbert-en-v1",
            ["ModernBertForTokenClassification"],
            (),
            LETTUCEDETECT,
        ),
    ],
)
def test_published_checkpoints_are_told_apart(model, architecture, labels, family):
    config = {"architectures": architecture, "id2label": dict(enumerate(labels))}
    assert family_of(config, model, None) is family


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": CLASSIFIER, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}},
        {"architectures": ["BertForTokenClassification"]},
        {"architectures": ["T5ForConditionalGeneration"]},
        {},
    ],
)
def test_a_checkpoint_that_could_be_anything_is_not_guessed(config):
    with pytest.raises(VerifierError, match="pass family="):
        family_of(config, "acme/checker", None)


def test_a_family_that_there_is_not_is_named():
    with pytest.raises(VerifierError, match="no family 'bert'; there are factcg, hhem"):
        family_of({"architectures": CLASSIFIER}, "acme/checker", "bert")


# Windows

TEXT = "The fee is due in May. The deadline is in June. Nothing else is said. Uptime is measured."


def shown(claim, *texts, count=3, around=0, most=10_000):
    passages = [Passage(f"c{n}", "d", text) for n, text in enumerate(texts)]
    index = Index(passages)
    found = windows(claim, index, count, around, lambda premise: len(premise) <= most)
    return [
        (passages[int(w.evidence.chunk_id[1:])].text[w.evidence.start : w.evidence.end], w.text)
        for w in found
    ]


def test_the_sentence_that_shares_most_comes_first():
    assert shown("The deadline is in June.", TEXT)[0] == ("The deadline is in June.",) * 2


def test_a_wider_window_is_shown_and_the_sentence_remains_the_evidence():
    ((evidence, text),) = shown("The deadline is in June.", TEXT, around=1000)
    assert (evidence, text) == ("The deadline is in June.", TEXT)


def test_a_window_is_as_wide_as_can_be_read():
    (evidence, text), *_ = shown("The deadline is in June.", TEXT, around=1000, most=60)
    assert evidence == "The deadline is in June."
    assert evidence in text
    assert len(evidence) < len(text) <= 60


def test_windows_do_not_overlap():
    found = shown("The fee is due in May and the deadline is in June.", TEXT, count=4)
    places = [TEXT.index(text) for _, text in found]
    assert len(set(places)) == len(found)
    assert sum(len(text) for _, text in found) <= len(TEXT)


def test_a_window_stays_in_its_passage():
    found = shown("The deadline is in June.", TEXT, "The deadline is in July.", around=1000)
    assert [text for _, text in found] == [TEXT, "The deadline is in July."]


def test_passages_that_share_no_word_are_shown_from_their_beginning():
    assert shown("Zebras graze.", TEXT, "Another text.") == [
        ("The fee is due in May.",) * 2,
        ("Another text.",) * 2,
    ]


def test_what_did_not_arrive_is_no_run_of_blanks():
    holey = f"The deadline is {' ' * 500} in June."
    assert {text for _, text in shown("The deadline is in June.", holey)} <= {
        "The deadline is in June.",
        "The deadline is",
        "in June.",
    }


def test_a_sentence_that_cannot_be_read_at_once_is_shown_in_pieces():
    endless = f"{'word ' * 400}deadline June {'more ' * 400}"
    found = shown("The deadline is in June.", endless, count=2, most=100)
    assert len(found) == 2
    assert "deadline" in found[0][1]
    assert all(len(text) <= 100 for _, text in found)


def test_texts_are_halved_between_words():
    assert halves("one two three four") == ("one two three", " four")
    assert halves("x" * 100) == ("x" * 50, "x" * 50)


# Thresholds


@pytest.mark.parametrize("unsupported", [0.2, 0.5, 0.8])
def test_risk_falls_as_support_rises_and_is_a_half_at_the_threshold(unsupported):
    thresholds = Thresholds(supported=0.8, unsupported=unsupported)
    risks = [thresholds.risk(step / 100) for step in range(101)]
    assert risks == sorted(risks, reverse=True)
    assert (risks[0], risks[-1]) == (1.0, 0.0)
    assert isclose(thresholds.risk(unsupported), 0.5)
    assert all((risk >= 0.5) == (step / 100 <= unsupported) for step, risk in enumerate(risks))


def test_thresholds_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="unsupported <= supported"):
        Thresholds(supported=0.4, unsupported=0.6)
    with pytest.raises(ValueError, match="contradicted"):
        Thresholds(contradicted=0.3)
