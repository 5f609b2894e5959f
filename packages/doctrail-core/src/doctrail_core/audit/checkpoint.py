"""What a log commits to and proves, as text that any tool of the transparency community reads.

A checkpoint says how large a log is and what its root is (c2sp.org/tlog-checkpoint); a proof shows that
an entry is in it (c2sp.org/tlog-proof).
"""

from dataclasses import dataclass
from typing import Self

from doctrail_core.audit.note import (
    Note,
    NoteError,
    SigningKey,
    VerifierKey,
    decode_base64,
    encode_base64,
    read_note,
)
from doctrail_core.ledger.tree import HASH_SIZE, leaf_hash, verify_inclusion

__all__ = ["Checkpoint", "Proof", "checkpoint_of", "signed"]

_HEADER = "c2sp.org/tlog-proof@v1"
_LARGEST = 1 << 63


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: its origin, how many entries it has, and the root of its tree."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note.

        Raises:
            NoteError: It is no checkpoint.
        """
        lines = text.split("\n")
        if len(lines) <= len(("origin", "size", "root")) or lines.pop() or not all(lines):
            raise NoteError("a checkpoint has lines for origin, size and root, and no empty one")
        origin, size, root, *extensions = lines
        return cls(origin, _decimal(size), _hash(root), tuple(extensions))

    def __str__(self) -> str:
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Proof:
    """That an entry is in a log.

    Attributes:
        seq: The entry's place.
        hashes: What leads from it to the root.
        note: The checkpoint, with its signatures.
        extra: What the reader needs besides; here, the entry's exact bytes.
    """

    seq: int
    hashes: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    @classmethod
    def parse(cls, data: str | bytes) -> Self:
        """Read a `.tlog-proof` file.

        Raises:
            NoteError: It is none.
        """
        text = _decoded(data)
        head, separator, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n")
        if header != _HEADER or not separator:
            raise NoteError(f"a proof begins with {_HEADER} and ends with a checkpoint")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise NoteError("a proof says at which index its entry is")
        seq = _decimal(lines.pop(0).removeprefix("index "))
        return cls(seq, tuple(map(_hash, lines)), read_note(checkpoint), extra)

    def __str__(self) -> str:
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.seq}", *map(encode_base64, self.hashes)]
        return "\n".join(lines) + f"\n\n{self.note}"

    def shows(self, entry: bytes, key: VerifierKey) -> bool:
        """Whether it shows that the log of this key has an entry of exactly these bytes.

        Raises:
            NoteError: The checkpoint is not signed by the key, or no checkpoint.
        """
        checkpoint = checkpoint_of(self.note, key)
        proved = (self.seq, checkpoint.size, leaf_hash(entry), self.hashes, checkpoint.root)
        return verify_inclusion(*proved)


def signed(checkpoint: Checkpoint, key: SigningKey) -> Note:
    """The checkpoint as a note."""
    text = str(checkpoint)
    return Note(text, (key.sign(text),))


def checkpoint_of(note: Note, key: VerifierKey) -> Checkpoint:
    """The checkpoint that a note holds, if the log's key signed it.

    Raises:
        NoteError: It did not, or that is no checkpoint.
    """
    if not note.signed_by(key):
        raise NoteError(f"the checkpoint is not signed by {key.name!r}")
    return Checkpoint.parse(note.text)


def _decimal(text: str) -> int:
    known = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    number = int(text) if known and len(text) <= len(str(_LARGEST)) else _LARGEST
    if number >= _LARGEST:
        raise NoteError("a size or index is a decimal number without zeroes before it")
    return number


def _hash(text: str) -> bytes:
    decoded = decode_base64(text)
    if len(decoded) != HASH_SIZE:
        raise NoteError(f"a hash has {HASH_SIZE} bytes, not {len(decoded)}")
    return decoded


def _decoded(data: str | bytes) -> str:
    try:
        return data if isinstance(data, str) else data.decode()
    except UnicodeDecodeError as error:
        raise NoteError("a proof is UTF-8 text") from error
