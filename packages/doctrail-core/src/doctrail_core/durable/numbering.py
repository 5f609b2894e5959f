"""Numbers a writer's records, so that one that is missing leaves a gap.

A number is used up also by a record that could not be written; such losses are told, with the numbers, by
the first record that can be written again.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from doctrail_core.durable.faults import Faults
from doctrail_core.durable.forks import remake_after_fork
from doctrail_core.durable.home import Home, Stream
from doctrail_core.durable.intake import Database
from doctrail_core.durable.journal import Journal
from doctrail_core.durable.segment import Place

__all__ = ["NumberedJournal"]

_Made = TypeVar("_Made")


class NumberedJournal(Journal, ABC):
    """A journal of which each process is a writer of its own, whose records are numbered from 0."""

    def __init__(
        self,
        home: Home,
        stream: Stream,
        database: Database,
        faults: Faults,
        *,
        strict: bool = False,
    ) -> None:
        super().__init__(home, stream, database, faults, strict=strict)
        self.after_fork_in_child()
        remake_after_fork(self)

    def after_fork_in_child(self) -> None:
        # The garbage collector may close a stream, and that append, while a record is being written.
        self._numbering = threading.RLock()
        self._writer = uuid4().hex
        self._next = 0
        self._lost: list[tuple[int, int]] = []

    @property
    def writer(self) -> str:
        """The name of this process among all that write the stream."""
        return self._writer

    @abstractmethod
    def _encoded(self, record: Any) -> bytes:
        """The record's bytes."""

    @abstractmethod
    def _telling_of(self, lost: Sequence[tuple[int, int]], counter: int) -> Any:
        """The record of this number that tells of those that were lost: the first and last of each gap."""

    def close(self, timeout: float = 2.0) -> None:
        """Tell of losses, move what can be moved in time; the rest is safe in the spool."""
        with self._numbering, suppress(Exception):  # as it was with the records themselves
            self._tell_of_losses()
        super().close(timeout)

    def _number(self, make: Callable[[int], _Made]) -> _Made:
        """Append the record that `make` makes of its number.

        Raises:
            OSError: It could not be written, or not as safely as it was asked for.
        """
        with self._numbering:
            self._tell_of_losses()
            record, place = self._numbered(make)
        self._written(place)
        return record

    def _tell_of_losses(self) -> None:
        if self._lost:
            lost = tuple(self._lost)
            self._numbered(partial(self._telling_of, lost))
            del self._lost[: len(lost)]

    def _numbered(self, make: Callable[[int], _Made]) -> tuple[_Made, Place]:
        counter, self._next = self._next, self._next + 1
        try:
            record = make(counter)
            return record, self._spool.append(self._encoded(record))
        except Exception:
            self._lose(counter)
            raise

    def _lose(self, counter: int) -> None:
        if self._lost and self._lost[-1][1] == counter - 1:
            self._lost[-1] = (self._lost[-1][0], counter)
        else:
            self._lost.append((counter, counter))
