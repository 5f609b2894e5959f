"""Not asking again, for a while, what failed slowly: a server that does not answer costs its patience each time.

What fails at once is asked again at once: of all time, about a tenth is spent on what fails.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager

from doctrail_core.durable.errors import NothingRecordedError, SequencerBusyError, StoreError

__all__ = ["Respite"]

_TIMES = 10


class Respite:
    """Between attempts at one thing."""

    def __init__(self) -> None:
        self._until = 0.0
        self._error: StoreError | None = None

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Run the block, unless it failed lately.

        Raises:
            StoreError: It failed, now or lately.
        """
        if self._error is not None and time.monotonic() < self._until:
            raise self._error.with_traceback(None)
        with self.watched():
            yield

    @contextmanager
    def watched(self) -> Generator[None]:
        """Run the block in any case, and note how long it took if it failed."""
        began = time.monotonic()
        self._error = None
        try:
            yield
        except (NothingRecordedError, SequencerBusyError):
            raise
        except StoreError as error:
            ended = time.monotonic()
            self._until = ended + _TIMES * (ended - began)
            self._error = error
            raise
