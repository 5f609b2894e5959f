"""Signed notes: a text, and the signatures of those who stand for it (c2sp.org/signed-note).

A signature counts only for whoever was told its key beforehand. Notes and keys come from anywhere, so
reading one is strict: what the format does not allow is refused, not mended.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "ML_DSA_COSIGNATURE",
    "Note",
    "NoteError",
    "Signature",
    "SigningKey",
    "VerifierKey",
    "decode_base64",
    "encode_base64",
    "read_note",
]

ED25519 = 1
"""Type of a signature over a note's text."""
COSIGNATURE = 4
"""Type of a witness's signature over a checkpoint and a time (c2sp.org/tlog-cosignature)."""
ML_DSA_COSIGNATURE = 6
"""Type of such a signature by ML-DSA-44, which no quantum computer forges; it is read here, and not made."""

_KEY_BYTES = 32
_PUBLIC_BYTES = {ED25519: _KEY_BYTES, COSIGNATURE: _KEY_BYTES, ML_DSA_COSIGNATURE: 1312}
_ID_BYTES = 4
_TIME_BYTES = 8
_LAST_TIME = (1 << 63) - 1
_MARK = "\u2014 "
_MOST_BYTES = 1 << 20
_MOST_SIGNATURES = 100
_SECRET = "PRIVATE+KEY+"  # noqa: S105  # how Go's tools begin one, not one


class NoteError(ValueError):
    """A note, key or signature is not what it should be; the message says how."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Whose it claims to be, and its bytes without the key's id."""

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_MARK}{self.name} {encode_base64(self.key_id + self.value)}\n"

    @property
    def cosigned_at(self) -> int:
        """Of a cosignature: when it was made, in seconds since the epoch."""
        return int.from_bytes(self.value[:_TIME_BYTES])


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under the name that its owner signs with; as text, a `vkey`."""

    name: str
    kind: int
    public: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a vkey.

        Raises:
            NoteError: It is none, or of a type that is not known here.
        """
        name, key_id, encoded = _parts(text.strip())
        material = decode_base64(encoded)
        key = cls(_checked_name(name), material[0] if material else 0, material[1:])
        if len(key.public) != _PUBLIC_BYTES.get(key.kind):
            raise NoteError(
                f"the key of {name!r} is no Ed25519 key for notes or cosignatures, and no ML-DSA-44 key for these"
            )
        if key.key_id.hex() != key_id:
            raise NoteError(f"the key of {name!r} does not have the id that it claims, {key_id}")
        return key

    @property
    def key_id(self) -> bytes:
        known = f"{self.name}\n".encode() + bytes([self.kind]) + self.public
        return sha256(known).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        encoded = encode_base64(bytes([self.kind]) + self.public)
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verifies(self, text: str, signature: Signature) -> bool:
        """Whether this key made the signature over this text."""
        from cryptography.exceptions import InvalidSignature

        try:
            if self.kind == ED25519:
                _ed25519(self.public).verify(signature.value, text.encode())
            else:
                self._verify_cosignature(text, signature)
        except InvalidSignature:
            return False
        return True

    def _verify_cosignature(self, text: str, signature: Signature) -> None:
        from cryptography.exceptions import InvalidSignature

        time, made = signature.cosigned_at, signature.value[_TIME_BYTES:]
        if time > _LAST_TIME:
            raise InvalidSignature
        if self.kind == COSIGNATURE:
            _ed25519(self.public).verify(made, _cosigned(text, time).encode())
        else:
            _ml_dsa(self.public).verify(made, _cosigned_tree(self.name, text, time))


@dataclass(frozen=True)
class SigningKey:
    """A private key under its owner's name."""

    name: str
    seed: bytes = field(repr=False)
    kind: int = ED25519

    @classmethod
    def generate(cls, name: str, kind: int = ED25519) -> Self:
        from secrets import token_bytes

        return cls(_checked_name(name), token_bytes(_KEY_BYTES), kind)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a private key as Go's note tools write it.

        Raises:
            NoteError: It is none.
        """
        text = text.strip()
        if not text.startswith(_SECRET):
            raise NoteError("a private key for notes begins with PRIVATE+KEY+")
        name, key_id, encoded = _parts(text.removeprefix(_SECRET))
        material = decode_base64(encoded)
        if len(material) != 1 + _KEY_BYTES or material[0] not in (ED25519, COSIGNATURE):
            raise NoteError(f"the private key of {name!r} is not an Ed25519 key")
        key = cls(_checked_name(name), material[1:], material[0])
        if key.verifier.key_id.hex() != key_id:
            raise NoteError(f"the private key of {name!r} does not have the id that it claims")
        return key

    def reveal(self) -> str:
        """The private key as text, for its own file."""
        encoded = encode_base64(bytes([self.kind]) + self.seed)
        return f"{_SECRET}{self.name}+{self.verifier.key_id.hex()}+{encoded}"

    @cached_property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.kind, self._private.public_key().public_bytes_raw())

    def sign(self, text: str, *, time: int | None = None) -> Signature:
        """Sign a note's text; as a cosignature, with the time in seconds since the epoch."""
        key_id = self.verifier.key_id
        if self.kind == ED25519:
            return Signature(self.name, key_id, self._private.sign(text.encode()))
        if time is None:
            raise NoteError("a cosignature states a time")
        made = self._private.sign(_cosigned(text, time).encode())
        return Signature(self.name, key_id, time.to_bytes(_TIME_BYTES) + made)

    @cached_property
    def _private(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed)


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends its last line, and its signatures. Nothing of it is verified yet."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def with_signatures(self, *added: Signature) -> "Note":
        """The note with more signatures; one that it has already is not added again."""
        return replace(self, signatures=tuple(dict.fromkeys((*self.signatures, *added))))

    def signed_by(self, *keys: VerifierKey) -> list[tuple[VerifierKey, Signature]]:
        """Those of these keys that signed the note.

        Raises:
            NoteError: A signature claims to be by one of these keys, and is not.
        """
        known = {(key.name, key.key_id): key for key in keys}
        found: dict[tuple[str, bytes], tuple[VerifierKey, Signature]] = {}
        for signature in self.signatures:
            whose = (signature.name, signature.key_id)
            key = known.get(whose)
            if key is None or whose in found:
                continue
            if not key.verifies(self.text, signature):
                raise NoteError(f"the signature of {key.name!r} is not by that key")
            found[whose] = (key, signature)
        return list(found.values())


def read_note(data: str | bytes) -> Note:
    """Take a note apart.

    Raises:
        NoteError: It is none.
    """
    if len(data) > _MOST_BYTES:
        raise NoteError(f"a note of more than {_MOST_BYTES} bytes")
    whole = data if isinstance(data, str) else _text(data)
    if any(character < " " and character != "\n" for character in whole):
        raise NoteError("a note holds no control characters")
    text, separator, signatures = whole.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise NoteError("a note is a text, an empty line, and lines with signatures")
    lines = signatures.removesuffix("\n").split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise NoteError(f"a note with more than {_MOST_SIGNATURES} signatures")
    return Note(f"{text}\n", tuple(map(_signature, lines)))


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes, of which there is one way only to write them.

    Raises:
        NoteError: It is no base64.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("what should be base64 is not") from error
    if encode_base64(data) != text:
        raise NoteError("what should be base64 has bits that mean nothing")
    return data


def _signature(line: str) -> Signature:
    fields = line.removeprefix(_MARK).split(" ")
    if not line.startswith(_MARK) or len(fields) != len(("name", "value")):
        raise NoteError("a line that should hold a signature does not")
    name, encoded = fields
    data = decode_base64(encoded)
    if len(data) <= _ID_BYTES:
        raise NoteError(f"the signature of {name!r} is too short")
    return Signature(_checked_name(name), data[:_ID_BYTES], data[_ID_BYTES:])


def _parts(key: str) -> Sequence[str]:
    # The base64 at the end may hold plus signs, too.
    parts = key.split("+", 2)
    if len(parts) != len(("name", "id", "key")):
        raise NoteError("a key for notes has the form NAME+ID+KEY")
    return parts


def _checked_name(name: str) -> str:
    if not name or "+" in name or any(each.isspace() or each < " " for each in name):
        raise NoteError(
            f"{name!r} cannot be the name of a key: it is empty, or has a space or plus"
        )
    return name


def _cosigned(text: str, time: int) -> str:
    return f"cosignature/v1\ntime {time}\n{text}"


def _cosigned_tree(cosigner: str, text: str, time: int) -> bytes:
    """What an ML-DSA cosignature is over: who, when, and the whole tree of a checkpoint's first three lines."""
    from cryptography.exceptions import InvalidSignature

    try:
        origin, size, root, *_ = text.split("\n")
        end, tree = int(size).to_bytes(_TIME_BYTES), decode_base64(root)
        names = [bytes([len(name.encode())]) + name.encode() for name in (cosigner, origin)]
    except (ValueError, OverflowError) as error:
        raise InvalidSignature from error
    start = bytes(_TIME_BYTES)
    return b"subtree/v1\n\0" + names[0] + time.to_bytes(_TIME_BYTES) + names[1] + start + end + tree


def _ed25519(public: bytes) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(public)


def _ml_dsa(public: bytes) -> "MLDSA44PublicKey":
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
    except ImportError as error:
        raise NoteError(
            f"ML-DSA-44 needs a newer cryptography: pip install --upgrade cryptography ({error})"
        ) from error
    return MLDSA44PublicKey.from_public_bytes(public)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise NoteError("a note is UTF-8 text") from error
