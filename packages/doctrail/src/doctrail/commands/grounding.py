"""`doctrail grounding fit`: learns from a user's own labels what the verifier's findings are worth."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctrail import exit_codes
from doctrail.errors import UsageError
from doctrail.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from doctrail_core.grounding.calibration import Calibrator, Labelled

NAME = "grounding"
SUMMARY = "fit the check of answers to your own labels"
DESCRIPTION = """\
`fit` reads labelled answers, a JSON object a line, and writes a calibrator for `doctrail check
--calibrator` and `CalibratedVerifier`. A line is {"answer", "chunks", "question"} with "labels":
[{"start", "end", "grounded": true or false}], or with "label": "grounded" or "ungrounded" where people
judged only the whole. Figures are of answers whose group was left out of the fitting. This needs
scikit-learn: pip install 'doctrail-core[calibrate]'; applying a calibrator does not."""
EXAMPLE = "doctrail grounding fit labels.jsonl --out calibrator.json --group document_id"

_HEADER = ("", "AUROC", "precision", "recall", "F1")
_NAMES = {
    "always": "all answers flagged",
    "rules": "without calibrator",
    "calibrated": "with calibrator",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("action", choices=("fit",), help="what to do")
    parser.add_argument("labels", type=Path, metavar="LABELS", help="the labelled answers")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="where the calibrator goes"
    )
    parser.add_argument(
        "--group",
        metavar="KEY",
        help="the key, of a line or of its chunks, by which answers belong together"
        " (default: the chunks' document_id, else their text)",
    )


def run(options: Namespace, terminal: Terminal) -> int:
    from doctrail_core.grounding.calibration import FitError, LabelError, fit

    try:
        calibrator = fit(_labelled(options), source=options.labels.name)
    except LabelError as error:
        raise UsageError(f"{options.labels}: {error}") from error
    except FitError as error:
        raise UsageError(str(error)) from error
    calibrator.save(options.out)
    _show(calibrator, options, terminal)
    return exit_codes.OK


def _labelled(options: Namespace) -> "Iterator[Labelled]":
    from doctrail_core.grounding.calibration import read_labels

    with options.labels.open(encoding="utf-8", errors="replace") as lines:
        yield from read_labels(lines, options.group)


def _show(calibrator: "Calibrator", options: Namespace, terminal: Terminal) -> None:
    told: dict[str, Any] = {
        "out": str(options.out),
        "version": calibrator.version,
        "threshold": calibrator.threshold,
        **calibrator.provenance,
    }
    if options.json:
        terminal.data(told)
        return
    terminal.say(
        f"{told['answers']:,} answers of {told['groups']:,} groups, labelled as {told['labels']}"
    )
    found = told["cross_validated"]
    terminal.table([_HEADER, *([name, *_row(found[key])] for key, name in _NAMES.items())])
    terminal.say(f"Calibrator {told['version']} is in {options.out}")


def _row(figures: "Mapping[str, float | None]") -> list[str]:
    shown = (figures[name.strip()] for name in _HEADER[1:])
    return ["-" if figure is None else f"{100 * figure:.1f}" for figure in shown]
