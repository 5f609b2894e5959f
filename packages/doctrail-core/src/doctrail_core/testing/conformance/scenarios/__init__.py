"""The scenarios that every adapter is to pass."""

from doctrail_core.testing.conformance.scenarios import endings, prompts, searches, together, tools

__all__ = ["SCENARIOS"]

SCENARIOS = (
    *searches.SCENARIOS,
    *prompts.SCENARIOS,
    *tools.SCENARIOS,
    *endings.SCENARIOS,
    *together.SCENARIOS,
)
