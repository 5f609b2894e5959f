"""A step for workflows of one's own that checks an answer between its making and its use."""

from typing import Any, ClassVar

from llama_index.core.workflow import Event, step  # pyright: ignore[reportUnknownVariableType]  # its functions are not typed

from llama_index.observability.doctrail.grounding import GroundingPostprocessor

__all__ = ["AnswerChecked", "AnswerDrafted", "GroundingStep"]


class AnswerDrafted(Event):
    """An answer that is to be checked.

    Attributes:
        response: The response of an engine or a synthesizer; or one made by hand,
            `Response(text, source_nodes=nodes)`.
        query: What it answers.
    """

    response: Any
    query: str | None = None


class AnswerChecked(Event):
    """An answer that was checked; a stream is checked when it was drawn.

    Attributes:
        response: The same response, with what became of its answer.
        grounding: What was found, as in `response.metadata["grounding"]`.
    """

    response: Any
    grounding: Any


class GroundingStep:
    """Adds the step to a workflow: `class Rag(GroundingStep, Workflow)`.

    A step of yours returns `AnswerDrafted`, and another one takes `AnswerChecked`. In a workflow that is
    recorded, the answer is checked against what arrived in its prompts, else against the sources of the
    response.

    Attributes:
        grounding: Who checks, and what becomes of an answer that is not grounded.
    """

    grounding: ClassVar[GroundingPostprocessor] = GroundingPostprocessor()

    @step
    async def check_answer(self, ev: AnswerDrafted) -> AnswerChecked:
        """Check the answer, and hand it on.

        Raises:
            UngroundedAnswerError: It is not to be handed on, and that is to be an error.
        """
        response = await self.grounding.apostprocess_response(ev.response, ev.query)
        return AnswerChecked(response=response, grounding=response.metadata["grounding"])
