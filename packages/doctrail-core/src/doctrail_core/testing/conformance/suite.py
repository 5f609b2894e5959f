"""The conformance suite as a pytest class. Needs pytest and hypothesis, which nothing else here does."""

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctrail_core import Lineage, Settings
from doctrail_core.folder import Folder
from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.load import Delivery, crowd, soak
from doctrail_core.testing.conformance.reference import Reference
from doctrail_core.testing.conformance.scenario import Mode, Scenario, played, same
from doctrail_core.testing.conformance.scenarios import SCENARIOS
from doctrail_core.testing.conformance.script import Act, Request
from doctrail_core.testing.conformance.strategies import requests

__all__ = ["AdapterConformance"]

_PLAYED = [
    pytest.param(scenario, mode, id=f"{scenario.name}, {mode}")
    for scenario in SCENARIOS
    for mode in scenario.modes
]
_CROWD = 1_000
_LEFT = "a stream that its reader leaves"
_SOAK = int(os.environ.get("DOCTRAIL_SOAK", "400"))
_GROWTH = 16 + 524_288 / _SOAK
"""Bytes per request that are taken for noise: caches that fill, however many requests there are."""


class AdapterConformance:
    """Derive a test class from this one and give it a host.

    Attributes:
        host: Plays scripts with the adapter's framework.
        beyond: The acts that random requests are to be without, because of the host's gaps.
    """

    host: ClassVar[Host]
    beyond: ClassVar[Collection[type[Act]]] = ()

    @pytest.mark.parametrize(("scenario", "mode"), _PLAYED)
    def test_the_record_is_exactly_as_it_has_to_be(self, scenario: Scenario, mode: Mode) -> None:
        """Every scenario, in sync and in async code."""
        host, name = self.host, scenario.name
        here = (name, f"{name}, {mode}")
        if reason := next((host.absent[key] for key in here if key in host.absent), None):
            pytest.skip(reason)
        gap = next((host.gaps[key] for key in here if key in host.gaps), None)
        try:
            scenario.check(host, mode)
        except AssertionError:
            if gap is None:
                raise
            pytest.xfail(gap)
        if gap is not None:
            pytest.fail(f"the gap is closed, take it out of the host's gaps: {name}, {mode}")

    def test_gaps_are_of_scenarios_that_exist(self) -> None:
        """A gap under a wrong name would hide nothing and say something false."""
        names = {scenario.name for scenario in SCENARIOS}
        known = (*self.host.gaps, *self.host.absent)
        named = {name.removesuffix(", sync").removesuffix(", async") for name in known}
        assert named <= names

    @pytest.mark.parametrize("mode", ["sync", "async"])
    def test_whatever_happens_is_on_record_as_it_happened(self, mode: Mode) -> None:
        """Random requests, with failures anywhere, leave what the reference leaves."""

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            st.lists(
                requests(self.beyond),
                min_size=1,
                max_size=2,
                unique_by=lambda request: request.question,
            )
        )
        def check(asked: list[Request]) -> None:
            record = played(self.host, asked, mode)
            reference = played(Reference(), asked, mode)
            same("what the callers got", record.outcomes, reference.outcomes)
            same("what is on record", record.told(in_order=False), reference.told(in_order=False))
            record.assert_clean()

        check()

    def test_a_thousand_requests_at_once_do_not_mix(self) -> None:
        """In threads, tasks and batches, all at the same time, some of them left by their readers."""
        ways: list[Delivery] = ["whole", "streamed", "left"]
        if any(name.startswith(_LEFT) for name in (*self.host.gaps, *self.host.absent)):
            ways.remove("left")
        record = crowd(self.host, _CROWD, ways)
        reference = crowd(Reference(), _CROWD, ways)
        same("what the callers got", record.outcomes, reference.outcomes)
        same("what is on record", record.told(), reference.told())
        record.assert_clean()

    def test_memory_stays_flat(self, tmp_path: Path) -> None:
        """Request after request, of every kind; `DOCTRAIL_SOAK` says how many."""
        home = tmp_path / "home"
        storage = Folder(home)
        lineage = Lineage(Settings(home=home), storage=storage)
        soaked = soak(self.host, list(_soaking()), lineage, _SOAK)
        lineage.close()
        assert storage.faults.summary() == {}
        assert (soaked.left_open, lineage.tally.open) == (0, 0)
        assert soaked.growth < _GROWTH, f"{soaked.growth:.0f} bytes per request"


def _soaking() -> Iterator[Request]:
    """Of every scenario with one request that one, in no session: sessions are remembered for a while."""
    for scenario in SCENARIOS:
        if len(scenario.requests) == 1 and "hostile" not in scenario.name:
            yield replace(scenario.requests[0], session_id=None)
