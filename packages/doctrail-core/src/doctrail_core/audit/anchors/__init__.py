"""Where checkpoints go so that nobody, the operator included, can change the log and not be found out.

T1 is somebody else who holds copies: a directory, an object store, a git repository. A time-stamp authority adds
when; a witness (T2) adds that there is one history and not two.
"""

from doctrail_core.audit.anchors.anchor import (
    Anchor,
    AnchorError,
    AnchorReceipt,
    ContradictionError,
)
from doctrail_core.audit.anchors.publishing import (
    AnchorFinding,
    confirm,
    failing,
    publish_all,
    publish_due,
    receipts,
)
from doctrail_core.audit.anchors.receipts import Failure

__all__ = [
    "Anchor",
    "AnchorError",
    "AnchorFinding",
    "AnchorReceipt",
    "ContradictionError",
    "Failure",
    "confirm",
    "failing",
    "publish_all",
    "publish_due",
    "receipts",
]
