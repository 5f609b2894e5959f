"""Publishes checkpoints to the anchors of an installation, and asks the anchors whether they agree with the log."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from doctrail_core.audit.anchors.anchor import (
    Anchor,
    AnchorError,
    AnchorReceipt,
    ContradictionError,
)
from doctrail_core.audit.anchors.configured import Configured, configured
from doctrail_core.audit.anchors.receipts import Failure
from doctrail_core.audit.checkpoint import checkpoint_of
from doctrail_core.audit.note import NoteError, VerifierKey, read_note
from doctrail_core.durable.home import Home

__all__ = ["AnchorFinding", "confirm", "failing", "publish_all", "publish_due", "receipts"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AnchorFinding:
    """What an anchor said when it was asked about the log.

    Attributes:
        compared: How many of the checkpoints that it holds agree with the log.
        trouble: What is wrong; None where nothing is.
        contradiction: Whether it holds proof that the log was changed.
    """

    anchor: str
    kind: str
    compared: int = 0
    trouble: str | None = None
    contradiction: bool = False


def publish_all(home: Home, checkpoint: bytes) -> list[AnchorReceipt]:
    """Publish a checkpoint to every anchor; returns the receipts of those that took it.

    One that fails does not keep the others from it. See `failing` for those.

    Raises:
        AnchorError: The configuration makes no sense.
    """
    return _published(configured(home), checkpoint)


def publish_due(home: Home, checkpoint: bytes) -> list[AnchorReceipt]:
    """As `publish_all`, but only to anchors whose turn it is, and to those that failed last time.

    Raises:
        AnchorError: The configuration makes no sense.
    """
    due = [c for c in configured(home) if c.receipts.failure() or c.receipts.age() >= c.every]
    return _published(due, checkpoint)


def failing(home: Home) -> list[Failure]:
    """The anchors that did not take the last checkpoint they were given.

    Raises:
        AnchorError: The configuration makes no sense.
    """
    found = (each.receipts.failure() for each in configured(home))
    return [failure for failure in found if failure is not None]


def receipts(home: Home) -> Iterator[AnchorReceipt]:
    """All receipts of all anchors that are configured.

    Raises:
        AnchorError: The configuration makes no sense.
    """
    for each in configured(home):
        yield from each.receipts


def confirm(
    home: Home, key: VerifierKey, size: int, root: Callable[[int], bytes]
) -> Iterator[AnchorFinding]:
    """Ask every anchor for what it holds, and compare that with the log.

    Args:
        home: The installation.
        key: The log's key: what it did not sign says nothing about the log.
        size: How many entries the log has.
        root: The root that it has, or had, at a size.

    Raises:
        AnchorError: The configuration makes no sense.
    """
    for each in configured(home):
        name, kind = each.anchor.name, each.anchor.kind
        try:
            compared = _agreeing(each, key, size, root)
        except ContradictionError as error:
            yield AnchorFinding(name, kind, trouble=str(error), contradiction=True)
        except AnchorError as error:
            yield AnchorFinding(name, kind, trouble=str(error))
        else:
            yield AnchorFinding(name, kind, compared)


def _published(anchors: list[Configured], checkpoint: bytes) -> list[AnchorReceipt]:
    taken: list[AnchorReceipt] = []
    for each in anchors:
        try:
            receipt = each.anchor.publish(checkpoint)
            each.receipts.add(receipt)
        except Exception as error:  # noqa: BLE001 - the libraries behind an anchor raise what they like
            contradiction = isinstance(error, ContradictionError)
            _LOG.warning(
                "doctrail could not anchor a checkpoint at %s: %s", each.anchor.name, error
            )
            each.receipts.failed(error, contradiction=contradiction)
        else:
            taken.append(receipt)
    return taken


def _agreeing(each: Configured, key: VerifierKey, size: int, root: Callable[[int], bytes]) -> int:
    """How many checkpoints the anchor holds that the log has grown from.

    Raises:
        ContradictionError: It has not grown from one of them.
        AnchorError: The anchor cannot be asked, or does not stand by its last receipt.
    """
    compared = 0
    for held in each.anchor.held(key.name):
        _compare(each.anchor, held, key, size, root)
        compared += 1
    last = each.receipts.last()
    if last is not None:
        each.anchor.verify(last)
        _compare(each.anchor, last.checkpoint, key, size, root)
    if failure := each.receipts.failure():
        raise AnchorError(
            f"{each.anchor.name} has taken no checkpoint since {failure.since}: {failure.error}"
        )
    return compared


def _compare(
    anchor: Anchor, held: bytes, key: VerifierKey, size: int, root: Callable[[int], bytes]
) -> None:
    try:
        checkpoint = checkpoint_of(read_note(held), key)
    except NoteError as error:
        raise AnchorError(
            f"{anchor.name} holds a checkpoint that is not of this log: {error}"
        ) from error
    if checkpoint.size > size:
        raise ContradictionError(
            f"{anchor.name} holds a checkpoint of {checkpoint.size} entries, the log has {size}: entries were removed"
        )
    if checkpoint.root != root(checkpoint.size):
        raise ContradictionError(
            f"{anchor.name} holds a checkpoint of {checkpoint.size} entries that the log does not begin with: entries"
            " were changed, removed or inserted"
        )
