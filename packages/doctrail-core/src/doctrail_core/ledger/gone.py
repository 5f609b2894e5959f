"""What a store takes out of its tables in one transaction, when entries are pruned.

The counterpart of `doctrail_core.ledger.rows.Rows`. Hashes of full groups of 256 entries always stay, and with them
every proof that was ever given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from doctrail_core.ledger.tree import Tile

__all__ = ["Gone"]


@dataclass(slots=True)
class Gone:
    """Entries, and what found them.

    Attributes:
        minimum: From this place on nothing is missing; None where that was known before.
        entries: Their places.
        leaves: Hashes of single entries, of groups of which some stay and some go.
        groups: Groups of 256 of which nothing stays; nor do hashes of single entries.
        responses: References.
        links: Month, document, and the response's first entry.
        mentions: A user's or session's name, and the response's first entry.
        reuses: The earlier response and the later one, by first entries.
        bindings: Places of documents, chunks and other names that nothing refers to any more.
        writers: Their numbers.
    """

    minimum: int | None = None
    entries: list[int] = field(default_factory=list[int])
    leaves: list[Tile] = field(default_factory=list[Tile])
    groups: list[int] = field(default_factory=list[int])
    responses: list[bytes] = field(default_factory=list[bytes])
    links: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    mentions: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    reuses: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    bindings: list[int] = field(default_factory=list[int])
    writers: list[int] = field(default_factory=list[int])

    def links_by_month(self) -> Iterator[tuple[int, Sequence[tuple[int, int]]]]:
        """Of each month the documents and responses."""
        by_month: dict[int, list[tuple[int, int]]] = {}
        for month, document, seq in self.links:
            by_month.setdefault(month, []).append((document, seq))
        for month, links in by_month.items():
            yield month, sorted(links)
