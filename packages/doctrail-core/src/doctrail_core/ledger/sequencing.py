"""Records become entries. The one place that decides what a log says, whatever store keeps it."""

from collections.abc import Sequence
from dataclasses import replace

from doctrail_core.durable.home import Home
from doctrail_core.durable.keys import load_or_create_key
from doctrail_core.ledger.batch import Batch, require_key_of
from doctrail_core.ledger.keyring import Keyring, Tagger, open_keyring
from doctrail_core.ledger.known import Known
from doctrail_core.ledger.record import decode
from doctrail_core.ledger.rows import Rows, Tables
from doctrail_core.ledger.tree import Frontier

__all__ = ["Sequencing", "open_sequencing"]


class Sequencing:
    """Makes the rows of one batch after the other. `recall` it when a batch was not committed.

    Attributes:
        keyring: The keys of names, written here alone.
    """

    def __init__(self, tables: Tables, keyring: Keyring, tagger: Tagger) -> None:
        self.keyring = keyring
        self._tables = tables
        self._tagger = tagger
        self.recall()

    def recall(self) -> None:
        """Forget what may not be in the store."""
        self.keyring.forget_unsaved()
        self._known = Known(self._tables)
        self._state = self._tables.log_state()

    def require_key_of_log(self) -> None:
        """See that names will be found under the key under which they were bound.

        Raises:
            StoreError: They would not.
        """
        if self._state.first is not None:
            require_key_of(self._state.first, self._tagger)

    def take(self, payloads: Sequence[bytes]) -> Rows:
        """The rows of these records; the keys that they need are kept by then.

        Raises:
            ValueError: One of them is no record.
            StoreError: The store or the key store does not work.
        """
        records = [decode(payload) for payload in payloads]
        state = replace(self._state, frontier=self._state.frontier.copy())
        batch = Batch(self._tables, self._known, self.keyring, self._tagger, state)
        rows = batch.take(records)
        self.keyring.save()
        self._state = replace(self._state, frontier=rows.frontier, writers=batch.writers)
        return rows

    @property
    def frontier(self) -> Frontier:
        """Of the log, as far as it is known to go."""
        return self._state.frontier

    def close(self) -> None:
        self.keyring.close()


def open_sequencing(home: Home, tables: Tables) -> Sequencing:
    """Sequencing with the keys of a home, which are made where there are none.

    Raises:
        StoreError: The keys cannot be read or written, or are not those of the log.
    """
    tagger = Tagger(load_or_create_key(home.keys))
    keyring = open_keyring(home.key_store, write=True)
    if keyring is None:
        raise AssertionError("a key store that is opened for writing is there")
    try:
        sequencing = Sequencing(tables, keyring, tagger)
        sequencing.require_key_of_log()
    except BaseException:
        keyring.close()
        raise
    return sequencing
