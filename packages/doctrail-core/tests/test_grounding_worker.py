"""Checking in the background: nobody waits for it, nothing of it is lost without being counted."""

import asyncio
import os
import threading

import pytest

from doctrail_core import Grounding, Settings
from doctrail_core.capture.events import RunEnded, RunStarted
from doctrail_core.capture.scope import suppressed
from doctrail_core.composition import Lineage
from doctrail_core.grounding.checking import assess
from doctrail_core.grounding.sampling import sampled
from doctrail_core.grounding.verifier import Findings, Verifier
from doctrail_core.grounding.worker import CheckTally, Worker
from doctrail_core.testing import capture_trails
from doctrail_core.testing.capture import MemoryFaults

ALL = {"sample_rate": 1.0, "backoff": 0.0}


class Gate(Verifier):
    """A fake: checks nothing before it is opened, and says whether it was left alone."""

    name = "gate"
    version = "1"

    def __init__(self):
        self.opened = threading.Event()
        self.reached = threading.Semaphore(0)
        self.alone = []

    def verify(self, answer):  # a fake
        self.alone.append(suppressed())
        self.reached.release()
        assert self.opened.wait(20)
        return Findings(verdicts=())


@pytest.fixture
def found():
    return []


@pytest.fixture
def work(found):
    workers = []

    def make(**settings):
        worker = Worker(
            Grounding(**ALL | settings),
            lambda _, assessment: found.append(assessment),
            MemoryFaults(),
        )
        workers.append(worker)
        return worker

    yield make
    for worker in workers:
        worker.close()


def test_an_answer_is_handed_over_while_the_check_of_another_one_hangs(work, make_trail):
    gate = Gate()
    worker = work(verifier=gate)
    worker.offer(make_trail("first"))
    assert gate.reached.acquire(timeout=20)
    worker.offer(make_trail("second"))  # returns though nothing can be checked
    assert worker.tally == CheckTally(offered=2, waiting=2)
    assert not worker.flush(0.01)
    gate.opened.set()
    assert worker.flush(20)
    assert worker.tally == CheckTally(offered=2, checked=2)
    assert gate.alone == [True, True]


def test_what_there_is_no_room_for_is_dropped_and_counted(work, make_trail):
    gate = Gate()
    worker = work(verifier=gate, queue_size=2)
    worker.offer(make_trail("busy"))
    assert gate.reached.acquire(timeout=20)
    for number in range(5):
        worker.offer(make_trail(f"response-{number}"))
    gate.opened.set()
    assert worker.flush(20)
    assert worker.tally == CheckTally(offered=6, dropped=3, checked=3)
    assert worker._faults.counted == {"answers not checked, because too many were waiting": 3}


def test_a_check_that_failed_is_tried_again(work, found, make_trail, scripted):
    verifier = scripted(fails=2)
    worker = work(verifier=verifier, attempts=3)
    worker.offer(make_trail())
    assert worker.flush(20)
    assert [assessment.status for assessment in found] == ["checked"]
    assert len(verifier.asked) == 3


def test_a_check_that_keeps_failing_is_on_record_as_failed(work, found, make_trail, scripted):
    worker = work(verifier=scripted(fails=9), attempts=2)
    worker.offer(make_trail())
    assert worker.flush(20)
    (failed,) = found
    assert (failed.status, failed.risk, failed.verdicts) == ("failed", None, ())
    assert failed.error == "ConnectionError: the judge is down"
    assert worker.tally == CheckTally(offered=1, failed=1)
    assert worker._faults.counted == {"checks of answers that failed": 1}


def test_a_verifier_that_would_end_its_thread_costs_no_other_answer_its_check(
    work, found, make_trail, scripted
):
    class Cancelled(scripted):
        def verify(self, answer):
            if not self.asked:
                self.asked.append(answer)
                raise asyncio.CancelledError
            return super().verify(answer)

    worker = work(verifier=Cancelled())
    worker.offer(make_trail("first"))
    worker.offer(make_trail("second"))
    assert worker.flush(20)
    assert [assessment.response_id for assessment in found] == ["second"]
    assert worker.tally == CheckTally(offered=2, checked=1, failed=1)


def test_the_share_is_that_of_the_response_ids(work, found, make_trail, scripted):
    worker = work(verifier=scripted(), sample_rate=0.3, always=())
    names = [f"response-{number}" for number in range(50)]
    for name in names:
        worker.offer(make_trail(name))
    assert worker.flush(20)
    assert {a.response_id for a in found} == {name for name in names if sampled(name, 0.3)}
    assert worker.tally.left + worker.tally.checked == 50


def test_what_a_request_says_of_itself_goes_before_the_share(work, found, make_trail, scripted):
    nobody, everybody = work(verifier=scripted(), sample_rate=0.0), work(verifier=scripted())
    nobody.offer(make_trail("wanted"), wanted=True)
    everybody.offer(make_trail("not wanted"), wanted=False)
    assert nobody.flush(20)
    assert everybody.flush(20)
    assert [assessment.response_id for assessment in found] == ["wanted"]


def test_a_rule_has_an_answer_checked_that_the_share_leaves_out(work, found, make_trail, scripted):
    rules = (lambda trail: trail.user_id == "careful",)
    worker = work(verifier=scripted(), sample_rate=0.0, always=rules)
    worker.offer(make_trail("any"))
    worker.offer(make_trail("careful", user_id="careful"))
    assert worker.flush(20)
    assert [assessment.response_id for assessment in found] == ["careful"]


def test_a_rule_that_raises_costs_nobody_an_answer(work, make_trail, scripted):
    worker = work(verifier=scripted(), sample_rate=0.0, always=(lambda trail: trail.no_such_field,))
    worker.offer(make_trail())
    assert [where for where, _ in worker._faults.errors] == ["choosing an answer to check"]


def test_after_a_flagged_answer_more_are_checked_for_a_while(work, found, make_trail, scripted):
    worker = work(verifier=scripted("contradicted"), sample_rate=0.0, raised_rate=1.0, raised_for=3)
    worker.offer(make_trail("before"))
    worker.offer(make_trail("flagged"), wanted=True)
    assert worker.flush(20)
    worker._grounding.verifier.verdict = "supported"
    for number in range(5):
        worker.offer(make_trail(f"after-{number}"))
    assert worker.flush(20)
    assert [a.response_id for a in found] == ["flagged", "after-0", "after-1", "after-2"]


def test_several_answers_are_checked_at_once_by_several_workers(work, make_trail):
    gate = Gate()
    worker = work(verifier=gate, workers=3)
    for number in range(3):
        worker.offer(make_trail(f"response-{number}"))
    for _ in range(3):
        assert gate.reached.acquire(timeout=20)
    gate.opened.set()
    assert worker.flush(20)


def test_closing_checks_what_waits_and_takes_nothing_more(work, found, make_trail, scripted):
    worker = work(verifier=scripted())
    for number in range(20):
        worker.offer(make_trail(f"response-{number}"))
    worker.close()
    worker.offer(make_trail("too late"))
    assert len(found) == 20
    assert worker.tally == CheckTally(offered=21, left=1, checked=20)


def test_closing_counts_what_could_not_be_checked_in_time(work, make_trail):
    gate = Gate()
    worker = work(verifier=gate)
    for number in range(3):
        worker.offer(make_trail(f"response-{number}"))
    assert gate.reached.acquire(timeout=20)
    worker.close(timeout=0.01)
    assert worker._faults.counted == {"answers not checked, because the process ended": 2}
    gate.opened.set()


def test_a_callback_that_raises_costs_no_other_answer_its_check(work, found, make_trail, scripted):
    def refuse(assessment):
        raise ValueError(assessment.response_id)

    worker = work(verifier=scripted(), on_assessment=refuse)
    worker.offer(make_trail("first"))
    worker.offer(make_trail("second"))
    assert worker.flush(20)
    assert [assessment.response_id for assessment in found] == ["first", "second"]
    assert len(worker._faults.errors) == 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_begins_with_an_empty_queue_and_checks_its_own(home, make_trail, scripted):
    gate = Gate()
    lineage = Lineage(Settings(home=home.path, spans="none"))
    worker = lineage.checks(Grounding(**ALL, verifier=gate))
    worker.offer(make_trail("the parent's"))
    assert gate.reached.acquire(timeout=20)
    child = os.fork()
    if child == 0:
        empty = worker.tally == CheckTally()
        own = lineage.checks(Grounding(**ALL, verifier=scripted()))
        own.offer(make_trail("the child's"))
        os._exit(0 if empty and own.flush(20) and own.tally.checked == 1 else 1)
    _, status = os.waitpid(child, 0)
    gate.opened.set()
    assert os.waitstatus_to_exitcode(status) == 0
    assert worker.flush(20)
    assert worker.tally.checked == 1
    lineage.close()


def answer(lineage, response_id, **told):
    from doctrail_core.capture.events import RetrievalEnded, RetrievalStarted, RetrievedChunk

    lineage.record(RunStarted(response_id, None, "app", "test", "When?", **told))
    lineage.record(RetrievalStarted(f"{response_id}/s", response_id, "Retriever", "When?", "test"))
    lineage.record(RetrievalEnded(f"{response_id}/s", [RetrievedChunk("In May.", "c#0", "c")]))
    lineage.record(RunEnded(response_id, "In May."))


def test_a_lineage_checks_the_answers_that_close(scripted):
    with capture_trails(grounding=Grounding(**ALL, verifier=scripted())) as lineage:
        answer(lineage, "a")
        assert lineage.flush(20)
        assert [a.response_id for a in lineage.assessments] == ["a"]
        assert [kind for kind, _ in lineage.entries] == ["answered", "assessed"]
        assert lineage.get("a").assessments == tuple(lineage.assessments)
        assert lineage.last.assessments == tuple(lineage.assessments)
        assert lineage.errors == []


def test_texts_that_are_not_kept_are_checked_all_the_same(scripted):
    verifier = scripted()
    settings = Settings(content="hash", spans="none")
    with capture_trails(settings, Grounding(**ALL, verifier=verifier)) as lineage:
        answer(lineage, "a")
        assert lineage.flush(20)
        assert verifier.asked[0].text == "In May."
        (kept,) = lineage.assessments
        assert kept.verdicts[0].claim.text is None
        assert lineage.trails[0].answer is None


def test_the_ledger_gets_no_more_of_a_checked_answer_than_is_kept(scripted):
    settings = Settings(content="off", spans="none")
    with capture_trails(settings, Grounding(**ALL, verifier=scripted())) as lineage:
        answer(lineage, "a")
        assert lineage.flush(20)
        kind, told = lineage.entries[-1]
        assert kind == "assessed"
        assert [(c.text, c.content_hash) for c in told.chunks.values()] == [(None, None)]
        assert told.answer is None


def test_a_request_names_its_own_checks(scripted):
    with capture_trails() as lineage:
        checks = lineage.checks(Grounding(**ALL, verifier=scripted()))
        answer(lineage, "unchecked")
        answer(lineage, "checked", checks=checks)
        answer(lineage, "refused", checks=checks, check=False)
        assert lineage.flush(20)
        assert [a.response_id for a in lineage.assessments] == ["checked"]


def test_an_answer_that_a_user_complained_about_is_checked_later(scripted):
    grounding = Grounding(verifier=scripted(), sample_rate=0.0, always=())
    with capture_trails(grounding=grounding) as lineage:
        answer(lineage, "a")
        assert lineage.flush(20)
        assert lineage.assessments == []
        assert lineage.flag("a")
        assert not lineage.flag("nobody's")
        assert lineage.flush(20)
        assert [a.response_id for a in lineage.assessments] == ["a"]


def test_a_block_can_ask_for_its_check(scripted):
    grounding = Grounding(verifier=scripted(), sample_rate=0.0, always=())
    with capture_trails(grounding=grounding) as lineage:
        for wanted in (None, True):
            with lineage.scope(check=wanted, response_id=f"check is {wanted}"):
                answer(lineage, f"inside, {wanted}")
        assert lineage.flush(20)
        assert [a.response_id for a in lineage.assessments] == ["check is True"]


def test_what_was_found_before_an_answer_closed_is_on_its_trail(scripted):
    with capture_trails() as lineage:
        with lineage.scope(response_id="a"):
            answer(lineage, "inside")
            known = lineage.so_far("a")
            lineage.assessed(assess(known, scripted()), known)
        answer(lineage, "b")
        lineage.assessed(assess(lineage.get("b"), scripted()))
        assert [a.response_id for a in lineage.last.assessments] == ["b"]
        assert [a.response_id for a in lineage.get("a").assessments] == ["a"]

    with capture_trails() as lineage, lineage.scope(response_id="a"):
        answer(lineage, "inside")
        known = lineage.so_far("a")
        lineage.assessed(assess(known, scripted()), known)
    assert [a.response_id for a in lineage.last.assessments] == ["a"]
