"""Retention: what is older than the policy lets it be goes, and nothing younger than it has to be.

Each run is an entry, whatever there was to do. Holds come first; see `doctrail_core.erasure.holds`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from doctrail_core.audit.anchors.anchor import head
from doctrail_core.audit.anchors.publishing import receipts
from doctrail_core.audit.folder import AuditFolder
from doctrail_core.durable.clearing import discard_older
from doctrail_core.durable.columns import microseconds
from doctrail_core.durable.errors import NothingRecordedError
from doctrail_core.durable.home import FILE_MODE, Home
from doctrail_core.durable.writing import writing
from doctrail_core.erasure.holds import Hold, holds, remark_of
from doctrail_core.erasure.policy import Bounds, PolicyError, PolicyInForce, policy_in_force
from doctrail_core.erasure.pruning import Held, Pruned, Pruning, boundary
from doctrail_core.erasure.remarks import Remarks
from doctrail_core.ledger import open_ledger
from doctrail_core.ledger.forgotten import LedgerEditor
from doctrail_core.ledger.gone import Gone
from doctrail_core.ledger.place import LedgerPlace
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.ledger.record import EventRecord, encode
from doctrail_core.ledger.store import LedgerWriting
from doctrail_core.trails import open_trails
from doctrail_core.trails.place import TrailPlace
from doctrail_core.trails.store import TrailStore

__all__ = [
    "Cutoffs",
    "LedgerRun",
    "RetentionRun",
    "TrailsRun",
    "cutoffs",
    "is_unfinished",
    "run_retention",
]

_PATIENCE = 30.0
"""Seconds to wait for another process that writes to a store."""
_TRAILS_STEP = 200

Store = Literal["ledger", "trails"]


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """Before which times something goes; None where nothing does."""

    ledger: datetime | None
    trails: datetime | None


@dataclass(frozen=True, slots=True)
class TrailsRun:
    """What went of the trails.

    Attributes:
        before: Trails that ended before.
        removed: How many trails.
        texts: How many texts of chunks that no other trail has; not known beforehand.
        held: How many stayed for a hold.
        set_aside: How many files of records that could not be stored; none where a hold is in force.
    """

    before: datetime
    removed: int
    texts: int
    held: int
    set_aside: int = 0


@dataclass(frozen=True, slots=True)
class LedgerRun:
    """What went of the ledger.

    Attributes:
        before: Entries from before.
        first: The minimum index that was.
        minimum: The minimum index that is.
        entries: How many entries, names and all.
        answers: How many answers those were about.
        names: How many documents, chunks and other names.
        held: How many answers stayed for a hold.
    """

    before: datetime
    first: int
    minimum: int
    entries: int
    answers: int
    names: int
    held: int


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """A run, and what it did, or would do."""

    policy: str
    time: datetime
    dry: bool
    ledger: LedgerRun | None
    trails: TrailsRun | None


def is_unfinished(home: Home) -> bool:
    """Whether a run died while it removed trails; the next one completes it."""
    return _mark(home).exists()


def cutoffs(
    policy: PolicyInForce, now: datetime, before: Mapping[Store, datetime] | None = None
) -> Cutoffs:
    """Before which times something goes, by the policy or by what was asked for.

    Raises:
        PolicyError: The policy has something kept for longer.
    """
    asked = before or {}
    return Cutoffs(
        _cutoff("ledger", policy.policy.ledger, now, asked.get("ledger")),
        _cutoff("trails", policy.policy.trails, now, asked.get("trails")),
    )


def run_retention(
    home: Home,
    *,
    now: datetime | None = None,
    before: Mapping[Store, datetime] | None = None,
    provable: Collection[int] = (),
    dry: bool = False,
) -> RetentionRun:
    """Remove what is older than the policy in force lets it be.

    Args:
        home: The installation.
        now: The time from which ages count; default that of the clock.
        before: For ledger or trails another time, up to which the policy lets something go.
        provable: Further sizes of the log of which it can still be shown afterwards that it has only grown since.
            It can of those from the new minimum index on, of checkpoints that anchors took, and of the last one.
        dry: Only count.

    Raises:
        PolicyError: There is no policy, or it has something kept for longer.
        NothingRecordedError: There is no ledger.
        StoreError: A store does not work.
    """
    now = now or datetime.now(UTC)
    with open_ledger(home) as ledger:
        policy = policy_in_force(ledger)
        if policy is None:
            raise PolicyError(
                "no retention policy is in force, so nothing may be removed; set one with"
                " `doctrail retention set`"
            )
        times = cutoffs(policy, now, before)
        trails = _trails(home, ledger, times.trails, now, dry=dry)
        pruning = _Run(home, ledger, policy, now, {*provable, *_sizes_elsewhere(home)})
        pruned = pruning.dry(times.ledger) if dry else pruning.run(times.ledger, trails)
    return RetentionRun(policy.policy.digest, now, dry, pruned, trails)


def _sizes_elsewhere(home: Home) -> Iterator[int]:
    """The sizes of checkpoints that somebody else has, and of the last one, which the next must follow."""
    folder = AuditFolder(home)
    if folder.exists():
        yield from (head(each.checkpoint).size for each in receipts(home))
        latest = folder.latest()
        if latest is not None:
            yield latest[0].size


def _cutoff(store: Store, bounds: Bounds, now: datetime, asked: datetime | None) -> datetime | None:
    floor = bounds.at_least.before(now)
    cutoff = asked or (bounds.at_most.before(now) if bounds.at_most else None)
    if cutoff is not None and cutoff > floor:
        raise PolicyError(
            f"the policy keeps the {store} at least {bounds.at_least}, so what is from"
            f" {floor.isoformat(timespec='seconds')} or later stays; asked was for all before"
            f" {cutoff.isoformat(timespec='seconds')}"
        )
    return cutoff


def _trails(
    home: Home, ledger: LedgerReader, before: datetime | None, now: datetime, *, dry: bool
) -> TrailsRun | None:
    if before is None:
        return None
    in_force = holds(ledger, now=now)
    try:
        with open_trails(home) as trails:
            search = _TrailSearch(trails, before, in_force)
            going = list(search)
    except NothingRecordedError:
        return TrailsRun(before, 0, 0, 0)
    if dry:
        return TrailsRun(before, len(going), 0, search.held)
    texts = _remove_trails(home, going)
    # What cannot be read may be of what is held.
    aside = 0 if in_force else discard_older(home.spool("trails"), before)
    return TrailsRun(before, len(going), texts, search.held, aside)


class _TrailSearch:
    """The ids of trails that ended before a time and that nothing holds."""

    def __init__(self, trails: TrailStore, before: datetime, in_force: Iterable[Hold]) -> None:
        self._trails = trails
        self._before = before
        self._holds = {(hold.scope, hold.subject) for hold in in_force}
        self.held = 0

    def __iter__(self) -> Iterator[str]:
        for each in self._trails.responses(until=self._before):
            if each.ended_at >= self._before:
                continue
            of = {("user", each.user_id), ("session", each.session_id)}
            of |= {("response", each.response_id)}
            of |= {("document", document) for document in each.document_ids}
            if self._holds & of:
                self.held += 1
            else:
                yield each.response_id


def _remove_trails(home: Home, going: Sequence[str]) -> int:
    """Remove trails a few at a time, so that what is recorded meanwhile does not wait long."""
    unfinished = _mark(home)
    if going:
        unfinished.touch(FILE_MODE)
    if not unfinished.exists():
        return 0
    database = TrailPlace(home)
    for at in range(0, len(going), _TRAILS_STEP):
        with writing(home, "trails", database, timeout=_PATIENCE) as editor, editor.changing():
            for response_id in going[at : at + _TRAILS_STEP]:
                editor.remove(response_id)
    with writing(home, "trails", database, timeout=_PATIENCE) as editor:
        with editor.changing():
            texts = editor.drop_unused()
        editor.scrub()
    unfinished.unlink()
    return texts


def _mark(home: Home) -> Path:
    """A file that is there while trails are being removed: what a run that died left is found by it."""
    return home.path / "retention.unfinished"


class _Run:
    """Prunes a log, step by step."""

    def __init__(
        self,
        home: Home,
        ledger: LedgerReader,
        policy: PolicyInForce,
        now: datetime,
        provable: Collection[int],
    ) -> None:
        self._home = home
        self._ledger = ledger
        self._policy = policy
        self._now = now
        self._provable = provable
        self._looked_at = 0

    def dry(self, before: datetime | None) -> LedgerRun | None:
        """What a run would do."""
        if before is None:
            return None
        pruning, first, minimum = self._begin(before)
        held = self._held()
        for step in pruning.steps():
            pruning.answers_and_events(*step, held)
        for _ in pruning.bindings():
            pass
        return _told(before, first, minimum, pruning.done)

    def run(self, before: datetime | None, trails: TrailsRun | None) -> LedgerRun | None:
        """Do it, and put on record what was done."""
        if before is None:
            with self._writing() as writer:
                writer.commit([self._entry_of_run(None, trails)], {}, ())
            return None
        pruning, first, minimum = self._begin(before)
        if minimum > first:
            with self._writing() as writer:
                writer.take_out(Gone(minimum=minimum), [self._entry_of_pruning(first, minimum)])
        for step in pruning.steps():
            with self._writing() as writer:
                self._look_further(pruning)
                _take_out(writer, pruning.answers_and_events(*step, self._held()))
        with self._writing() as writer:
            self._look_further(pruning)
            for gone in pruning.bindings():
                _take_out(writer, gone)
            self._forget_unowned(writer)
            told = _told(before, first, minimum, pruning.done)
            writer.commit([self._entry_of_run(told, trails)], {}, ())
            if isinstance(writer, LedgerEditor):
                writer.scrub(whole=False)
        Remarks(self._home).keep_only(set(self._remarks()))
        return told

    def _begin(self, before: datetime) -> tuple[Pruning, int, int]:
        first = self._ledger.minimum()
        minimum = boundary(self._ledger, microseconds(before), microseconds(self._now))
        pruning = Pruning(self._ledger, minimum, keep=[self._policy.seq], provable=self._provable)
        # Without the lease: it may take long, and what comes meanwhile is looked at later.
        self._looked_at = self._ledger.size()
        pruning.look_at(minimum, self._looked_at)
        return pruning, first, minimum

    def _look_further(self, pruning: Pruning) -> None:
        size = self._ledger.size()
        pruning.look_at(self._looked_at, size)
        self._looked_at = size

    def _held(self) -> Held:
        return Held.by(holds(self._ledger, now=self._now))

    def _forget_unowned(self, writer: LedgerWriting) -> None:
        """Destroy the keys of what is not there any more, also where an earlier run did not come to it."""
        owners = [owner for owner in writer.keyring.owners() if owner]
        unowned = [owner for owner in owners if self._ledger.store.name(owner) is None]
        if unowned:
            writer.keyring.destroy(unowned)

    def _remarks(self) -> Iterator[str]:
        """The names of remarks about entries that are there."""
        for entry in self._ledger.events("held"):
            yield remark_of(entry.body["hold"], lifted=bool(entry.body.get("lifted")))
        for kind in ("flagged", "reviewed"):
            yield from (e.body["remark"] for e in self._ledger.events(kind) if "remark" in e.body)

    def _writing(self) -> AbstractContextManager[LedgerWriting]:
        return writing(self._home, "ledger", LedgerPlace(self._home), timeout=_PATIENCE)

    def _entry_of_pruning(self, first: int, minimum: int) -> bytes:
        root = self._ledger.root(minimum).hex()
        return self._event("pruned", {"first": first, "end": minimum, "root": root})

    def _entry_of_run(self, ledger: LedgerRun | None, trails: TrailsRun | None) -> bytes:
        said: dict[str, Any] = {"because": self._policy.seq, "policy": self._policy.policy.digest}
        if ledger is not None:
            counts = {
                name: getattr(ledger, name) for name in ("entries", "answers", "names", "held")
            }
            span = {"first": ledger.first, "end": ledger.minimum}
            said["ledger"] = {"before": microseconds(ledger.before)} | span | counts
        if trails is not None:
            counts = {
                name: getattr(trails, name) for name in ("removed", "texts", "held", "set_aside")
            }
            said["trails"] = {"before": microseconds(trails.before)} | counts
        return self._event("retained", said)

    def _event(self, kind: str, body: Mapping[str, Any]) -> bytes:
        when = self._now.isoformat(timespec="microseconds")
        return encode(
            EventRecord(event=kind, body=dict(body), timestamp=when, writer="", counter=0)
        )


def _told(before: datetime, first: int, minimum: int, done: Pruned) -> LedgerRun:
    return LedgerRun(before, first, minimum, done.entries, done.answers, done.names, done.held)


def _take_out(writer: LedgerWriting, gone: Gone) -> None:
    if gone.entries:
        writer.take_out(gone)
