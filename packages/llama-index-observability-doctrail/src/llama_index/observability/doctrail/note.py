"""What a response carries in its metadata: where it is on record, and what a check of it found.

LlamaIndex renders a response's metadata into the prompt of an outer engine as `key: str(value)`, so
the text of a note is always the same word, by `repr` as well: no id and no verdict leaks into a
prompt. As JSON, and item by item, it says all that it holds.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from doctrail_core.grounding.enforcement import Action
    from doctrail_core.model import Assessment
    from llama_index.observability.doctrail.places import Place

__all__ = ["GroundingNote", "LineageNote", "Note"]


class Note(dict[str, Any]):
    """Items for the application, and one word for everybody who prints it."""

    def __str__(self) -> str:
        """Say nothing that a prompt should not hold."""
        return "recorded"

    __repr__ = __str__


class LineageNote(Note):
    """`response_id`, and `complete`: False while a stream is running or if it broke off.

    Attributes:
        place: Where in the response it was answered. Copies and pickles do not take it along.
    """

    place: "Place | None" = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the place behind, which holds the lineage."""
        return LineageNote, (dict(self),)


class GroundingNote(Note):
    """What a check found: `status`, `risk`, `counts` of verdicts, `verifier`, and what was done (`action`).

    `status` is `pending` while a stream is running, and stays so if it breaks off. Where the response
    is on record, `response_id` says under which id.

    Attributes:
        assessment: All of it, with every claim and its evidence; None while it is pending.
    """

    assessment: "Assessment | None" = None

    def __init__(self, *items: Any) -> None:
        """Nothing is known yet."""
        super().__init__(*items or ({"status": "pending"},))

    def settle(self, assessment: "Assessment", action: "Action") -> None:
        """Write down what was found, and what became of the answer."""
        self.assessment = assessment
        self.update(
            status=assessment.status,
            risk=assessment.risk,
            counts=assessment.counts,
            verifier=assessment.verifier,
            action=action,
        )
        if assessment.response_id:
            self["response_id"] = assessment.response_id
        if assessment.error:
            self["error"] = assessment.error
