"""The README says what there is: every command, option, exit code and JSON key."""

import re
from argparse import ArgumentParser
from dataclasses import fields
from pathlib import Path

import pytest

from doctrail import exit_codes
from doctrail.commands import COMMANDS
from doctrail.forms import trail_form
from doctrail.health import Health
from doctrail.segments import Segment
from doctrail_core.graph import Tally
from doctrail_core.ledger.impact import ImpactHit
from doctrail_core.trails.store import TrailSummary

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.NAME)
def test_every_command_is_documented_with_its_options_and_example(command):
    section = re.search(
        rf"^### `doctrail {command.NAME}\b.*?(?=^##)", README, re.DOTALL | re.MULTILINE
    )
    assert section
    parser = ArgumentParser(add_help=False)
    command.add_arguments(parser)
    options = re.findall(r"--[a-z]+", parser.format_usage())
    assert [
        option
        for option in options
        if option not in section[0] and option not in ("--from", "--to")
    ] == []
    assert command.EXAMPLE in section[0] or command.NAME == "demo"


def test_every_exit_code_is_documented():
    codes = {value for name, value in vars(exit_codes).items() if name.isupper()}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == codes


def documented_keys(command):
    row = re.search(rf"^\| `{command}`.*\|([^|]*)\|$", README, re.MULTILINE)
    assert row
    return set(re.findall(r"`(\w+)`", row[1]))


def names(record):
    return {field.name for field in fields(record)}


def test_every_key_of_the_json_is_documented(app, doctrail, tmp_path):
    app.answer()
    assert documented_keys("why") == set(doctrail("why", "response-0001", "--json").json)
    assert documented_keys("responses") == names(TrailSummary)
    assert documented_keys("affected") == names(ImpactHit)
    assert documented_keys("archive status") == names(Segment)
    assert documented_keys("graph") == set(doctrail("graph", "response-0001").json)
    assert documented_keys("pathologies") == names(Tally)
    assert documented_keys("show") == set(doctrail("show", "doc_42", "--json").json)
    assert documented_keys("doctor") == set(doctrail("doctor", "--json").json)
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"answer": "Yes.", "chunks": []}\nno answer\n')
    checked, no_answer = doctrail("check", str(answers), "--json").json_lines
    assert documented_keys("check") == set(checked) | set(no_answer)
    assert names(Health) < documented_keys("doctor")


def test_the_form_of_a_trail_has_all_that_a_trail_has(app, doctrail):
    from doctrail_core import Trail

    assert names(Trail) < documented_keys("why")
    assert trail_form.__module__ == "doctrail.forms"
