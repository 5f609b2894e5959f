"""Answers in short, for tests of what a ledger makes of them: records, and what follows from these by brute force."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from doctrail_core.durable.home import Home
from doctrail_core.ledger.record import CheckFact, LedgerRecord
from doctrail_core.model import EntryKind, Grade
from doctrail_core.testing.ledger_stores import BEGIN, answer, fact, keep

__all__ = ["BEGIN", "Said", "expected", "put", "said_at_random"]

_CHECK = CheckFact(status="checked", verdicts={}, verifier="v", version="1")
_RANKS: dict[Grade, int] = {"retrieved": 0, "in_prompt": 1, "supports": 2, "cited": 3}
_KINDS: Sequence[EntryKind] = ("retrieved", "answered", "assessed")


@dataclass(frozen=True, slots=True)
class Said:
    """That something was said of a response.

    Attributes:
        response: Its number; an even one has a UUID for an id.
        grades: By document.
        hour: After `BEGIN`.
    """

    kind: EntryKind
    response: int
    grades: tuple[tuple[str, Grade], ...]
    hour: int = 0

    @property
    def response_id(self) -> str:
        return (
            f"response {self.response}" if self.response % 2 else str(UUID(int=self.response + 1))
        )


def said_at_random(count: int, *, documents: int = 9, seed: int = 1) -> list[Said]:
    """So many things that were said, over some months, often of responses of long before."""
    rng = random.Random(seed)  # noqa: S311  # repeatable load, no secret
    grades: Sequence[Grade] = tuple(_RANKS)
    return [
        Said(
            rng.choice(_KINDS),
            max(0, number - rng.choice((0, 0, 1, 2, 50))),
            tuple(
                (f"document {document}", rng.choice(grades))
                for document in rng.sample(range(documents), rng.randint(0, 3))
            ),
            hour=number * 7,
        )
        for number in range(count)
    ]


def put(home: Home, said: Iterable[Said], *, at_once: int = 7) -> None:
    """Put it on the ledger, so much at a time."""
    waiting = [_record(each) for each in said]
    keep(home, *(waiting[start : start + at_once] for start in range(0, len(waiting), at_once)))


def expected(
    said: Iterable[Said], document: str, *, since: int = 0, until: int = 1 << 30, rank: int = 0
) -> dict[str, int]:
    """By brute force: the responses that had a document, in order, with the rank that it reached."""
    responses: dict[str, list[Said]] = {}
    for each in said:
        responses.setdefault(each.response_id, []).append(each)
    found = {
        response_id: reached
        for response_id, history in responses.items()
        if since <= history[0].hour < until
        if (reached := _reached(history, document)) is not None
    }
    return {response_id: reached for response_id, reached in found.items() if reached >= rank}


def _reached(history: Sequence[Said], document: str) -> int | None:
    """What was answered counts; else it was retrieved; a check may raise it, or know it first."""
    known = [(s.kind, _RANKS[g]) for s in history for name, g in s.grades if name == document]
    answered = [rank for kind, rank in known if kind == "answered"]
    assessed = [rank for kind, rank in known if kind == "assessed"]
    if answered:
        return max(answered[-1], *assessed, 0)
    if known:
        return max([*assessed, 0])
    return None


def _record(said: Said) -> LedgerRecord:
    return answer(
        said.response_id,
        *(fact(document, grade=grade) for document, grade in said.grades),
        hour=said.hour,
        kind=said.kind,
        status="ok" if said.kind == "answered" else "interrupted",
        check=_CHECK if said.kind == "assessed" else None,
        session_id=f"session {said.response // 3}",
        user_id=f"user {said.response % 5}",
    )
