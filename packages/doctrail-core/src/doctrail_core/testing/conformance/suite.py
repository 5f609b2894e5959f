"""The conformance suite as a pytest class. Needs pytest and hypothesis, which nothing else here does."""

from typing import ClassVar

import pytest

from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.scenario import Mode, Scenario
from doctrail_core.testing.conformance.scenarios import SCENARIOS

__all__ = ["AdapterConformance"]

_PLAYED = [
    pytest.param(scenario, mode, id=f"{scenario.name}, {mode}")
    for scenario in SCENARIOS
    for mode in scenario.modes
]


class AdapterConformance:
    """Derive a test class from this one and give it a host."""

    host: ClassVar[Host]

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
