"""What anchors gave, as files for somebody who has nothing else: each checks with a common tool."""

from collections.abc import Mapping
from pathlib import Path

from doctrail_core.audit.anchors.anchor import AnchorReceipt, head
from doctrail_core.audit.anchors.configured import configured
from doctrail_core.durable.home import Home

__all__ = ["latest", "pack"]

_SUFFIXES: Mapping[str, str] = {"rfc3161": "tsr", "witness": "cosignatures"}
_README = """\
What anchors of this log gave, the latest of each that is within the bundle. NAME.checkpoint is what the anchor took;
earlier.json shows that the log of this bundle begins with it.

NAME.tsr is a time stamp over it, which says when it existed:

    openssl ts -verify -data NAME.checkpoint -in NAME.tsr -CAfile ROOTS-OF-THE-AUTHORITY

NAME.cosignatures are signature lines of a witness (c2sp.org/tlog-cosignature); put behind NAME.checkpoint they make a note that
the witness's key verifies. Of the others, ask the place that is named:

"""


def latest(home: Home, size: int) -> list[AnchorReceipt]:
    """The latest receipt of each anchor for a checkpoint of at most so many entries.

    Raises:
        AnchorError: The anchors' configuration makes no sense.
    """
    found: list[AnchorReceipt] = []
    for each in configured(home):
        within = [r for r in each.receipts if 0 < head(r.checkpoint).size <= size]
        found += within[-1:]
    return found


def pack(folder: Path, receipts: list[AnchorReceipt]) -> None:
    """Write receipts into a folder, where there are any.

    Raises:
        OSError: They cannot be written.
    """
    if not receipts:
        return
    folder.mkdir()
    places = "".join(f"{r.anchor}  {r.time.isoformat()}  {r.where}\n" for r in receipts)
    (folder / "README.txt").write_text(_README + places, encoding="utf-8")
    for receipt in receipts:
        (folder / f"{receipt.anchor}.checkpoint").write_bytes(receipt.checkpoint)
        if receipt.evidence:
            name = f"{receipt.anchor}.{_SUFFIXES[receipt.kind]}"
            (folder / name).write_bytes(receipt.evidence)
