"""What this process can still prove to have put on record, and that it refuses what it could not."""

import threading
from collections import OrderedDict
from typing import Self

from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.model import Receipt

__all__ = ["NotRecordedError", "Receipts"]

_KEPT = 128
"""Who wants a receipt asks for it when the answer is there; by then few others have come."""


class NotRecordedError(RuntimeError):
    """An answer is not given, because it could not be put on record (`when_unrecorded` is `refuse`).

    Attributes:
        response_id: The response that is not given.
        reason: What went wrong.
    """

    def __init__(self, response_id: str, reason: str) -> None:
        """Say which, and why."""
        super().__init__(
            f"response {response_id} is not given, because it could not be put on record: {reason}"
        )
        self.response_id = response_id
        self.reason = reason

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        """Travel between processes."""
        return type(self), (self.response_id, self.reason)


class Receipts:
    """The receipts of the latest responses, by response id."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Receipt] = OrderedDict()
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        self._lock = threading.RLock()  # the garbage collector may close a stream in here

    def keep(self, response_id: str, receipt: Receipt) -> None:
        """Keep it, in place of the oldest one where there are too many."""
        with self._lock:
            self._kept[response_id] = receipt
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def get(self, response_id: str) -> Receipt | None:
        return self._kept.get(response_id)
