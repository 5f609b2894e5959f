"""The ledger: which documents went into which response, and when. For proving; never a text.

Entries are only ever added. Their exact bytes are what counts; every table beside them is an index.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctrail_core.durable.home import Home
    from doctrail_core.ledger.reader import LedgerReader

__all__ = ["open_ledger"]


def open_ledger(home: "Home", *, drain: bool = True, timeout: float = 5.0) -> "LedgerReader":
    """Open the ledger for reading, after what lies in the spool was moved into it.

    Where another process was to do that and did not in time, the reader's `warning` says so.

    Raises:
        NothingRecordedError: There is no ledger yet.
        StoreError: It cannot be read.
    """
    from doctrail_core.durable.keys import load_key
    from doctrail_core.durable.reading import drained
    from doctrail_core.ledger.keyring import Tagger, open_keyring
    from doctrail_core.ledger.place import LedgerPlace
    from doctrail_core.ledger.reader import LedgerReader

    place = LedgerPlace(home)
    warning = drained(home, "ledger", place, timeout) if drain else None
    store, *others = place.stores(current=drain)
    key = load_key(home.keys)
    tagger = None if key is None else Tagger(key)
    return LedgerReader(
        store,
        open_keyring(home.key_store),
        tagger,
        warning=warning,
        others=[LedgerReader(other, None, tagger, elsewhere=True) for other in others],
    )
