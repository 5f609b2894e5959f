"""Scenarios with the exact trails and spans that they must leave, for whoever writes an adapter.

An adapter's author writes a `Host`, which plays scripts with the framework's own classes, and derives
a test class from `doctrail_core.testing.conformance.suite.AdapterConformance`, which needs pytest and
hypothesis (`pip install "doctrail-core[testing]"`).
"""

from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.reference import Reference
from doctrail_core.testing.conformance.scenario import Scenario
from doctrail_core.testing.conformance.scenarios import SCENARIOS
from doctrail_core.testing.conformance.script import (
    MODEL,
    Act,
    Ask,
    Fallback,
    Hang,
    Keep,
    Meet,
    Parallel,
    Passage,
    Request,
    Retry,
    ScriptedError,
    Search,
    Step,
    UseTool,
    stuffed,
)
from doctrail_core.testing.conformance.stage import AsyncStage, Stage, hang, pieces

__all__ = [
    "MODEL",
    "SCENARIOS",
    "Act",
    "Ask",
    "AsyncStage",
    "Fallback",
    "Hang",
    "Host",
    "Keep",
    "Meet",
    "Parallel",
    "Passage",
    "Reference",
    "Request",
    "Retry",
    "Scenario",
    "ScriptedError",
    "Search",
    "Stage",
    "Step",
    "UseTool",
    "hang",
    "pieces",
    "stuffed",
]
