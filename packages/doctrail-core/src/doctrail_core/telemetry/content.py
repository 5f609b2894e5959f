"""What spans may show beside ids, scores and counts.

Nothing, unless texts were asked for, and then not what `OPENINFERENCE_HIDE_*` hides. A text shows up in
several places: a chunk is also in the prompt, and in what a tool returned. Hiding it hides it everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["Shown"]

_HIDE = "OPENINFERENCE_HIDE_"
_NOT = ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Shown:
    """The kinds of texts that spans may show.

    Attributes:
        inputs: Questions, queries, filters.
        outputs: Answers, which are what a model said.
        documents: Texts and metadata of chunks.
        prompts: The messages that models got, which quote questions, chunks, and what was said before.
        replies: The messages that models gave.
        arguments: What tools were called with: their input, and a part of what a model said.
        results: What tools returned, which may be chunks.
        parameters: How models were called, tools that they were offered included.
        anything: Where nobody knows what a text quotes: exceptions, and what steps took and gave.
        hashes: Hashes of texts.
    """

    inputs: bool
    outputs: bool
    documents: bool
    prompts: bool
    replies: bool
    arguments: bool
    results: bool
    parameters: bool
    anything: bool
    hashes: bool

    @classmethod
    def load(cls, environment: Mapping[str, str], *, texts: bool, hashes: bool) -> Self:
        """What may be shown if texts and hashes may be at all, as far as the environment hides nothing."""

        def hidden(*what: str) -> bool:
            # A word that means nothing hides, too: whoever set it wanted something hidden.
            told = (environment.get(_HIDE + name, "").strip().lower() for name in what)
            return any(word not in _NOT for word in told)

        inputs = texts and not hidden("INPUTS", "INPUT_TEXT")
        outputs = texts and not hidden("OUTPUTS", "OUTPUT_TEXT")
        documents = outputs and not hidden("RETRIEVAL_DOCUMENTS")
        replies = outputs and not hidden("OUTPUT_MESSAGES", "CHOICES")
        prompts = inputs and documents and replies and not hidden("INPUT_MESSAGES", "PROMPTS")
        parameters = texts and not hidden("LLM_INVOCATION_PARAMETERS", "LLM_TOOLS")
        return cls(
            inputs=inputs,
            outputs=replies,
            documents=documents,
            prompts=prompts,
            replies=replies,
            arguments=inputs and replies,
            results=documents,
            parameters=parameters,
            anything=prompts and parameters,
            hashes=hashes,
        )
