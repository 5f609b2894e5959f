"""Records become entries. The one place that decides what a log says, whatever store keeps it."""

from collections.abc import Sequence

from doctrail_core.ledger.batch import Batch
from doctrail_core.ledger.keyring import Keyring, Tagger
from doctrail_core.ledger.known import Known
from doctrail_core.ledger.record import decode
from doctrail_core.ledger.rows import LogState, Rows, Tables

__all__ = ["Sequencing"]


class Sequencing:
    """Makes the rows of one batch after the other. `recall` it when a batch was not committed."""

    def __init__(self, tables: Tables, keyring: Keyring, tagger: Tagger) -> None:
        self._tables = tables
        self._keyring = keyring
        self._tagger = tagger
        self.recall()

    def recall(self) -> None:
        """Forget what may not be in the store."""
        self._keyring.forget_unsaved()
        self._known = Known(self._tables)
        self._state = self._tables.log_state()

    def take(self, payloads: Sequence[bytes]) -> Rows:
        """The rows of these records; the keys that they need are kept by then.

        Raises:
            ValueError: One of them is no record.
            StoreError: The store or the key store does not work.
        """
        records = [decode(payload) for payload in payloads]
        state = LogState(self._state.frontier.copy(), self._state.writers)
        batch = Batch(self._tables, self._known, self._keyring, self._tagger, state)
        rows = batch.take(records)
        self._keyring.save()
        self._state = LogState(rows.frontier, batch.writers)
        return rows
