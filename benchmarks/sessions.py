"""Measure what sessions cost: recognising chunks of earlier turns, and meeting a session for the first time.

    .venv/bin/python benchmarks/sessions.py

CPU time of the thread that answers, the best of three. Texts are those of `arrival.py`.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from arrival import DATA, MUTATIONS, chinese, corpus

from doctrail_core.capture.carrying import Earlier, Present
from doctrail_core.capture.events import (
    GenerationEnded,
    PromptSent,
    RetrievalEnded,
    RetrievalStarted,
    RetrievedChunk,
    RunEnded,
    RunStarted,
)
from doctrail_core.capture.sessions import Past, Turn, key_of
from doctrail_core.capture.settings import Settings
from doctrail_core.composition import Lineage
from doctrail_core.model import CarriedChunk, Message
from doctrail_core.text.identity import identify

CHUNK = 2000
PROMPT = 200_000
ANSWERS = 200


def best_of_three(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(3):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def past_of(texts: list[str]) -> Past:
    """A session that retrieved these, and has answered with pieces of them."""
    chunks = [identify(text, chunk_id=f"c{n}", document_id=f"d{n}") for n, text in enumerate(texts)]
    known = {key_of(c): CarriedChunk(c, "text", f"r{n}", n + 1) for n, c in enumerate(chunks)}
    turns = tuple(Turn(f"r{n}", n + 1, (t[300:900],)) for n, t in enumerate(texts[:ANSWERS]))
    return Past(len(turns) + 1, turns, known)


def recognise(past: Past, prompt: str) -> list[Present]:
    present, _ = Earlier(past, (), lambda chunk: chunk).present(prompt, [(0, len(prompt))], ())
    return present


def recognising(text: str) -> Iterator[str]:
    for count in (50, 500):
        chunks = [text[i * CHUNK : (i + 1) * CHUNK] for i in range(count)]
        rest = text[-PROMPT:]
        past = past_of(chunks)
        prompts = {f"{n:,} characters, none there": rest[:n] for n in (300, 2_000, 20_000, PROMPT)}
        for name in ("exact", "re-wrapped", "JSON", "1 % typos", "first half"):
            there = "\n\n".join(MUTATIONS[name](chunk) for chunk in chunks[:50])
            prompts[f"{PROMPT:,} characters, 50 there, {name}"] = (there + rest)[:PROMPT]
        for name, prompt in prompts.items():
            yield told(f"{count} remembered, {name}", past, prompt)
    past = past_of([chinese(CHUNK) for _ in range(500)])
    yield told(f"500 remembered, {PROMPT:,} characters, Chinese", past, chinese(PROMPT))


def told(name: str, past: Past, prompt: str) -> str:
    took = best_of_three(partial(recognise, past, prompt)) * 1000
    return f"{name:60} {took:7.1f} ms, {len(recognise(past, prompt))} found"


def answer(lineage: Lineage, response: str, session: str | None, messages: list[Message]) -> None:
    lineage.record(RunStarted(response, None, "chain", "test", "A question?", session))
    lineage.record(RetrievalStarted(f"{response}s", response, "R", "A question?", "test"))
    found = [RetrievedChunk(m.text or "", f"{n}", f"d{n}") for n, m in enumerate(messages[:5])]
    lineage.record(RetrievalEnded(f"{response}s", found))
    lineage.record(PromptSent(f"{response}m", response, messages, "test", "m"))
    lineage.record(GenerationEnded(f"{response}m", f"An answer to {response}."))
    lineage.record(RunEnded(response, f"An answer to {response}."))


def meeting(text: str) -> Iterator[str]:
    """Answers of five chunks of 400 characters, beside a trail store of 2,000."""
    messages = [Message("user", text[i * 400 : i * 400 + 400]) for i in range(5)]
    shots = [*messages, Message("assistant", "An example."), Message("user", "And now mine?")]
    sessions: dict[str, tuple[Callable[[int], str | None], list[Message]]] = {
        "no session": (lambda _: None, messages),
        "a session each": ("new-{}".format, messages),
        "a session each, few-shot prompts": ("shots-{}".format, shots),
        "twenty turns each": (lambda n: f"long-{n // 20}", messages),
    }
    with tempfile.TemporaryDirectory() as home:
        lineage = Lineage(Settings(home=Path(home), spans="none"))
        for n in range(2000):
            answer(lineage, f"old-{n}", f"s-{n // 5}", messages)
        lineage.flush()
        for name, (session, sent) in sessions.items():
            numbers = itertools.count()

            def many() -> None:
                for n in itertools.islice(numbers, 200):  # noqa: B023 -- called at once
                    answer(lineage, f"{name}-{n}", session(n), sent)  # noqa: B023

            yield f"an answer, {name:48} {best_of_three(many) / 200 * 1e6:7.0f} us"
        lineage.close()


if __name__ == "__main__":
    words = corpus(DATA)
    for line in itertools.chain(recognising(words), meeting(words)):
        print(line)
