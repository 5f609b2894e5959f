"""What a response carries in `metadata["lineage"]`: its id on record, and whether it is complete.

LlamaIndex renders a response's metadata into the prompt of an outer engine as `key: str(value)`, so
the text of this is always the same word: no id and no later verdict leaks into a prompt.
"""

from typing import Any

__all__ = ["LineageNote"]


class LineageNote(dict[str, Any]):
    """`response_id`, and `complete`: False while a stream is running or if it broke off."""

    def __str__(self) -> str:
        """Say nothing that a prompt should not hold."""
        return "recorded"
