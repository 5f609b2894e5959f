"""The answers that are put on record in benchmarks: 5 chunks of 2 KB, a prompt that holds them all, a short reply.

They are the same at every run.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from doctrail_core.model import (
    Arrival,
    Chunk,
    Context,
    Generation,
    Hit,
    Message,
    PromptSpan,
    Retrieval,
    Trail,
    Usage,
)
from doctrail_core.text.identity import content_hash

_rng = random.Random(1)  # noqa: S311  # repeatable load, no secret
_NOW = datetime.now(UTC)
_WORDS = ["".join(_rng.choices("etaoinshrdlu", k=_rng.randint(2, 9))) for _ in range(5_000)]


def answers(count: int, *, chunks: int = 1_000) -> list[Trail]:
    """So many answers, each with 5 chunks out of so many."""
    corpus = [_chunk(number) for number in range(chunks)]
    return [_trail(number, _rng.sample(corpus, 5)) for number in range(count)]


def _text(length: int) -> str:
    text = ""
    while len(text) < length:
        text += _rng.choice(_WORDS) + " "
    return text[:length]


def _chunk(number: int) -> Chunk:
    text = _text(2_000)
    document = f"contracts/{number // 10}.pdf"
    return Chunk(f"{document}#{number % 10}", document, content_hash(text), text, number % 10)


def _trail(number: int, chunks: Sequence[Chunk]) -> Trail:
    question, answer = _text(80), _text(400)
    prompt = question + "".join(chunk.text or "" for chunk in chunks)
    arrivals = tuple(
        Arrival(chunk.chunk_id, chunk.document_id, "full", 1.0, 0.2, order, (_place(order),))
        for order, chunk in enumerate(chunks)
    )
    hits = tuple(
        Hit(chunk, rank, 0.9 - rank / 10, "similarity") for rank, chunk in enumerate(chunks)
    )
    generation = Generation(
        *(f"g{number}", (Message("user", prompt),), answer, _NOW, _NOW, "model", "provider"),
        usage=Usage(3_000, 100, 3_100),
        message_id=f"msg-{number}",
    )
    return Trail(
        *(f"response-{number:08d}", "ok", _NOW, _NOW, "hmac-sha256:" + "0" * 64, question, answer),
        *(
            f"session-{number // 4}",
            f"user-{number // 40}",
            f"{number:032x}",
            "service",
            "langchain",
        ),
        retrievals=(
            Retrieval(
                "retrieval", "bm25", question, "hmac-sha256:" + "0" * 64, hits, _NOW, _NOW, k=5
            ),
        ),
        contexts=(Context(f"g{number}", arrivals, len(prompt), 80),),
        generations=(generation,),
    )


def _place(order: int) -> PromptSpan:
    return PromptSpan(0, 80 + order * 2_000, 80 + (order + 1) * 2_000)
