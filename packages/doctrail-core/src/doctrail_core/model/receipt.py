"""What proves to its holder that an answer is on record: where its entry is, and what it was about.

It is made when the entry is in the spool, so it has no place in the log yet; writer and counter find it.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

__all__ = ["Receipt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """That an answer was put on record.

    Attributes:
        origin: The name of the log; None where its checkpoints are not signed.
        writer: The process that wrote the record.
        counter: The record's number among those of its writer.
        answer_hash: Of the answer as it was given; None where only its ids are kept.
        time: When it was complete; its entry has the time of its first record.
    """

    origin: str | None
    writer: str
    counter: int
    response_id: str
    answer_hash: str | None
    time: datetime

    def to_json(self) -> str:
        """One line of canonical JSON."""
        fields = asdict(self) | {"time": self.time.isoformat()}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The receipt of these words.

        Raises:
            ValueError: They are no receipt.
        """
        try:
            fields = json.loads(text)
            return cls(**fields | {"time": datetime.fromisoformat(fields["time"])})
        except (KeyError, TypeError) as error:
            raise ValueError("this is no receipt") from error
