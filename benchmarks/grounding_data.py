"""Labelled answers to measure verifiers on, read from the files that their authors published.

Every set comes in two parts that share no document: `dev` is there to look at and to set thresholds by,
`report` only to be measured on. Which part a document falls into depends on its id alone, except for
ContractNLI, which was published in parts.
"""

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from doctrail_core.grounding.verifier import Answer, Passage
from doctrail_core.model import Claim

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CHUNK = 1200
GROUNDED = frozenset({"Entailment", "Supports", "grounded", "true"})

Part = Literal["dev", "report"]


@dataclass(frozen=True, slots=True)
class Label:
    """What people said of characters `[start, end)` of an answer, in the set's own words."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One answer with what it should have been read from, and what people said of it.

    Attributes:
        group: The document; answers about one document are not independent of each other.
        claim: Whether the answer is one claim and judged as one.
        label: What people said of the whole answer.
        labels: What they said of its parts. Empty where only the whole was judged.
        gold: Where the evidence is, as (chunk id, start, end), where people marked it.
        task: Which part of the set it belongs to.
    """

    id: str
    group: str
    answer: str
    passages: tuple[Passage, ...]
    label: str
    question: str | None = None
    labels: tuple[Label, ...] = ()
    gold: tuple[tuple[str, int, int], ...] = ()
    task: str = "all"
    claim: bool = False

    @property
    def grounded(self) -> bool:
        return self.label in GROUNDED

    def asked(self) -> Answer:
        """The example as a verifier is given it."""
        whole = (Claim(0, len(self.answer), self.answer),) if self.claim else None
        return Answer(self.answer, self.passages, self.question, whole)


def part_of(name: str) -> Part:
    """The part that a document belongs to."""
    return "report" if int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2 else "dev"


def chunked(text: str, document_id: str, size: int = CHUNK) -> tuple[Passage, ...]:
    """Cut a document at line ends or sentence ends, as a splitter would; a chunk's id tells where it began."""
    passages: list[Passage] = []
    start = 0
    while start < len(text):
        end = _cut(text, start, size)
        passages.append(Passage(f"{document_id}#{start}", document_id, text[start:end]))
        start = end
    return tuple(passages)


def _cut(text: str, start: int, size: int) -> int:
    if len(text) - start <= size:
        return len(text)
    low, high = start + size // 2, start + size
    for mark in ("\n", ". "):
        if (found := text.rfind(mark, low, high)) >= 0:
            return found + len(mark)
    return high


def contractnli(part: Part, data: Path = DATA) -> Iterator[Example]:
    """Seventeen hypotheses against each NDA: Entailment, Contradiction, NotMentioned."""
    name = {"dev": "train_truncated.json", "report": "dev.json"}[part]
    read = json.loads((data / "contractnli" / name).read_text())
    for document in read["documents"]:
        document_id = document["file_name"]
        passages = chunked(document["text"], document_id)
        for key, annotation in document["annotation_sets"][0]["annotations"].items():
            spans = [document["spans"][number] for number in annotation["spans"]]
            yield Example(
                id=f"{document_id}:{key}",
                group=document_id,
                answer=read["labels"][key]["hypothesis"],
                passages=passages,
                label=annotation["choice"],
                gold=tuple(place for span in spans for place in _placed(span, passages)),
                claim=True,
            )


def _placed(span: list[int], passages: tuple[Passage, ...]) -> Iterator[tuple[str, int, int]]:
    """Where characters of a document lie in its chunks."""
    for passage in passages:
        begins = int(passage.chunk_id.rpartition("#")[2])
        start, end = max(span[0] - begins, 0), min(span[1] - begins, len(passage.text))
        if start < end:
            yield passage.chunk_id, start, end


def tofueval(part: Part, data: Path = DATA) -> Iterator[Example]:
    """Summaries of meetings by several models; people said of every sentence whether it is factual."""
    folder = data / "tofueval"
    with (folder / "meetingbank_factual_eval_test.csv").open(newline="") as file:
        documents = {
            (row["model_name"], row["summ_sent"]): row["doc_id"] for row in csv.DictReader(file)
        }
    for number, line in enumerate((folder / "documents_test.jsonl").read_text().splitlines()):
        row = json.loads(line)
        document_id = documents[row["model"], row["output"].split("\n")[0].strip()]
        if part_of(document_id) != part:
            continue
        labels = tuple(_sentences(row["output"], row["hall_info"]))
        yield Example(
            id=f"tofueval:{number}",
            group=document_id,
            answer=row["output"],
            passages=chunked(row["context"], document_id),
            label="ungrounded" if row["hall_info"] else "grounded",
            labels=labels,
            task=row["model"],
        )


def _sentences(output: str, marked: list[dict[str, Any]]) -> Iterator[Label]:
    """A line of a summary is a sentence of it; those marked are not factual."""
    start = 0
    for line in output.split("\n"):
        end = start + len(line)
        wrong = any(span["start"] < end and start < span["end"] for span in marked)
        yield Label(start, end, "ungrounded" if wrong else "grounded")
        start = end + 1


MODELS = (
    "alpaca_7B",
    "chatgpt",
    "claude2",
    "davinci001",
    "falcon_40B_instruct",
    "gpt4",
    "llama2_70b_chat",
)


def refchecker(part: Part, data: Path = DATA) -> Iterator[Example]:
    """Answers of seven models to questions on a passage; one with a claim not entailed is ungrounded."""
    for example_id, model, answer, triplets in _answers(part, data):
        question, passage = _dolly(data)[example_id]
        entailed = all(label == "Entailment" for _, label in triplets)
        yield Example(
            id=f"refchecker:{model}:{example_id}",
            group=example_id,
            answer=answer,
            passages=(Passage(f"dolly:{example_id}#0", f"dolly:{example_id}", passage),),
            question=question,
            label="grounded" if entailed else "ungrounded",
            task=model,
        )


def refchecker_claims(part: Part, data: Path = DATA) -> Iterator[Example]:
    """The claims of those answers, one by one, as subject, predicate and object."""
    for example_id, model, _, triplets in _answers(part, data):
        question, passage = _dolly(data)[example_id]
        for number, (words, label) in enumerate(triplets):
            yield Example(
                id=f"refchecker:{model}:{example_id}:{number}",
                group=example_id,
                answer=f"{' '.join(words)}.",
                passages=(Passage(f"dolly:{example_id}#0", f"dolly:{example_id}", passage),),
                question=question,
                label=label,
                task=model,
                claim=True,
            )


def _answers(part: Part, data: Path) -> Iterator[tuple[str, str, str, list[tuple[list[str], str]]]]:
    for model in MODELS:
        rows = json.loads((data / "refchecker" / f"dolly_{model}_answers.json").read_text())
        for row in rows:
            if row["id"] in _dolly(data) and part_of(row["id"]) == part:
                claims = [
                    (each["triplet"], each["human_label"]) for each in row["claude2_response_kg"]
                ]
                yield row["id"], model, row["response"], claims


WITHOUT_CONTEXT = "14230"
"""The one question of RefChecker's hundred whose passage Dolly(AC) left out."""


@cache
def _dolly(data: Path) -> dict[str, tuple[str, str]]:
    """Question and passage by RefChecker's example id. Dolly(AC) keeps its order, without the ids."""
    ids = json.loads((data / "refchecker" / "dolly_example_ids.json").read_text())
    rows = map(json.loads, (data / "dolly_ac" / "test.jsonl").read_text().splitlines())
    contexts = dict.fromkeys(
        (row["context"]["question"], row["context"]["passages"]) for row in rows
    )
    return dict(zip((i for i in ids if i != WITHOUT_CONTEXT), contexts, strict=True))


def dolly_ac(part: Part, data: Path = DATA) -> Iterator[Example]:
    """Answers of three Llama models to the same questions, each hallucinated or not as a whole."""
    ids = {context: example_id for example_id, context in _dolly(data).items()}
    for number, line in enumerate((data / "dolly_ac" / "test.jsonl").read_text().splitlines()):
        row = json.loads(line)
        question, passage = row["context"]["question"], row["context"]["passages"]
        example_id = ids[question, passage]
        if part_of(example_id) == part:
            yield Example(
                id=f"dolly_ac:{number}",
                group=example_id,
                answer=row["output"],
                passages=(Passage(f"dolly:{example_id}#0", f"dolly:{example_id}", passage),),
                question=question,
                label="ungrounded" if row["hall_info"] else "grounded",
                task=row["model"],
            )


def healthver(part: Part, data: Path = DATA) -> Iterator[Example]:
    """Claims about a disease against a passage of a paper: Supports, Refutes, Neutral."""
    with (data / "healthver" / "healthver_dev.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if part_of(row["claim"]) == part:
                yield Example(
                    id=f"healthver:{row['id']}",
                    group=row["claim"],
                    answer=row["claim"],
                    passages=(Passage(f"evidence:{row['id']}#0", row["id"], row["evidence"]),),
                    label=row["label"],
                    claim=True,
                )


def documents(part: Part, data: Path = DATA) -> Iterator[tuple[str, str, str]]:
    """Real texts as (collection, document id, text): contracts, filings, papers, speeches, encyclopedia."""
    name = {"dev": "train_truncated.json", "report": "dev.json"}[part]
    for each in json.loads((data / "contractnli" / name).read_text())["documents"]:
        yield "contracts", each["file_name"], each["text"]
    for path in sorted((data / "chunking_evaluation").glob("*.md")):
        for section in chunked(path.read_text(), path.stem, 6000):
            if part_of(section.chunk_id) == part:
                yield path.stem, section.chunk_id, section.text
    with gzip.open(data / "nq_open_oracle" / "nq-open-oracle.jsonl.gz", "rt") as file:
        for line in file:
            row = json.loads(line)
            title = row["nq_annotated_gold"]["title"]
            if part_of(title) == part:
                yield "encyclopedia", title, row["nq_annotated_gold"]["long_answer"]


SETS: dict[str, Callable[..., Iterator[Example]]] = {
    "contractnli": contractnli,
    "tofueval": tofueval,
    "refchecker": refchecker,
    "refchecker claims": refchecker_claims,
    "dolly": dolly_ac,
    "healthver": healthver,
}
