"""What goes wrong is logged once, counted, visible to other processes, and without content."""

import json
import logging
import multiprocessing

import pytest

from doctrail_core.durable.errors import StoreError
from doctrail_core.durable.faults import read_faults

PRIVATE = "the patient's name is Ada"


def test_the_first_of_each_kind_is_logged_and_all_are_counted(faults, caplog):
    for _ in range(3):
        faults.note("arrival", ValueError(PRIVATE))
    faults.note("arrival", KeyError(PRIVATE))
    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "doctrail: arrival failed: ValueError",
        "doctrail: arrival failed: KeyError",
    ]
    assert faults.summary() == {"arrival: ValueError": 3, "arrival: KeyError": 1}


def test_what_was_dropped_is_counted(faults):
    faults.count("events after their run had ended")
    faults.count("events after their run had ended")
    assert faults.summary() == {"events after their run had ended": 2}


def test_other_processes_see_counts_of_1_10_100(home, faults):
    for _ in range(120):
        faults.note("ledger", OSError(28, "No space left"))
    assert [(fault.where, fault.kind, fault.count) for fault in read_faults(home)] == [
        ("ledger", "OSError", 1),
        ("ledger", "OSError", 10),
        ("ledger", "OSError", 100),
    ]


@pytest.mark.parametrize("kind", [ValueError, ConnectionError])
def test_no_content_gets_into_the_file_or_the_log(home, faults, caplog, kind):
    caplog.set_level(logging.DEBUG, "doctrail")
    try:
        fail(kind)
    except kind as error:
        faults.note("recorder", error)
    assert PRIVATE not in home.faults.read_text()
    assert PRIVATE not in caplog.text
    assert "in fail" in caplog.text


def fail(kind):
    raise kind(PRIVATE)


def test_our_own_advice_is_logged(faults, caplog):
    faults.note("ledger", StoreError("ledger.db is damaged; move it away"))
    assert "ledger.db is damaged; move it away" in caplog.text


def test_a_fault_is_noted_even_if_it_cannot_be_written_down(home, faults):
    home.path.write_text("a file where the folder should be")
    faults.note("ledger", OSError("no"))
    assert faults.summary() == {"ledger: OSError": 1}


def test_lines_that_are_no_faults_are_skipped(home, faults):
    faults.note("ledger", OSError("no"))
    with home.faults.open("a") as file:
        file.write('nonsense\n{"time": 1}\n[]\n{"time": "torn')
    assert [fault.where for fault in read_faults(home)] == ["ledger"]


def test_there_are_no_faults_where_there_is_no_file(home):
    assert list(read_faults(home)) == []


def test_the_file_stops_growing(home, faults):
    home.ensure()
    line = json.dumps({"time": "", "pid": 1, "where": "x", "kind": None, "count": 1}) + "\n"
    home.faults.write_text(line * (1 + (1 << 20) // len(line)))
    size = home.faults.stat().st_size
    faults.note("ledger", OSError("no"))
    assert home.faults.stat().st_size == size


def test_a_forked_child_counts_its_own_faults(faults):
    faults.note("ledger", OSError("no"))
    context = multiprocessing.get_context("fork")
    answer = context.Queue()
    child = context.Process(target=lambda: answer.put(faults.summary()))
    child.start()
    assert answer.get(timeout=20) == {}
    child.join()
