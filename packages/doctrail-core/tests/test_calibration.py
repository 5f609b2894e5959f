"""Learning from labels, and applying what was learned."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from doctrail_core.grounding.calibration import (
    CalibratedVerifier,
    Calibrator,
    CalibratorError,
    FitError,
    LabelError,
    fit,
    fitting,
    read_labels,
)
from doctrail_core.grounding.calibration.calibrator import Weight
from doctrail_core.grounding.calibration.verifier import weighed
from doctrail_core.grounding.embedded import EmbeddedVerifier
from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim, Verdict

TOWNS = [
    "Arnau",
    "Belfort",
    "Cadell",
    "Dormont",
    "Elva",
    "Farsund",
    "Gotha",
    "Hulst",
    "Ivrea",
    "Jena",
]
TRADES = ["weaving", "salt mining", "shipbuilding", "pottery", "printing", "glass blowing"]


def read(number):
    town, trade = TOWNS[number % 10], TRADES[number % 6]
    return (
        f"{town} lies on the northern bank of the river and lived from {trade} for centuries. "
        f"Its harbour was enlarged under the council, and the market of {town} drew merchants from the coast."
    )


def copied(number):
    town, trade = TOWNS[number % 10], TRADES[number % 6]
    return f"{town} lies on the northern bank of the river and lived from {trade}."


def invented(number):
    town = TOWNS[number % 10]
    return f"{town} was besieged by Swedish cavalry and its cathedral burned down completely."


def line(number, answer, **said):
    chunks = [{"chunk_id": "c", "document_id": f"doc-{number}", "text": read(number)}]
    return json.dumps({"answer": answer, "chunks": chunks, **said})


def in_parts(number, *, grounded):
    answer = copied(number) if grounded else invented(number)
    return line(number, answer, labels=[{"start": 0, "end": len(answer), "grounded": grounded}])


def as_a_whole(number, *, grounded):
    answer = copied(number) if grounded else f"{copied(number)} {invented(number)}"
    return line(number, answer, label="grounded" if grounded else "ungrounded")


def labelled(of, count=60):
    return list(read_labels(of(number, grounded=number % 3 > 0) for number in range(count)))


@pytest.fixture(scope="module")
def calibrator():
    return fit(labelled(in_parts, 90), source="labels.jsonl")


def test_what_was_learned_tells_invented_from_copied(calibrator):
    found = calibrator.provenance["cross_validated"]
    assert found["calibrated"]["AUROC"] > 0.95
    assert found["calibrated"]["F1"] > 0.95
    assert found["always"] == {"precision": 0.3333, "recall": 1.0, "F1": 0.5, "AUROC": 0.5}
    assert set(found["rules"]) == set(found["calibrated"])
    assert len(found["groups"]) == 90
    assert sum(group["rightly"] for group in found["groups"].values()) >= 29


def test_a_calibrator_says_what_it_was_fitted_on(calibrator):
    told = calibrator.provenance
    assert (told["source"], told["labels"]) == ("labels.jsonl", "parts of answers")
    assert (told["answers"], told["groups"]) == (90, 90)
    assert (calibrator.verifier, calibrator.verifier_version) == (
        "embedded",
        EmbeddedVerifier().version,
    )


def test_of_an_answer_judged_as_a_whole_the_wrong_claim_is_found():
    learned = CalibratedVerifier(EmbeddedVerifier(), fit(labelled(as_a_whole, 90)))
    text = f"{copied(4)} {invented(4)}"
    right, wrong = learned.verify(Answer(text, (Passage("c", "d", read(4)),))).verdicts
    assert right.score < 0.5 <= wrong.score


def test_what_was_saved_judges_as_before(calibrator, tmp_path):
    calibrator.save(tmp_path / "calibrator.json")
    loaded = Calibrator.load(tmp_path / "calibrator.json")
    assert loaded == calibrator
    assert loaded.version == calibrator.version


def test_the_threshold_is_where_the_risk_is_a_half():
    one = Calibrator(
        weights=(Weight("novel_share", 0.5, 0.1, 1.0),),
        bias=0.0,
        threshold=0.5,
        verifier="embedded",
        verifier_version="1",
    )
    at_the_mean = (0.5,) * 11
    assert one.risk(at_the_mean) == pytest.approx(0.5)
    strict = replace(one, threshold=0.2)
    assert strict.risk(at_the_mean) == pytest.approx(0.8)
    assert strict.version != one.version


def verdict(kind, score, reason="partial_overlap"):
    return Verdict(claim=Claim(0, 1), verdict=kind, score=score, reason=reason)


@pytest.mark.parametrize(
    ("kind", "risk", "becomes"),
    [
        ("supported", 0.1, "supported"),
        ("supported", 0.5, "unsupported"),
        ("not_checked", 0.1, "not_checked"),
        ("not_checked", 0.9, "unsupported"),
        ("unsupported", 0.1, "not_checked"),
        ("unsupported", 0.6, "unsupported"),
    ],
)
def test_labels_move_doubt_and_never_make_support(kind, risk, becomes):
    found = weighed(verdict(kind, 0.3), risk)
    assert (found.verdict, found.score) == (becomes, risk)
    assert (found.reason == "learned") == (kind != becomes)


@pytest.mark.parametrize(
    "found", [verdict("contradicted", 1.0, "value_conflict"), verdict("not_checked", None, "table")]
)
def test_a_contradiction_and_what_cannot_be_judged_stay_as_they_are(found):
    assert weighed(found, 0.01) == found
    assert weighed(found, 0.99) == found


async def test_every_way_of_checking_weighs_alike(calibrator):
    verifier = CalibratedVerifier(EmbeddedVerifier(), calibrator)
    answer = Answer(f"{copied(1)} {invented(1)}", (Passage("c", "d", read(1)),))
    found = verifier.verify(answer)
    assert await verifier.averify(answer) == found
    assert verifier.verify_batch([answer, answer]) == [found, found]
    assert verifier.name == "calibrated"
    assert verifier.version == f"{calibrator.version} on embedded {EmbeddedVerifier().version}"


def test_a_calibrator_of_another_version_is_applied_with_a_warning(calibrator, caplog):
    CalibratedVerifier(EmbeddedVerifier(), calibrator)
    assert not caplog.records
    CalibratedVerifier(EmbeddedVerifier(), replace(calibrator, verifier_version="0"))
    assert "fitted on verifier embedded 0" in caplog.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "its format is 2"),
        ({"threshold": 1}, "its threshold is 1.0"),
        ({"bias": "much"}, "'much' is no number"),
        ({"bias": float("nan")}, "nan is no number"),
        ({"weights": [{"name": "mood", "mean": 0, "scale": 1, "weight": 1}]}, "it weighs 'mood'"),
        (
            {"weights": [{"name": "risk", "mean": 0, "scale": 0, "weight": 1}]},
            "scale of 'risk' is 0",
        ),
        ({"weights": [{"name": "risk"}]}, "'mean' is missing"),
    ],
)
def test_a_file_that_cannot_be_applied_is_refused_with_the_reason(
    change, words, calibrator, tmp_path
):
    path = tmp_path / "calibrator.json"
    calibrator.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CalibratorError, match=words):
        Calibrator.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "{}"])
def test_what_is_no_calibrator_at_all_is_refused(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(CalibratorError, match=r"x\.json is no calibrator"):
        Calibrator.load(tmp_path / "x.json")


CHUNKS = '"chunks": ["A text."]'


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("{", "this is no JSON"),
        ("[]", "the line must be an object"),
        (f"{{{CHUNKS}}}", "'answer' must be a text, not None"),
        ('{"answer": "Yes.", "chunks": "A text."}', "'chunks' must be a list"),
        ('{"answer": "Yes.", "chunks": [1]}', "a chunk must be an object, not 1"),
        ('{"answer": "Yes.", "chunks": [{"id": 1}]}', "chunk 0 has no text"),
        (f'{{"answer": "Yes.", {CHUNKS}}}', "it has neither 'labels' nor 'label'"),
        (
            f'{{"answer": "Yes.", {CHUNKS}, "label": true}}',
            "'label' is 'grounded' or 'ungrounded', not True",
        ),
        (f'{{"answer": "Yes.", {CHUNKS}, "labels": 3}}', "'labels' must be a list, not 3"),
        (
            f'{{"answer": "Yes.", {CHUNKS}, "labels": [{{"start": 0}}]}}',
            "'end' of a label is a number",
        ),
        (
            f'{{"answer": "Yes.", {CHUNKS}, "labels": [{{"start": 0, "end": 9, "grounded": true}}]}}',
            "a label is from 0 to 9, which is no part of an answer of 4 characters",
        ),
        (
            f'{{"answer": "Yes.", {CHUNKS}, "labels": [{{"start": 0, "end": 4, "grounded": "no"}}]}}',
            "'grounded' of a label is true or false, not 'no'",
        ),
        (
            f'{{"answer": "Yes.", "question": 1, {CHUNKS}, "label": "grounded"}}',
            "'question' must be a text",
        ),
    ],
)
def test_a_bad_line_is_refused_by_its_number(bad, words):
    lines = [line(1, "Yes.", label="grounded"), "", bad]
    with pytest.raises(LabelError, match=f"^line 3: {words}"):
        list(read_labels(lines))


def test_answers_of_one_group_are_told_by_document_text_or_key():
    text = {"answer": "Yes.", "chunks": ["A text.", "Another."], "label": "grounded", "user": 7}
    turned = {**text, "chunks": ["Another.", "A text."]}
    by_text = [each.group for each in read_labels(map(json.dumps, (text, turned)))]
    assert by_text[0] == by_text[1]
    assert [each.group for each in read_labels([line(3, "Yes.", label="grounded")])] == ["doc-3"]
    assert [each.group for each in read_labels([json.dumps(text)], group="user")] == ["7"]
    with pytest.raises(LabelError, match="line 1: neither it nor its chunks have 'team'"):
        list(read_labels([json.dumps(text)], group="team"))


def test_where_only_wrong_parts_are_marked_the_rest_is_grounded():
    text = f"{copied(1)} {invented(1)}"
    cut = len(copied(1))
    wrong = {"start": cut + 1, "end": len(text), "grounded": False}
    right = {"start": 0, "end": 3, "grounded": True}
    (only_wrong,) = read_labels([line(1, text, labels=[wrong])])
    assert (only_wrong.says(0, cut), only_wrong.says(cut + 1, len(text))) == (True, False)
    (both,) = read_labels([line(1, text, labels=[wrong, right])])
    assert both.says(10, cut) is None
    assert not both.grounded


def test_too_few_labels_are_refused():
    with pytest.raises(
        FitError, match=r"20 answers .* grounded and 10 are not; at least 20 of each"
    ):
        fit(labelled(in_parts, 30))


def test_labels_that_all_say_the_same_are_refused():
    right = (in_parts(number, grounded=True) for number in range(40))
    with pytest.raises(FitError, match="labelled grounded and 0 are not"):
        fit(read_labels(right))


def test_labels_on_one_document_are_refused():
    one = [replace(each, group="doc") for each in labelled(in_parts, 90)]
    with pytest.raises(FitError, match="all answers are of 1 group; at least 5"):
        fit(one)


def test_no_answer_is_tested_by_what_saw_another_of_its_group(calibrator):
    verifier = EmbeddedVerifier()
    grouped = [replace(each, group=each.group[-1]) for each in labelled(in_parts, 90)]
    checked = [fitting._check(each, verifier) for each in grouped]
    learned_from = []

    def learn(shown):
        learned_from.append(shown)
        return calibrator

    learning = import_module("sklearn.linear_model"), import_module("sklearn.model_selection")
    fitting._Fitting(*learning, verifier).held_out(checked, 5, learn)
    held_out = [[each for each in checked if each not in shown] for shown in learned_from]
    assert sorted(each.group for fold in held_out for each in fold) == sorted(
        each.group for each in checked
    )
    for shown, tested in zip(learned_from, held_out, strict=True):
        assert not {each.group for each in shown} & {each.group for each in tested}


def test_without_scikit_learn_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(FitError, match=r"pip install 'doctrail-core\[calibrate\]'"):
        fit(labelled(in_parts))


def test_applying_a_calibrator_loads_no_scikit_learn(calibrator, tmp_path):
    calibrator.save(tmp_path / "c.json")
    code = (
        "import sys; from doctrail_core.grounding.calibration import *;"
        "from doctrail_core.grounding.embedded import EmbeddedVerifier;"
        "from doctrail_core.grounding.verifier import Answer, Passage;"
        f"v = CalibratedVerifier(EmbeddedVerifier(), Calibrator.load({str(tmp_path / 'c.json')!r}));"
        "v.verify(Answer('The fee is due in May.', (Passage('c', 'd', 'Fees are due in May.'),)));"
        "print('sklearn' in sys.modules, 'numpy' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False False\n"
