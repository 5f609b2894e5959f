"""What a verification found, in words for whoever has to rely on it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Report", "broken", "holds", "open_"]

Outcome = Literal["holds", "open", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: What was looked at.
        outcome: `holds`; `broken`, where the log contradicts itself or what was signed; `open`, where something could
            not be looked at, or is for a person to judge.
        words: What was found.
        seq: The entry that it is about, if it is about one.
    """

    check: str
    outcome: Outcome
    words: str
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found.

    Attributes:
        size: How many entries the log has.
        root: Of its tree, as computed from the entries.
        findings: In the order of the checks.
        unproven: What nobody may conclude from it.
    """

    size: int
    root: bytes
    findings: tuple[Finding, ...]
    unproven: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is broken."""
        return all(finding.outcome != "broken" for finding in self.findings)


def holds(check: str, words: str, seq: int | None = None) -> Finding:
    return Finding(check, "holds", words, seq)


def broken(check: str, words: str, seq: int | None = None) -> Finding:
    return Finding(check, "broken", words, seq)


def open_(check: str, words: str, seq: int | None = None) -> Finding:
    return Finding(check, "open", words, seq)
