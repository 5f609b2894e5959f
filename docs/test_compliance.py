"""Every command, entry and field that docs/compliance.md names is there, and the page promises nothing."""

import re
from pathlib import Path

import pytest

from doctrail.cli import main
from doctrail.commands import COMMANDS
from doctrail_core import model
from doctrail_core.capture.settings import Settings
from doctrail_core.ledger.entry import KINDS, Entry

PAGE = (Path(__file__).parent / "compliance.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith(("| AI Act", "| GDPR", "| ISO"))
]
RECORDS = {"Entry": Entry, "Settings": Settings} | {
    name: getattr(model, name) for name in model.__all__
}


def quoted(cell):
    return re.findall(r"`([^`]+)`", cell)


def named(column):
    return sorted({term for row in ROWS for term in quoted(row[column])})


def test_the_table_has_the_articles():
    sources = " ".join(row[0] for row in ROWS)
    for article in ("12(1)", "13(3)", "19(1)", "26(6)", "86", "15", "17", "25", "30", "42001"):
        assert re.search(rf"(?<!\d){re.escape(article)}(?!\d)", sources)
    assert all(quoted(commands) and quoted(records) for _, _, commands, records in ROWS)


@pytest.mark.parametrize("command", named(2))
def test_each_command_is_there(command, capsys):
    program, name, *rest = command.split()
    assert program == "doctrail"
    assert name in {each.NAME for each in COMMANDS}
    with pytest.raises(SystemExit) as leaving:
        main([name, *(word for word in rest if not word.startswith("--")), "--help"])
    assert leaving.value.code == 0
    said = capsys.readouterr().out
    assert all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", said) for word in rest)


@pytest.mark.parametrize("term", named(3))
def test_each_entry_and_each_field_is_there(term):
    record, _, field = term.partition(".")
    assert term in KINDS.values() or hasattr(RECORDS[record], field)


def test_the_page_supports_and_promises_nothing():
    assert not re.search(r"compliant|guarantee|ensures? compliance|certified", PAGE, re.IGNORECASE)


def test_every_date_is_as_of_a_day_and_to_be_checked_again():
    dated = PAGE.partition("Dates are ")[2].partition("## The table")[0]
    first, *items = dated.split("\n- ")
    assert re.match(r"\*\*as of \d+ \w+ \d{4}; check again\*\*", first)
    assert items
    assert all("Check again" in item for item in items)
