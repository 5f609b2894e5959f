"""What the checks of a judge's quotes cost a good judge, and what they keep a bad one from.

No model is called: the judges are made of the labels. One is always right and quotes the evidence that the
annotators marked, sentence by sentence; what it loses is the price of the checks. Two have been talked into
calling everything supported, and quote the first sentence of the first chunk, or the one sentence that has
most in common with the claim; what they get through of the claims that are not supported is the limit.

    python benchmarks/judging.py [--part dev]
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

from grounding_data import GROUNDED, Example, Part, contractnli, healthver
from grounding_values import value_claims

from doctrail_core.grounding.embedded.alignment import align
from doctrail_core.grounding.embedded.index import Index
from doctrail_core.grounding.embedded.words import stems, words
from doctrail_core.grounding.judge import ChatMessage, JudgeVerifier
from doctrail_core.grounding.verifier import Answer
from doctrail_core.model import Claim, VerdictKind
from doctrail_core.text.sentences import sentences

SETS: dict[str, Callable[[Part], Iterator[Example]]] = {
    "ContractNLI": contractnli,
    "HealthVer": healthver,
    "typed values": value_claims,
}
CONTRADICTED = frozenset({"Contradiction", "Refutes"})
Quote = tuple[int, str]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--part", choices=("dev", "report"), default="report")
    part: Part = options.parse_args().part
    for name, read in SETS.items():
        examples = list(read(part))
        right = [e for e in examples if e.label in GROUNDED | CONTRADICTED]
        wrong = [e for e in examples if e.label not in GROUNDED]
        print(f"{name}, {part}")
        told("always right", (judged(e, verdict(e), marked(e)) for e in right))
        told("supports all, first sentence", (judged(e, "supported", first(e)) for e in wrong))
        told("supports all, best sentence", (judged(e, "supported", best(e)) for e in wrong))


def told(judge: str, outcomes: Iterator[tuple[str, str]]) -> None:
    found = Counter(outcomes)
    total = found.total()
    shares = (f"{kind} {reason} {n} ({n / total:.1%})" for (kind, reason), n in found.most_common())
    print(f"  {judge}, {total} verdicts: {', '.join(shares)}")


def judged(example: Example, said: VerdictKind, quotes: list[Quote]) -> tuple[str, str]:
    """What becomes of a judge's verdict on a claim, with these quotes of these passages."""

    def model(messages: list[ChatMessage]) -> str:
        data = messages[1]["content"]
        (claim,) = re.findall(r"^(C\d+-\w+): ", data, re.MULTILINE)
        names = re.findall(r"^<<<\w+ source (S\d+-\w+)>>>$", data, re.MULTILINE)
        entries = [
            {"claim": claim, "verdict": said, "source": names[at], "quote": q} for at, q in quotes
        ]
        return json.dumps({"rulings": entries})

    whole = (Claim(0, len(example.answer)),)
    answer = Answer(example.answer, example.passages, example.question, whole)
    (found,) = JudgeVerifier(model, max_chars=10**9).verify(answer).verdicts
    return found.verdict, found.reason


def verdict(example: Example) -> VerdictKind:
    return "supported" if example.label in GROUNDED else "contradicted"


def marked(example: Example) -> list[Quote]:
    """The marked evidence; where none is marked all of it is."""
    places = {passage.chunk_id: at for at, passage in enumerate(example.passages)}
    if not example.gold:
        return [(at, passage.text) for at, passage in enumerate(example.passages)]
    return [
        (places[chunk_id], example.passages[places[chunk_id]].text[start:end])
        for chunk_id, start, end in example.gold
    ]


def first(example: Example) -> list[Quote]:
    text = example.passages[0].text
    start, end = sentences(text)[0]
    return [(0, text[start:end])]


def best(example: Example) -> list[Quote]:
    index = Index(example.passages)
    windows = align(stems(words(example.answer)), (), index).windows
    line = index.lines[windows[0].first if windows else 0]
    return [(line.passage, line.text)]


if __name__ == "__main__":
    main()
