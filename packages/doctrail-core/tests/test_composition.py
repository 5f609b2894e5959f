"""The process's lineage, and reading back what was recorded."""

import threading

import pytest

from doctrail_core import Lineage, Settings
from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk
from doctrail_core.composition import _Default
from doctrail_core.durable.intake import sizes
from doctrail_core.testing import CapturedLineage


@pytest.fixture
def lineage(home):
    lineage = Lineage(Settings(home=home.path, spans="none"))
    yield lineage
    lineage.close()


@pytest.fixture
def default():
    default = _Default()
    default.replace(CapturedLineage)
    yield default
    default.replace(CapturedLineage)


def search(lineage, run_id):
    lineage.record(RetrievalStarted(run_id, None, "Retriever", "When?", "test"))
    lineage.record(RetrievalEnded(run_id, [RetrievedChunk("In February.", document_id="doc")]))


def test_an_earlier_response_is_read_back_at_once_and_leaves_no_spool(home, lineage):
    search(lineage, "first")
    search(lineage, "second")
    assert lineage.last.response_id == "second"
    assert lineage.get("first").response_id == "first"
    assert sizes(home.spool("trails")) == {}


def test_a_response_of_another_lineage_with_the_same_home_is_found(home, lineage):
    other = Lineage(Settings(home=home.path, spans="none"))
    search(other, "theirs")
    assert lineage.get("theirs").response_id == "theirs"
    other.close()


def test_of_a_response_that_was_never_recorded_nothing_is_found(lineage):
    assert lineage.get("nobody's") is None
    search(lineage, "mine")
    assert lineage.get("nobody's") is None


def test_the_default_can_be_asked_for_while_it_is_being_made(default):
    """The garbage collector closes abandoned streams wherever it runs, and their end is recorded."""
    got = []
    making = iter([True])

    def make():
        if next(making, False):
            got.append(default.get())
        return CapturedLineage()

    default.replace(make)
    busy = threading.Thread(target=lambda: got.append(default.get()), daemon=True)
    busy.start()
    busy.join(10)
    assert not busy.is_alive()
    assert got[0] is got[1]


def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have(default):
    held, over = threading.Event(), threading.Event()

    def hold():
        with default._lock:
            held.set()
            over.wait(10)

    parent = threading.Thread(target=hold)
    parent.start()
    held.wait(10)
    default.after_fork_in_child()
    child = threading.Thread(target=default.get, daemon=True)
    child.start()
    child.join(5)
    assert not child.is_alive()
    over.set()
    parent.join()
