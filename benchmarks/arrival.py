"""Measure the arrival matcher: how long it takes, what it recalls, and how it grows on hostile text.

    python benchmarks/arrival.py
    python benchmarks/arrival.py --json > arrival.json

Texts are the corpora of `chunking_evaluation` where `--data` has them, else generated. Times are CPU
milliseconds, the best of three. Recall is the mean coverage over twenty chunks.
"""

import argparse
import html
import json
import random
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from doctrail_core.text.arrival import Match, match
from doctrail_core.text.tags import neutralise, split_tagged, tag

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "chunking_evaluation"
CHUNK = 2000
PROMPT = 200_000
CHINESE = range(0x4E00, 0x5600)

Table = dict[str, dict[str, Any]]
Mutation = Callable[[str], str]
rng = random.Random(20)  # noqa: S311 -- the same texts in every run


def corpus(folder: Path) -> str:
    texts = [path.read_text() for path in sorted(folder.glob("*.md"))]
    return "\n\n".join(texts) if texts else generated(1_400_000)


def generated(length: int) -> str:
    letters = "etaoinshrdlucmfwypvbgk"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(8000)]
    weights = [1 / (rank + 20) for rank in range(len(words))]
    chosen = rng.choices(words, weights, k=length // 6)
    sentences = (" ".join(chosen[i : i + 18]).capitalize() for i in range(0, len(chosen), 18))
    return ". ".join(sentences)[:length]


def chinese(length: int) -> str:
    return "".join(chr(code) for code in rng.choices(CHINESE, k=length))


def typos(text: str) -> str:
    return "".join(rng.choices((letter, "q"), (99, 1))[0] for letter in text)


def numbered(text: str) -> str:
    return "\n".join(f"{n}. {line}" for n, line in enumerate(textwrap.wrap(text, 60), 1))


def shuffled(text: str) -> str:
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def every_second_sentence(text: str) -> str:
    return " ".join(re.split(r"(?<=[.!?])\s+", text)[::2])


MUTATIONS: dict[str, Mutation] = {
    "exact": str,
    "tagged": lambda text: tag(text, document_id="doc_1", chunk_index=3, score=0.87),
    "indented": lambda text: textwrap.indent(text, "    "),
    "one line": lambda text: " ".join(text.split()),
    "re-wrapped": lambda text: textwrap.fill(text, 60),
    "JSON": lambda text: json.dumps({"text": text}),
    "JSON utf8": lambda text: json.dumps({"text": text}, ensure_ascii=False),
    "JSON twice": lambda text: json.dumps({"result": json.dumps({"text": text})}),
    "repr": lambda text: repr([text]),
    "HTML": html.escape,
    "lower case": str.lower,
    "quoted lines": lambda text: "\n".join(f"> - {line}" for line in textwrap.wrap(text, 70)),
    "numbered lines": numbered,
    "no punctuation": lambda text: re.sub(r"[^\w\s]", "", text),
    "1 % typos": typos,
    "first half": lambda text: text[: len(text) // 2],
    "first 500": lambda text: text[:500],
    "head and tail": lambda text: f"{text[:250]} [...] {text[-250:]}",
    "every 2nd sentence": every_second_sentence,
    "shuffled words": shuffled,
    "absent": lambda text: text[:0],
}


def recall(text: str) -> Table:
    """Mutate twenty chunks and lay them between text that was not retrieved."""
    chunks = {str(i): text[i * 30_000 : i * 30_000 + CHUNK] for i in range(20)}
    return {
        name: told(match(layout([mutate(chunk) for chunk in chunks.values()], text), chunks))
        for name, mutate in MUTATIONS.items()
    }


def overlap(text: str) -> Table:
    """Chunks that share a fifth with each neighbour, or a header and a footer; half are dropped."""
    step = CHUNK * 4 // 5
    windows = [text[i * step : i * step + CHUNK] for i in range(40)]
    frame = "CONFIDENTIAL - internal use only. Copyright 2026 Example Corp, all rights reserved. "
    framed = [f"{frame}{text[i * 9000 : i * 9000 + CHUNK]} {frame}" for i in range(40)]
    table: Table = {}
    for name, texts in (("overlapping", windows), ("header and footer", framed)):
        for change, mutate in (("exact", str), ("typos", typos)):
            chunks = {str(i): each for i, each in enumerate(texts)}
            found = match("\n\n".join(mutate(each) for each in texts[::2]), chunks)
            table[f"{name}, {change}, kept"] = told({i: found[i] for i in list(chunks)[::2]})
            table[f"{name}, {change}, dropped"] = told({i: found[i] for i in list(chunks)[1::2]})
    return table


def threshold(text: str) -> Table:
    """Share of chunks taken for arrived: wrongly, of whole chunks only quoted; rightly, of cut ones."""
    return {
        f"{size} characters, {name}": {"arrived": round(arrived(text, size, shown), 3)}
        for size in (200, 400, 1500)
        for name, shown in SHOWN.items()
    }


def eight_words(chunk: str) -> str:
    words = chunk.split()
    start = rng.randrange(max(1, len(words) - 8))
    return f"What is meant by {' '.join(words[start : start + 8])}?"


SHOWN: dict[str, Mutation] = {
    "8 words in the question": eight_words,
    "first 60": lambda text: text[:60],
    "first 100": lambda text: text[:100],
    "first quarter": lambda text: text[: len(text) // 4],
    "first half": lambda text: text[: len(text) // 2],
}


def arrived(text: str, size: int, show: Mutation) -> float:
    """Try four hundred chunks, each in a prompt with five others that arrived as they are."""
    states: list[str] = []
    for _ in range(400):
        places = rng.sample(range(len(text) - size), 6)
        chunks = {str(n): text[place : place + size] for n, place in enumerate(places)}
        prompt = "\n\n".join([*list(chunks.values())[1:], show(chunks["0"])])
        states.append(match(prompt, chunks)["0"].state)
    return 1 - states.count("absent") / len(states)


def told(found: dict[str, Match]) -> dict[str, Any]:
    coverage = sum(each.coverage for each in found.values()) / len(found)
    return {"coverage": round(coverage, 3), **Counter(each.state for each in found.values())}


def layout(parts: list[str], text: str) -> str:
    others = (text[-(i + 1) * CHUNK :][:CHUNK] for i in range(len(parts)))
    return "\n\n".join(f"{part}\n\n{other}" for part, other in zip(parts, others, strict=True))


def speed(text: str) -> Table:
    """Time every mutation at three sizes, and Chinese and repetitive texts at the largest."""
    table: Table = {}
    for count, length in ((5, 16_000), (20, 64_000), (100, PROMPT)):
        step = len(text) // 4 * 3 // count
        chunks = {str(i): text[i * step : i * step + CHUNK - 8] for i in range(count)}
        for name in ("exact", "re-wrapped", "JSON", "1 % typos", "first half", "absent"):
            parts = [MUTATIONS[name](chunk) for chunk in chunks.values()]
            table[f"{count} x {length // 1000}K, {name}"] = timed(
                parts, text[-length:], length, chunks
            )
    return table | unspaced() | repetitive()


def unspaced() -> Table:
    chunks = {str(i): chinese(CHUNK - 8) for i in range(100)}
    cells = {"exact": str, "re-wrapped": in_lines}
    cells |= {name: MUTATIONS[name] for name in ("first half", "absent")}
    return {
        f"100 x 200K, Chinese, {name}": timed(
            [mutate(chunk) for chunk in chunks.values()], chinese(PROMPT), PROMPT, chunks
        )
        for name, mutate in cells.items()
    }


def in_lines(text: str) -> str:
    return "\n".join(text[i : i + 40] for i in range(0, len(text), 40))


def repetitive() -> Table:
    units = ("a", "a ", "lorem ipsum ")
    return {
        f"100 x 200K, only {unit!r}": timed(
            [], unit * PROMPT, PROMPT, {str(i): (unit * CHUNK)[:CHUNK] + str(i) for i in range(100)}
        )
        for unit in units
    }


def timed(parts: list[str], rest: str, length: int, chunks: dict[str, str]) -> dict[str, Any]:
    prompt = "\n\n".join([*parts, rest])[:length]
    return {
        "ms": round(best_of_three(lambda: match(prompt, chunks)), 1),
        **told(match(prompt, chunks)),
    }


def best_of_three(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) * 1000


HOSTILE: dict[str, Callable[[int], tuple[str, str]]] = {
    "one letter": lambda n: ("a" * n, "a" * (n // 2) + "b"),
    "one word": lambda n: ("a " * n, "a " * (n // 2) + "b"),
    "word and its beginning": lambda n: ("ab " * n, "ab " * (n // 2) + "a"),
    "one sentence": lambda n: (
        "It was a dark and stormy night. " * n,
        "a dark and stormy day " * n,
    ),
    "large chunk, absent": lambda n: (chinese(n), chinese(n)),
    "backslashes": lambda n: ("\\" * n + "u12", "a b c d e " + "\\" * n),
    "units": lambda n: ("\\u12" * n, "a b c d \\u00e9\\u12 " * n),
    "entities": lambda n: ("&" + "amp;" * n, "a b c d " + "&#0" * n),
    "brackets": lambda n: ("[" * n, "a b c d e [" + "\u200b" * n + "[/" * n),
    "opened tags": lambda n: ("[DOC-ID: x]\n" * n, "[DOC-ID: x]\n" * n + "a"),
    "marks": lambda n: ("a" + "\u0301" * n, "b c d e f " + "\u0301" * n),
    "growing prefixes": lambda n: (prefixes(n), words(n)),
}


def words(count: int) -> str:
    return " ".join(f"w{i}" for i in range(count))


def prefixes(size: int) -> str:
    whole = words(size).split()
    return " x ".join(" ".join(whole[: i * i]) for i in range(1, int(size ** (1 / 3)) * 2))


def growth() -> Table:
    """Double hostile texts twice: the time may double each time, not quadruple."""
    table: Table = {}
    for name, make in HOSTILE.items():
        times = [best_of_three(partial(attack, *make(n))) for n in (25_000, 50_000, 100_000)]
        ratio = times[2] / max(times[1], 0.1)
        table[name] = {"ms": [round(each, 1) for each in times], "last ratio": round(ratio, 2)}
    return table


def attack(prompt: str, chunk: str) -> None:
    match(prompt, {"1": chunk, "2": chunk[1:]})
    neutralise(chunk)
    split_tagged(prompt)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of .md files")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of tables"
    )
    chosen = parser.parse_args()
    text = corpus(chosen.data)
    tables = {
        "recall": recall(text),
        "overlap": overlap(text),
        "threshold": threshold(text),
        "speed": speed(text),
        "growth": growth(),
    }
    if chosen.json:
        json.dump(tables, sys.stdout, indent=1)
        return
    for title, table in tables.items():
        print(f"\n{title}")
        for name, row in table.items():
            print(f"  {name:38}", "  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
