"""What spans may show beside ids, scores and counts.

Nothing, unless texts were asked for, and then not what `OPENINFERENCE_HIDE_*` hides. A text shows up in several places: a chunk is also in the prompt, and in what a tool returned. Hiding it hides
it everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["Shown"]

_HIDE = "OPENINFERENCE_HIDE_"
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Shown:
    """The kinds of texts that spans may show.

    Attributes:
        inputs: Questions, queries, filters, arguments of tools.
        outputs: Answers.
        documents: Texts and metadata of chunks.
        prompts: The messages that models got.
        replies: The messages that models gave.
        results: What tools returned.
        parameters: How models were called.
        errors: What exceptions say, which may quote any of the others.
    """

    inputs: bool
    outputs: bool
    documents: bool
    prompts: bool
    replies: bool
    results: bool
    parameters: bool
    errors: bool

    @classmethod
    def load(cls, environment: Mapping[str, str], *, texts: bool) -> Self:
        """What may be shown if texts were asked for or not, as far as the environment hides nothing."""

        def hidden(*what: str) -> bool:
            return any(environment.get(_HIDE + name, "").strip().lower() in _TRUE for name in what)

        documents = texts and not hidden("RETRIEVAL_DOCUMENTS", "OUTPUTS", "OUTPUT_TEXT")
        inputs = texts and not hidden("INPUTS", "INPUT_TEXT")
        outputs = texts and not hidden("OUTPUTS", "OUTPUT_TEXT")
        prompts = inputs and documents and not hidden("INPUT_MESSAGES", "PROMPTS")
        replies = outputs and not hidden("OUTPUT_MESSAGES", "CHOICES")
        parameters = texts and not hidden("LLM_INVOCATION_PARAMETERS")
        every = inputs and documents and prompts and replies and parameters
        return cls(
            inputs=inputs,
            outputs=outputs and replies,
            documents=documents,
            prompts=prompts,
            replies=replies,
            results=outputs and documents,
            parameters=parameters,
            errors=every,
        )
