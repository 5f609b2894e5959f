"""How long records are kept: at least so long, and at most so long, for ledger and trails apart.

A policy in force is an entry of the log, so that it can be shown later under which one something was removed.
"""

import calendar
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Self, cast

from doctrail_core.durable.columns import moment
from doctrail_core.ledger.journal import LedgerJournal
from doctrail_core.ledger.reader import LedgerReader

__all__ = [
    "Bounds",
    "Period",
    "Policy",
    "PolicyError",
    "PolicyInForce",
    "policy_in_force",
    "put_in_force",
]

_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
_PERIOD = re.compile(r"(\d{1,5})\s*(day|week|month|year)s?", re.IGNORECASE)
_DAYS_OF_A_MONTH = 30.4375
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class PolicyError(ValueError):
    """A policy that means nothing, or something that it does not allow; the message says what would do."""


@dataclass(frozen=True, slots=True)
class Period:
    """A time as policies name it; months are those of the calendar."""

    months: int = 0
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """The period of words such as `6 months`, `10 years` or `30 days`.

        Raises:
            PolicyError: They name none.
        """
        found = _PERIOD.fullmatch(text.strip())
        if found is None:
            raise PolicyError(f"{text!r} is no period; write it as 30 days, 6 months or 10 years")
        number, unit = int(found[1]), found[2].lower()
        return cls(number * _MONTHS.get(unit, 0), number * _DAYS.get(unit, 0))

    def before(self, now: datetime) -> datetime:
        """The moment that lies so long before another; never one before 1970."""
        years, month = divmod(now.year * 12 + now.month - 1 - self.months, 12)
        if years < _EARLIEST.year:
            return _EARLIEST
        day = min(now.day, calendar.monthrange(years, month + 1)[1])
        back = now.replace(year=years, month=month + 1, day=day)
        return max(_EARLIEST, back - timedelta(days=min(self.days, (back - _EARLIEST).days)))

    @property
    def length(self) -> float:
        """In days, about."""
        return self.months * _DAYS_OF_A_MONTH + self.days

    def __str__(self) -> str:
        number, unit = (self.months, "month") if self.months else (self.days, "day")
        if unit == "month" and not number % 12:
            number, unit = number // 12, "year"
        return f"{number} {unit}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long something is kept.

    Attributes:
        at_least: Nothing younger is removed.
        at_most: Whatever is older goes with the next run; None for never.
    """

    at_least: Period = field(default_factory=Period)
    at_most: Period | None = None

    def __post_init__(self) -> None:
        if self.at_most is not None and self.at_most.length < self.at_least.length:
            raise PolicyError(
                f"nothing can be kept at least {self.at_least} and at most {self.at_most}; the longer"
                " of the two must be the second"
            )

    def to_json(self) -> dict[str, str]:
        said = {"at_least": str(self.at_least)}
        return said if self.at_most is None else said | {"at_most": str(self.at_most)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """What `to_json` made, or somebody wrote.

        Raises:
            PolicyError: It is none.
        """
        unknown = said.keys() - {"at_least", "at_most"}
        if unknown:
            raise PolicyError(
                f"a policy has at_least and at_most, not {', '.join(sorted(map(repr, unknown)))}"
            )
        at_least, at_most = said.get("at_least", "0 days"), said.get("at_most")
        if not isinstance(at_least, str) or not isinstance(at_most, str | None):
            raise PolicyError('a period is written as words, such as "6 months"')
        return cls(Period.parse(at_least), None if at_most is None else Period.parse(at_most))


@dataclass(frozen=True, slots=True)
class Policy:
    """How long ledger and trails are kept."""

    ledger: Bounds = field(default_factory=Bounds)
    trails: Bounds = field(default_factory=Bounds)

    def to_json(self) -> dict[str, Any]:
        return {"ledger": self.ledger.to_json(), "trails": self.trails.to_json()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """What `to_json` made, or somebody wrote.

        Raises:
            PolicyError: It is none.
        """
        unknown = said.keys() - {"ledger", "trails"}
        if unknown:
            raise PolicyError(
                f"a policy is about ledger and trails, not {', '.join(sorted(map(repr, unknown)))}"
            )
        bounds: dict[str, Bounds] = {}
        for store in said:
            if not isinstance(said[store], Mapping):
                raise PolicyError(f"{store} needs at_least or at_most")
            bounds[store] = Bounds.from_json(cast("Mapping[str, Any]", said[store]))
        return cls(**bounds)

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """The policy that a file holds, with a table for each of `ledger` and `trails`.

        Raises:
            PolicyError: It holds none.
        """
        import tomllib

        try:
            return cls.from_json(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"this is no TOML: {error}") from error

    @property
    def digest(self) -> str:
        """Names the policy, by all that it says."""
        said = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return f"sha256:{sha256(said.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy, since when it is in force, and the place of the entry that says so."""

    policy: Policy
    since: datetime
    by: str | None
    seq: int


def put_in_force(journal: LedgerJournal, policy: Policy, *, by: str | None = None) -> None:
    """Put a policy on record, under which retention runs from now on.

    Raises:
        OSError: It cannot be written.
        StoreError: The ledger does not work.
    """
    journal.note("configured", {"retention": policy.to_json()} | ({"by": by} if by else {}))
    journal.flush()


def policy_in_force(ledger: LedgerReader) -> PolicyInForce | None:
    """The policy that was put on record last; None if none ever was."""
    found = None
    for entry in ledger.events("configured"):
        if "retention" in entry.body:
            found = entry
    if found is None:
        return None
    return PolicyInForce(
        Policy.from_json(found.body["retention"]),
        moment(found.time_us),
        ledger.name_of(found.body.get("by")),
        found.seq,
    )
