"""An anchor that is a witness (c2sp.org/tlog-witness): it cosigns a log that only ever grew, and forgets nothing.

Whoever trusts the witness knows that everybody is shown one history. The witness keeps a log's latest size and root,
and asks for a proof that the new tree begins with that one.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from doctrail_core.audit.anchors.anchor import (
    AnchorError,
    AnchorReceipt,
    ContradictionError,
    folder_of,
    head,
)
from doctrail_core.audit.anchors.http import Response, get, post
from doctrail_core.audit.checkpoint import Checkpoint
from doctrail_core.audit.note import (
    NoteError,
    Signature,
    VerifierKey,
    encode_base64,
    read_note,
)

__all__ = ["Consistency", "WitnessAnchor"]

Consistency = Callable[[int, int], Sequence[bytes]]
"""The proof that the log of the second size begins with all that it was at the first."""

_OK, _NOT_FOUND, _CONFLICT, _UNPROCESSABLE = 200, 404, 409, 422
_END_OF_TIME = 253_402_300_800  # the year 10000
_SIZE_TYPE = "text/x.tlog.size"


class WitnessAnchor:
    """Has checkpoints cosigned.

    Args:
        name: What it is called.
        url: Its submission prefix.
        keys: Its keys. Signatures by others are ignored.
        consistency: Proves to it that the log only grew.
        monitoring: Its monitoring prefix, where it shows the latest checkpoint it cosigned.
        seen: The size that it cosigned last, as far as is known; it tells if that is wrong.
    """

    kind = "witness"

    def __init__(
        self,
        name: str,
        url: str,
        *,
        keys: Sequence[VerifierKey],
        consistency: Consistency,
        monitoring: str | None = None,
        seen: int = 0,
    ) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._keys = tuple(keys)
        self._consistency = consistency
        self._monitoring = monitoring.rstrip("/") if monitoring else None
        self._seen = seen

    def publish(self, checkpoint: bytes) -> AnchorReceipt:
        known = head(checkpoint)
        answer = self._submit(checkpoint, known, self._seen if self._seen <= known.size else 0)
        if answer.status == _CONFLICT:
            answer = self._submit(checkpoint, known, self._size_it_has(answer, known))
        cosigned = self._cosignatures(answer, read_note(checkpoint).text)
        self._seen = known.size
        made = datetime.fromtimestamp(max(s.cosigned_at for s in cosigned), UTC)
        evidence = "".join(map(str, cosigned)).encode()
        return AnchorReceipt(self.name, self.kind, made, checkpoint, self._url, evidence)

    def verify(self, receipt: AnchorReceipt) -> None:
        """The cosignatures must be by the witness, and of the time that the receipt tells."""
        text = read_note(receipt.checkpoint).text
        cosigned = self._signed(text, receipt.evidence)
        if receipt.time.timestamp() not in {signature.cosigned_at for signature in cosigned}:
            raise AnchorError(f"the cosignature of {self._url} is not of {receipt.time}")

    def held(self, origin: str) -> Iterator[bytes]:
        """The latest one that it cosigned, where it shows it."""
        if self._monitoring is None:
            return
        answer = get(f"{self._monitoring}/{folder_of(origin)}/checkpoint")
        if answer.status == _NOT_FOUND:
            return
        if answer.status != _OK:
            raise AnchorError(f"{self._monitoring} does not show its checkpoint: {answer.said}")
        self._signed_note(answer.body)
        yield answer.body

    def _submit(self, checkpoint: bytes, known: Checkpoint, old: int) -> Response:
        proof = self._consistency(old, known.size) if 0 < old < known.size else ()
        lines = [f"old {old}", *map(encode_base64, proof)]
        body = "".join(f"{line}\n" for line in lines).encode() + b"\n" + checkpoint
        return post(f"{self._url}/add-checkpoint", body, "text/plain; charset=utf-8")

    def _size_it_has(self, answer: Response, known: Checkpoint) -> int:
        """What the witness last cosigned, which must be within what there is now."""
        digits = answer.body.removesuffix(b"\n")
        if answer.content_type != _SIZE_TYPE or not digits.isdigit():
            raise AnchorError(f"{self._url} refused without a size: {answer.said}")
        size = int(digits)
        if size > known.size:
            raise ContradictionError(
                f"{self._url} has cosigned {size} entries of {known.origin}, and there are {known.size} now: the log"
                " was cut back, or put back from a backup"
            )
        return size

    def _cosignatures(self, answer: Response, text: str) -> list[Signature]:
        if answer.status == _UNPROCESSABLE:
            raise ContradictionError(
                f"{self._url} has cosigned what this checkpoint does not begin with: the log was rewritten"
                f" ({answer.said})"
            )
        if answer.status != _OK:
            raise AnchorError(f"{self._url} did not cosign: {answer.said}")
        return self._signed(text, answer.body)

    def _signed(self, text: str, lines: bytes) -> list[Signature]:
        """The cosignatures among these lines that are by the witness and over this text."""
        return self._signed_note(f"{text}\n".encode() + lines)

    def _signed_note(self, data: bytes) -> list[Signature]:
        try:
            found = [signature for _, signature in read_note(data).signed_by(*self._keys)]
        except NoteError as error:
            raise AnchorError(f"what {self._url} answered is no cosignature: {error}") from error
        timed = [signature for signature in found if 0 < signature.cosigned_at < _END_OF_TIME]
        if not timed:
            raise AnchorError(
                f"{self._url} answered without a cosignature by a key that it is known by"
            )
        return timed
