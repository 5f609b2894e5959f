"""The kinds of checkpoints, each with the input it was trained on and the outputs it was published with.

What is written here is part of the weights: a wrong space in a prompt is a worse model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from doctrail_core.grounding.verifier import VerifierError

__all__ = [
    "FACTCG",
    "FAMILIES",
    "HHEM",
    "LETTUCEDETECT",
    "MINICHECK",
    "MINICHECK_T5",
    "NLI",
    "Family",
    "FamilyName",
    "Head",
    "Text",
    "family_of",
    "lettucedetect_prompt",
]

FamilyName = Literal["factcg", "hhem", "lettucedetect", "minicheck", "nli"]
Head = Literal["sequence", "first_token", "first_word", "tokens"]
"""Where the answer of a model stands: in its classification, in that of the first token, in the
first word that it would say, or in the classification of each token."""
Text = str | tuple[str, str]
"""One text, or a pair that the tokenizer joins."""


@dataclass(frozen=True, slots=True)
class Family:
    """How checkpoints of one kind are asked.

    Attributes:
        name: What users call it.
        head: Where the model says what it thinks.
        write: A premise and a claim as the model reads them, given its end token.
        max_length: So many tokens it was published to read.
        premise: So many characters around the sentences that a claim could come from are shown;
            0 for models that were trained on single sentences.
    """

    name: FamilyName
    head: Head
    write: Callable[[str, str, str], Text]
    max_length: int
    premise: int = 1600


def _pair(premise: str, claim: str, _end: str) -> Text:
    return premise, claim


def _joined(premise: str, claim: str, end: str) -> Text:
    return f"{premise}{end}{claim}"


def _predict(premise: str, claim: str, end: str) -> Text:
    return f"predict: {premise}{end}{claim}"


def _determine(premise: str, claim: str, _end: str) -> Text:
    return (
        "<pad> Determine if the hypothesis is true given the premise?\n\n"
        f"Premise: {premise}\n\nHypothesis: {claim}"
    )


def _conclude(premise: str, claim: str, _end: str) -> Text:
    return (
        f"{premise}\n\nChoose your answer: based on the paragraph above can we conclude that "
        f'"{claim}"?\n\nOPTIONS:\n- Yes\n- No\nI think the answer is '
    )


def lettucedetect_prompt(passages: Sequence[str], question: str | None) -> str:
    """What the answer is read after; without a question, as a summary."""
    context = "\n".join(f"passage {n}: {text}" for n, text in enumerate(passages, 1))
    if question is None:
        return f"Summarize the following text:\n{context}\noutput:"
    return (
        f"Briefly answer the following question:\n{question}\n"
        "Bear in mind that your response should be strictly based on the following "
        f"{len(passages)} passages:\n{context}\n"
        "In case the passages do not contain the necessary information to answer the question, "
        'please reply with: "Unable to answer based on given passages."\noutput:'
    )


NLI = Family("nli", "sequence", _pair, 512, premise=0)
HHEM = Family("hhem", "first_token", _determine, 2048)
MINICHECK = Family("minicheck", "sequence", _joined, 2048)
MINICHECK_T5 = Family("minicheck", "first_word", _predict, 2048)
FACTCG = Family("factcg", "sequence", _conclude, 2048)
LETTUCEDETECT = Family("lettucedetect", "tokens", _pair, 4096)
FAMILIES: Mapping[FamilyName, Family] = {
    family.name: family for family in (NLI, HHEM, MINICHECK, FACTCG, LETTUCEDETECT)
}


def family_of(config: Mapping[str, Any], model: str, asked: FamilyName | None) -> Family:
    """The family of a checkpoint, by its configuration and, where that leaves it open, by its name.

    Raises:
        VerifierError: It is of none, or it cannot be told of which.
    """
    kind = str((config.get("architectures") or ["unknown"])[0])
    name = asked or _named(config, kind, model.lower())
    if name is None:
        raise VerifierError(
            f"cannot tell of {model!r} ({kind}) how it was trained to be asked: pass family=, "
            f"one of {', '.join(sorted(FAMILIES))}"
        )
    if name not in FAMILIES:
        raise VerifierError(f"no family {name!r}; there are {', '.join(sorted(FAMILIES))}")
    family = MINICHECK_T5 if name == "minicheck" and _generates(kind) else FAMILIES[name]
    if not kind.endswith(_ENDINGS[family.head]) or (family is HHEM) != kind.startswith("HHEM"):
        raise VerifierError(f"{model!r} is a {kind}, which no {name} checkpoint is")
    return family


def _named(config: Mapping[str, Any], kind: str, model: str) -> FamilyName | None:
    if kind.startswith("HHEM"):
        return "hhem"
    named: FamilyName | None = next((name for part, name in _NAMED.items() if part in model), None)
    if named is not None:
        return named
    labels: Mapping[object, object] = config.get("id2label") or {}
    entailment = any(str(label).lower().startswith("entail") for label in labels.values())
    return "nli" if entailment and kind.endswith(_ENDINGS["sequence"]) else None


def _generates(kind: str) -> bool:
    return kind.endswith("ForConditionalGeneration")


_NAMED: Mapping[str, FamilyName] = {
    "minicheck": "minicheck",
    "factcg": "factcg",
    "lettuce": "lettucedetect",
}
_ENDINGS: Mapping[Head, str] = {
    "sequence": "ForSequenceClassification",
    "first_token": "ForSequenceClassification",
    "first_word": "ForConditionalGeneration",
    "tokens": "ForTokenClassification",
}
