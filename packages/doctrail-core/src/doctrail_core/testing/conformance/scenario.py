"""A scenario: requests that are made at the same time, and exactly what is on record of each."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from textwrap import dedent
from typing import Literal

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import format_trace_id

from doctrail_core.model import Trail
from doctrail_core.testing.capture import CapturedLineage, capture_trails
from doctrail_core.testing.conformance.caller import in_tasks, in_threads
from doctrail_core.testing.conformance.host import Host
from doctrail_core.testing.conformance.outline import outline, span_outline
from doctrail_core.testing.conformance.reference import Reference
from doctrail_core.testing.conformance.script import Request
from doctrail_core.testing.conformance.stage import pieces

__all__ = ["Mode", "Record", "Scenario", "played", "same"]

Mode = Literal["sync", "async"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked, and what is on record afterwards.

    Attributes:
        record: Per request its trail, ledger entries and spans, as `Record.told` tells them.
        in_order: Whether the order of what happens side by side is fixed.
        modes: In which code it can be played.
    """

    name: str
    requests: tuple[Request, ...]
    record: tuple[str, ...]
    in_order: bool = True
    modes: tuple[Mode, ...] = ("sync", "async")

    def check(self, host: Host, mode: Mode) -> None:
        """Play it, and compare what the callers got and what is on record.

        Raises:
            AssertionError: Something differs; the message shows both.
        """
        record = played(host, self.requests, mode)
        reference = played(Reference(), self.requests, mode)
        same("what the callers got", record.outcomes, reference.outcomes)
        expected = sorted(dedent(text).strip() for text in self.record)
        same("what is on record", record.told(in_order=self.in_order), expected)
        record.assert_clean()


@dataclass(frozen=True, slots=True)
class Record:
    """What was left after some requests: what their callers got, and what is on record.

    An outcome is the answer, or what was raised.
    """

    requests: tuple[Request, ...]
    outcomes: list[str]
    lineage: CapturedLineage
    left_open: int

    def told(self, *, in_order: bool = True) -> list[str]:
        """What is on record of each request, in alphabetical order."""
        entries = defaultdict[str, list[str]](list)
        for kind, known in self.lineage.entries:
            entries[known.response_id].append(kind)
        spans = defaultdict[str | None, list[ReadableSpan]](list)
        for span in self.lineage.spans:
            spans[format_trace_id(span.context.trace_id) if span.context else None].append(span)
        return sorted(
            self._told(trail, entries[trail.response_id], spans[trail.trace_id], in_order=in_order)
            for trail in self.lineage.trails
        )

    def assert_clean(self) -> None:
        """Nothing was swallowed or dropped, and nothing is still open anywhere."""
        assert self.lineage.errors == [], f"swallowed: {self.lineage.errors}"
        assert self.lineage.dropped == {}, f"dropped: {self.lineage.dropped}"
        assert self.left_open == 0, f"{self.left_open} runs are still open"

    def _told(
        self, trail: Trail, kinds: Sequence[str], spans: Sequence[ReadableSpan], *, in_order: bool
    ) -> str:
        told = outline(trail, kinds, in_order=in_order, drawn=self._drawn(trail))
        tree = span_outline(trail, spans, in_order=in_order)
        return "\n".join((told, "spans", *(f"  {line}" for line in tree.splitlines())))

    def _drawn(self, trail: Trail) -> str | None:
        left = (r for r in self.requests if r.delivery == "left" and r.question == trail.question)
        return next((pieces(r.answering.says)[0] for r in left), None)


def played(host: Host, requests: Sequence[Request], mode: Mode) -> Record:
    """Have the requests made at the same time, and tell what was left."""
    with capture_trails() as lineage:
        if mode == "sync":
            outcomes = in_threads(host, requests, lineage)
        else:
            outcomes = asyncio.run(in_tasks(host, requests, lineage))
        left_open = lineage.open_count + host.open_count()
    return Record(tuple(requests), outcomes, lineage, left_open)


def same(what: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Compare texts.

    Raises:
        AssertionError: They differ; the message shows where.
    """
    wanted, got = ("\n\n".join(texts).splitlines() for texts in (expected, found))
    if wanted != got:
        lines = unified_diff(wanted, got, "expected", "found", n=100, lineterm="")
        raise AssertionError(f"{what} differs\n" + "\n".join(lines))
