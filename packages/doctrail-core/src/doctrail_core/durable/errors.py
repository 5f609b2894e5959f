"""What can be wrong with a store, in words that say what to do."""

__all__ = ["NothingRecordedError", "SequencerBusyError", "StaleStoreError", "StoreError"]


class StoreError(Exception):
    """A store cannot be used; the message names the file, what is wrong and what to do."""


class NothingRecordedError(StoreError):
    """There is no store yet."""


class StaleStoreError(StoreError):
    """The file changed under its writer, who must open it anew."""


class SequencerBusyError(StoreError):
    """Another process has the lease, and what was appended is not in the database yet.

    Attributes:
        pid: The process that has the lease, where it is known.
        waiting: How many bytes wait in the spool.
    """

    def __init__(self, message: str, *, pid: int | None, waiting: int) -> None:
        super().__init__(message)
        self.pid = pid
        self.waiting = waiting
