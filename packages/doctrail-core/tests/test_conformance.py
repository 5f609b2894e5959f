"""The conformance suite holds for the events that it is written in, and finds what does not conform."""

from doctrail_core.testing.conformance import Reference
from doctrail_core.testing.conformance.suite import AdapterConformance


class TestReference(AdapterConformance):
    host = Reference()
