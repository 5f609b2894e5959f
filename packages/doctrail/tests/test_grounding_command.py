"""`doctrail grounding fit`."""

import json
import sys

import pytest

from doctrail_core.grounding.calibration import Calibrator

TOWNS = ["Arnau", "Belfort", "Cadell", "Dormont", "Elva", "Farsund", "Gotha", "Hulst"]


def line(number, label=None):
    town = TOWNS[number % len(TOWNS)]
    text = f"{town} lies on the northern bank of the river and lived from weaving for centuries."
    grounded = number % 3 > 0
    answer = text if grounded else f"{town} was besieged by cavalry and its cathedral burned down."
    return json.dumps(
        {
            "answer": answer,
            "chunks": [{"text": text, "page": f"p-{number}"}],
            "label": label or ("grounded" if grounded else "ungrounded"),
        }
    )


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(line(number) for number in range(90)))
    return path


def test_fitting_writes_a_calibrator_and_shows_what_to_expect_of_it(labels, doctrail, tmp_path):
    out = tmp_path / "calibrator.json"
    said = doctrail("grounding", "fit", str(labels), "--out", str(out), "--group", "page")
    assert (said.code, said.err) == (0, "")
    first, header, always, rules, calibrated, last = said.lines
    assert first == "90 answers of 90 groups, labelled as whole answers"
    assert header.split() == ["AUROC", "precision", "recall", "F1"]
    assert always.split() == ["all", "answers", "flagged", "50.0", "33.3", "100.0", "50.0"]
    assert rules.startswith("without calibrator")
    assert float(calibrated.split()[-1]) > 95
    assert last == f"Calibrator {Calibrator.load(out).version} is in {out}"


def test_the_figures_are_there_for_programs_by_group(labels, doctrail, tmp_path):
    out = tmp_path / "calibrator.json"
    told = doctrail(
        "grounding", "fit", str(labels), "--out", str(out), "--group", "page", "--json"
    ).json
    assert (told["out"], told["answers"], told["source"]) == (str(out), 90, "labels.jsonl")
    assert told["version"] == Calibrator.load(out).version
    assert set(told["cross_validated"]) == {"always", "rules", "calibrated", "groups"}
    assert set(told["cross_validated"]["groups"]) == {f"p-{number}" for number in range(90)}


def test_a_bad_line_is_bad_usage_and_nothing_is_written(labels, doctrail, tmp_path):
    labels.write_text(f"{line(0)}\n{line(1, label='fine')}\n")
    out = tmp_path / "calibrator.json"
    said = doctrail("grounding", "fit", str(labels), "--out", str(out))
    assert (said.code, said.out) == (2, "")
    assert f"{labels}: line 2: 'label' is 'grounded' or 'ungrounded', not 'fine'" in said.err
    assert not out.exists()


def test_too_few_labels_are_bad_usage(labels, doctrail, tmp_path):
    labels.write_text(line(1))
    said = doctrail("grounding", "fit", str(labels), "--out", str(tmp_path / "x.json"))
    assert said.code == 2
    assert "at least 20 of each are needed" in said.err


def test_without_scikit_learn_it_is_said_what_to_install(labels, doctrail, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    said = doctrail("grounding", "fit", str(labels), "--out", str(tmp_path / "x.json"))
    assert said.code == 2
    assert "doctrail-core[calibrate]" in said.err


def test_a_file_that_is_not_there_cannot_be_read(doctrail, tmp_path):
    missing = tmp_path / "none.jsonl"
    said = doctrail("grounding", "fit", str(missing), "--out", str(tmp_path / "x.json"))
    assert said.code == 3
    assert str(missing) in said.err
