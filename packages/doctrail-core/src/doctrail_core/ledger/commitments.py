"""What the log holds of names and texts: keyed hashes, which say nothing to anybody without the key.

Whoever has the key of the owner and the name, text or answer can tell that it is the one that was meant. When the key is
destroyed, nobody can tell or guess it any more.
"""

from base64 import urlsafe_b64encode

from doctrail_core.ledger.keyring import derived

__all__ = ["answer_commitment", "chunk_commitment", "name_commitment", "query_tag"]

_TAG_BYTES = 16


def name_commitment(key: bytes, name: str) -> str:
    """Of a name, under its owner's key: 16 bytes in base64url."""
    return _as_text(_commit(key, b"name", name.encode("utf-8", "surrogatepass"))[:_TAG_BYTES])


def chunk_commitment(key: bytes, content_hash: str) -> str:
    """Of a chunk's text by its hash, under the document's key: 32 bytes in base64url."""
    return _as_text(_commit(key, b"chunk", content_hash.encode()))


def answer_commitment(key: bytes, reference: bytes, answer_hash: str | None) -> bytes | None:
    """Of an answer by its hash, under the user's key, or the log's where nobody is known: 32 bytes."""
    if answer_hash is None:
        return None
    return _commit(key, b"answer" + reference, answer_hash.encode())


def query_tag(key: bytes, query_hash: str) -> bytes | None:
    """Of a question by its hash, under the same key: 16 bytes, equal for equal questions of one user."""
    return _commit(key, b"query", query_hash.encode())[:_TAG_BYTES] if query_hash else None


def _commit(key: bytes, purpose: bytes, what: bytes) -> bytes:
    return derived(derived(key, purpose), what)


def _as_text(commitment: bytes) -> str:
    """As it stands in JSON: without padding (RFC 4648, 5)."""
    return urlsafe_b64encode(commitment).rstrip(b"=").decode("ascii")
