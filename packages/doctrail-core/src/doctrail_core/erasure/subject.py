"""What an erasure is about, as the order of erasing sees it: a document, or a user."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from doctrail_core.erasure.receipts import Scope
from doctrail_core.ledger.forgotten import Forgotten
from doctrail_core.ledger.reader import LedgerReader
from doctrail_core.trails.store import TrailEditor, TrailStore

__all__ = ["Affected", "Subject", "batches"]

_BATCH = 200
"""So many trails are changed in one transaction."""


@dataclass(frozen=True, slots=True)
class Affected:
    """A response that had something of it, as the report has it: by places, without a name.

    Attributes:
        seq: The place of its first entry.
        response: Its id, where that is a random one.
        how: How it came into the response.
        via: The place of the other document that brought it, if one did.
    """

    seq: int
    response: str | None
    time: str
    how: str
    grade: str | None = None
    complete: bool = True
    via: int | None = None


class Subject(Protocol):
    """What is to be erased. All is asked of it while nobody else writes to either store."""

    @property
    def scope(self) -> Scope: ...

    @property
    def name(self) -> str: ...

    @property
    def answers(self) -> bool:
        """Whether answers that may hold something of it go, too."""
        ...

    @property
    def to_review(self) -> bool:
        """Whether what is left of responses has to be looked at by people."""
        ...

    def places(self, ledger: LedgerReader) -> Sequence[int]:
        """Where its name was bound, names that are forgotten included."""
        ...

    def affected(self, ledger: LedgerReader) -> Iterator[Affected]:
        """The responses that had it."""
        ...

    def found(self, ledger: LedgerReader, trails: TrailStore | None) -> Mapping[str, int]:
        """How much of what there is."""
        ...

    def erase_from(self, trails: TrailStore, editor: TrailEditor, ledger: LedgerReader) -> None:
        """Take it out of the trail store, in any number of transactions; what is done is not done again."""
        ...

    def forgotten(self, ledger: LedgerReader) -> Forgotten:
        """The names that the ledger is to forget."""
        ...

    def owners(self, ledger: LedgerReader) -> Collection[int]:
        """Whose keys are to be destroyed; also those that an earlier attempt had come to forget."""
        ...

    def editing(self, trails: TrailStore | None) -> Callable[[str], str]:
        """Makes of what somebody wrote about an entry what may stay of it."""
        ...

    def remarks(self, ledger: LedgerReader) -> Collection[str]:
        """The names of what people wrote about it, of which nothing may stay."""
        ...

    def not_covered(self, ledger: LedgerReader, trails: TrailStore | None) -> Iterator[str]:
        """What is left of it elsewhere, as far as that can be known here."""
        ...


def batches(response_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """The trails of one transaction after the other."""
    return (response_ids[at : at + _BATCH] for at in range(0, len(response_ids), _BATCH))
