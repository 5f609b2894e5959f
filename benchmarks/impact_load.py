"""A year of answers to measure ledgers with: 5 chunks each of 100,000 documents, some of them much asked for.

Documents are drawn by Zipf's law, which gives the most asked for one a share of 1.6 % of the links; of the least asked for
there are a few links or one. Sessions have five turns, each is one of 50,000 users'. Response ids are UUIDs of version 7 or 4.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate

from doctrail_core.ledger.record import ChunkFact, LedgerRecord, encode

__all__ = ["BEGIN", "DOCUMENTS", "HOT", "YEAR", "payloads"]

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
DOCUMENTS = 100_000
HOT = "document-000000"
_USERS = 50_000
_TURNS = 5
_EXPONENT = 0.8
_GRADES = ("in_prompt", "in_prompt", "in_prompt", "retrieved", "cited")


def payloads(responses: int, *, whose: bool, seed: int = 1) -> Iterator[bytes]:
    """The records of so many answers, each complete.

    Args:
        responses: How many, spread evenly over the year.
        whose: Whether they have sessions and users.
        seed: Of the random choices.
    """
    rng = random.Random(seed)  # noqa: S311  # repeatable load, no secret
    weights = list(accumulate(1 / (rank + 1) ** _EXPONENT for rank in range(DOCUMENTS)))
    step = YEAR / responses
    for number in range(responses):
        chosen = rng.choices(range(DOCUMENTS), cum_weights=weights, k=5)
        chunks = tuple(
            ChunkFact(
                chunk_id=f"document-{document:06}#{rng.randrange(3)}",
                content_hash=f"sha256:{document:064x}",
                document_id=f"document-{document:06}",
                grade=_GRADES[place],
            )
            for place, document in enumerate(dict.fromkeys(chosen))
        )
        session = number // _TURNS
        yield encode(
            LedgerRecord(
                answer_hash=f"sha256:{number:064x}",
                chunks=chunks,
                counter=number,
                document_ids=tuple(chunk.document_id for chunk in chunks),
                framework="langchain",
                kind="answered",
                models=("gpt-5",),
                query_hash=f"hmac-sha256:{number:064x}",
                response_id=str(_uuid(rng)),
                service="benchmark",
                session_id=f"session-{session}" if whose else None,
                status="ok",
                timestamp=(BEGIN + number * step).isoformat(timespec="microseconds"),
                trace_id=f"{rng.getrandbits(128):032x}",
                user_id=f"user-{session % _USERS}" if whose else None,
                writer="benchmark",
            )
        )


def _uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128), version=4)
