"""What the ledger proves about access in a period: whether each chunk of a label had an allow decision, of which policy.

It speaks of what is on record alone: which chunks answers had, and what was decided about them when they were found.
Whoever reads a store by another way than a guarded retriever is in no ledger, and the report says so.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from doctrail_core.audit.findings import Finding, broken, holds, open_
from doctrail_core.audit.stream import Block, CounterCheck, TimeCheck, blocks
from doctrail_core.ledger.access import AccessFact, ChunkLabel, access_fact
from doctrail_core.ledger.entry import CODES, Entry, decode

if TYPE_CHECKING:
    from doctrail_core.audit.checkpoint import Checkpoint
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["AccessException", "AccessQuestion", "AccessReport", "LabelTally", "access_report"]

Why = Literal[
    "no decision",
    "carried from an earlier turn",
    "denied, and there all the same",
    "another policy",
    "label without a place in the order",
]

UNPROVEN = (
    "that no sensitive text was read by a way that passes no guarded retriever, such as with other credentials",
    "that labels were right: each is what the chunk's metadata said when it was found",
    "that the policy was the one to have: the revision or hash says which it was; let an auditor decide anew by it",
)

_DECIDED_BEFORE_US = 86_400_000_000
"""A decision counts for what an answer had so long after it; answers do not take days."""
_READ = ("retrieved", "answered", "access", "configured")
_CODES = frozenset(CODES[kind] for kind in _READ)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessQuestion:
    """What to report on.

    Attributes:
        begin_us: From this time on, in microseconds since the epoch.
        end_us: And before this time.
        label: Only chunks of this label or a higher one; None for all.
        order: The labels, the least confidential first; default as the policy's configuration has them.
        policy: The revision or hash that decisions are to have; default the one that most have.
        searches: How many searches of the period the vector store's own log counts.
        checkpoints: Those of the log that can be relied on.
    """

    begin_us: int
    end_us: int
    label: str | None = None
    order: tuple[str, ...] = ()
    policy: str | None = None
    searches: int | None = None
    checkpoints: "Sequence[Checkpoint]" = ()


@dataclass(frozen=True, slots=True)
class AccessException:
    """A chunk that an answer had, and of which the sentence is not true.

    Attributes:
        seq: The entry that says that the answer had it.
    """

    why: Why
    seq: int
    response_id: str
    document_id: str
    chunk_id: str
    label: str | None
    policy: str | None


@dataclass(frozen=True, slots=True)
class LabelTally:
    """How often chunks of a label were released and withheld; None for chunks without one."""

    label: str | None
    allowed: int
    denied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessReport:
    """What was found.

    Attributes:
        sentence: What the ledger proves, with its exceptions counted.
        entries: How many entries of the period there are.
        first: The place of the first of them, and `last` that of the last; -1 where there is none.
        policies: How many decisions each policy made.
        uses: How many chunks answers had, of the label or a higher one.
        proven: How many of these have the decision.
        conditions: On which the sentence rests, and whether they are met.
        unproven: What nobody may conclude.
    """

    sentence: str
    entries: int
    first: int
    last: int
    policy: str | None
    policies: Mapping[str, int]
    labels: Sequence[LabelTally]
    searches: int
    decisions: int
    failures: int
    uses: int
    proven: int
    exceptions: Sequence[AccessException]
    conditions: Sequence[Finding]
    unproven: Sequence[str] = UNPROVEN

    @property
    def is_clean(self) -> bool:
        """Whether it holds without exception, and rests on nothing that is not met."""
        return not self.exceptions and all(each.outcome == "holds" for each in self.conditions)


def access_report(
    log: "LedgerReader", question: AccessQuestion, *, now_us: int | None = None
) -> AccessReport:
    """Report on a period, in one pass over the log.

    Args:
        log: The log.
        question: What to report on.
        now_us: The time, in microseconds since the epoch; default that of now.

    Raises:
        ValueError: The label has no place in the order of labels.
    """
    record = _Record(question)
    now = time.time_ns() // 1000 if now_us is None else now_us
    counters, times = CounterCheck(), TimeCheck(min(now, question.end_us), question.begin_us)
    for block in blocks(log.store, 0, log.size()):
        counters.take(block)
        if block.heads and min(head[3] for head in block.heads) < question.end_us:
            times.take(block)
        record.take(block)
    return _Judgement(log, question, record).report([*counters.findings(), *times.findings()])


@dataclass(slots=True)
class _Use:
    seq: int
    carried: bool


@dataclass(slots=True)
class _Decision:
    seq: int
    writer: int
    fact: AccessFact
    in_period: bool


class _Record:
    """What the ledger says of the period."""

    def __init__(self, question: AccessQuestion) -> None:
        self._begin, self._end = question.begin_us, question.end_us
        self.seqs: list[int] = []
        self.is_whole = True
        self.uses: dict[bytes, dict[int, _Use]] = {}
        self.decisions: dict[bytes, list[_Decision]] = {}
        self.configured: list[Entry] = []

    def take(self, block: Block) -> None:
        for (seq, body), (_, code, _, time_us, _, _) in zip(
            block.entries, block.heads, strict=True
        ):
            in_period = self._begin <= time_us < self._end
            if in_period:
                self.seqs.append(seq)
            if code in _CODES and time_us < self._end:
                self._read(decode(body, seq), in_period=in_period)
        if not block.is_whole and self.seqs:
            self.is_whole = self.is_whole and block.end <= self.seqs[0]

    def _read(self, entry: Entry, *, in_period: bool) -> None:
        if entry.kind == "configured":
            if entry.body.get("what") == "access policy":
                self.configured.append(entry)
        elif entry.response is None:
            return
        elif entry.kind == "access":
            if entry.time_us >= self._begin - _DECIDED_BEFORE_US:
                decision = _Decision(entry.seq, entry.writer, access_fact(entry.body), in_period)
                self.decisions.setdefault(entry.response, []).append(decision)
        elif in_period:
            known = self.uses.setdefault(entry.response, {})
            for use in entry.chunks:
                known[use.chunk] = _Use(entry.seq, use.carried)

    @property
    def made(self) -> Iterator[_Decision]:
        """The decisions of the period."""
        return (d for decisions in self.decisions.values() for d in decisions if d.in_period)


@dataclass(slots=True)
class _Standing:
    """What was decided about one chunk of a response."""

    allowed: list[tuple[ChunkLabel, str | None]] = field(
        default_factory=list[tuple[ChunkLabel, str | None]]
    )
    denied: list[ChunkLabel] = field(default_factory=list[ChunkLabel])


class _Judgement:
    """Holds what is on record against the sentence."""

    def __init__(self, log: "LedgerReader", question: AccessQuestion, record: _Record) -> None:
        self._log = log
        self._question = question
        self._record = record
        self._policies = Counter(d.fact.policy for d in record.made if d.fact.policy)
        most = self._policies.most_common(1)
        self._policy = question.policy or (most[0][0] if most else None)
        self._ranks = self._order()
        self._least = 0
        if question.label is not None:
            if question.label not in self._ranks:
                raise ValueError(
                    f"the label {question.label!r} has no place in the order of labels"
                    f" ({', '.join(self._ranks) or 'there is none on record'}); give the order"
                )
            self._least = self._ranks[question.label]

    def report(self, passed: Iterable[Finding]) -> AccessReport:
        exceptions: list[AccessException] = []
        uses = 0
        for response, used in self._record.uses.items():
            standings = self._standings(response)
            for chunk, use in used.items():
                standing = standings.get(chunk, _Standing())
                if not self._matters(standing):
                    continue
                uses += 1
                if not standing.allowed:
                    standing.denied += self._denied_by_name(response, chunk)
                if why := self._exception(standing, use):
                    exceptions.append(self._named(why, response, chunk, use, standing))
        seqs, made = self._record.seqs, list(self._record.made)
        searches = {
            (response, decision.fact.search)
            for response, decisions in self._record.decisions.items()
            for decision in decisions
            if decision.in_period
        }
        return AccessReport(
            sentence=self._sentence(uses, len(exceptions)),
            entries=len(seqs),
            first=min(seqs, default=-1),
            last=max(seqs, default=-1),
            policy=self._policy,
            policies=dict(self._policies.most_common()),
            labels=self._labels(made),
            searches=len(searches),
            decisions=len(made),
            failures=sum(d.fact.error is not None for d in made),
            uses=uses,
            proven=uses - len(exceptions),
            exceptions=exceptions,
            conditions=tuple(self._conditions(passed, made, len(searches))),
        )

    def _order(self) -> dict[str, int]:
        given = self._question.order
        if not given:
            listed = (e.body.get("labels") or () for e in reversed(self._record.configured))
            given = next(filter(None, listed), ())
        return {label: rank for rank, label in enumerate(given)}

    def _standings(self, response: bytes) -> Mapping[int, _Standing]:
        found: dict[int, _Standing] = {}
        for decision in self._record.decisions.get(response, ()):
            for label in decision.fact.allowed:
                standing = found.setdefault(label.chunk, _Standing())
                standing.allowed.append((label, decision.fact.policy))
            for label in decision.fact.denied:
                found.setdefault(label.chunk, _Standing()).denied.append(label)
        return found

    def _denied_by_name(self, response: bytes, chunk: int) -> Iterator[ChunkLabel]:
        """What of the response was denied and is this chunk: of the denied one it is not known which text it had."""
        name, documents = self._log.name_of(chunk), self._log.store.documents_of
        decisions = self._record.decisions.get(response, ())
        for label in (label for decision in decisions for label in decision.fact.denied):
            same = name is not None and self._log.name_of(label.chunk) == name
            if same and len({*documents([chunk, label.chunk]).values()}) == 1:
                yield label

    def _matters(self, standing: _Standing) -> bool:
        """Whether it has the label, or a higher one; or one of which that is not known."""
        if self._question.label is None:
            return True
        labels = [label for label, _ in standing.allowed] + standing.denied
        ranks = [self._ranks.get(label.label or "", self._least) for label in labels]
        return max(ranks, default=self._least) >= self._least

    def _exception(self, standing: _Standing, use: _Use) -> Why | None:
        if not standing.allowed:
            if standing.denied:
                return "denied, and there all the same"
            return "carried from an earlier turn" if use.carried else "no decision"
        if self._question.label is not None and any(
            label.label not in self._ranks for label, _ in standing.allowed
        ):
            return "label without a place in the order"
        if all(policy != self._policy for _, policy in standing.allowed):
            return "another policy"
        return None

    def _named(
        self, why: Why, response: bytes, chunk: int, use: _Use, standing: _Standing
    ) -> AccessException:
        document = self._log.store.documents_of([chunk]).get(chunk)
        label, policy = standing.allowed[-1] if standing.allowed else (None, None)
        label = label or next(iter(standing.denied), None)
        return AccessException(
            why=why,
            seq=use.seq,
            response_id=self._log.response_id_of(response),
            document_id="?" if document is None else self._log.document_name(document),
            chunk_id=self._log.name_of(chunk) or f"erased:{chunk}",
            label=label and label.label,
            policy=policy,
        )

    @staticmethod
    def _labels(made: Iterable[_Decision]) -> Sequence[LabelTally]:
        allowed, denied = Counter[str | None](), Counter[str | None]()
        for decision in made:
            allowed.update(label.label for label in decision.fact.allowed)
            denied.update(label.label for label in decision.fact.denied)
        names = sorted({*allowed, *denied}, key=lambda label: (label is None, label or ""))
        return tuple(LabelTally(label, allowed[label], denied[label]) for label in names)

    def _sentence(self, uses: int, exceptions: int) -> str:
        seqs = self._record.seqs
        among = f"Among the {len(seqs):,} entries of the period"
        if seqs:
            among += f" (#{min(seqs)} to #{max(seqs)}{self._between(min(seqs), max(seqs))})"
        chunk = "every chunk"
        if self._question.label is not None:
            chunk += f" labelled {self._question.label} or higher"
        decided = f"an allow decision of policy {self._policy}" if self._policy else "no decision"
        if not self._policy:
            return f"{among}, no decision on access is on record; {uses:,} chunks were in answers."
        counted = f"{uses - exceptions:,} of {uses:,}; {exceptions:,} exceptions"
        return f"{among}, {chunk} that an answer had has {decided}: {counted}."

    def _between(self, first: int, last: int) -> str:
        before, after = self._around(first, last)
        if after is None:
            return ""
        begin = f"{before.size:,}" if before else "0"
        return f", between the checkpoints of {begin} and {after.size:,} entries"

    def _around(self, first: int, last: int) -> "tuple[Checkpoint | None, Checkpoint | None]":
        """The closest checkpoints, of before the first entry and of after the last one."""
        ordered = sorted(self._question.checkpoints, key=lambda each: each.size)
        before = [each for each in ordered if each.size <= first]
        after = [each for each in ordered if each.size > last]
        return (before[-1] if before else None), (after[0] if after else None)

    def _conditions(
        self, passed: Iterable[Finding], made: Sequence[_Decision], searches: int
    ) -> Iterator[Finding]:
        yield from passed
        yield self._covered()
        yield from self._configuration(made)
        yield self._reconciled(searches)
        if made and not any(decision.fact.denied for decision in made):
            words = (
                "nothing was denied in all the period, which is suspicious: a policy that never says no may not be"
                " in force"
            )
            yield open_("denials", words)
        elif made:
            denied = sum(bool(decision.fact.denied) for decision in made)
            yield holds("denials", f"{denied} of {len(made)} decisions withheld something")

    def _covered(self) -> Finding:
        seqs = self._record.seqs
        if not self._record.is_whole:
            words = "entries of the period were pruned: nothing is said about them"
            return open_("checkpoints", words)
        if not seqs:
            return open_("checkpoints", "there are no entries of the period")
        if self._around(min(seqs), max(seqs))[1] is None:
            words = "no checkpoint covers the period to its end: run `doctrail audit checkpoint`"
            return open_("checkpoints", words)
        return holds(
            "checkpoints",
            f"a checkpoint covers all of the period{self._between(seqs[0], seqs[-1])}",
        )

    def _configuration(self, made: Sequence[_Decision]) -> Iterator[Finding]:
        """Whether each process put its policy on record before it decided by it, and whether it changed."""
        known: dict[tuple[int, str], int] = {}
        for entry in self._record.configured:
            known.setdefault((entry.writer, entry.body.get("policy", "")), entry.seq)
        decided = [d for d in made if d.fact.policy]
        bare = [d for d in decided if known.get((d.writer, d.fact.policy or ""), d.seq) >= d.seq]
        if bare:
            words = f"{len(bare)} decisions were made by a policy that its process had not put on record"
            yield broken("configuration", words, bare[0].seq)
        changes = sum(
            one.fact.policy != other.fact.policy
            for one, other in pairwise(sorted(decided, key=lambda d: d.seq))
        )
        if changes:
            words = (
                f"decisions were made by {len(self._policies)} policies, changing {changes} times"
            )
            yield open_("configuration", words)
        if not decided:
            yield open_("configuration", "no policy decided anything in the period")
        elif not bare and not changes:
            words = "one policy was in effect, and was on record before the first decision of each process"
            yield holds("configuration", words)

    def _reconciled(self, searches: int) -> Finding:
        told = self._question.searches
        if told is None:
            words = (
                f"{searches} guarded searches are on record; it was not said how many the vector store's own access log"
                " counts"
            )
            return open_("reconciliation", words)
        if told != searches:
            words = f"{searches} guarded searches are on record, but the vector store counts {told}"
            return broken("reconciliation", words)
        return holds("reconciliation", f"{searches} guarded searches, as the vector store counts")
