"""The tables of the trail store on a server, and texts as they lie in them."""

import re
from hashlib import sha256
from pathlib import Path

from doctrail_core.durable.postgres import ServerSchema
from doctrail_core.text.identity import clean_text

__all__ = ["SCHEMA", "message_key", "searchable", "stored", "told"]

SCHEMA = ServerSchema(
    name="trail store",
    namespace="doctrail_trails",
    lock=0x64747431,
    revisions=("trails_0001",),
    versions=Path(__file__).with_name("versions"),
)

# PostgreSQL has no text with a null character. The characters that stand for it stand for themselves likewise, in
# such a way that a text holds another exactly if what is stored of it holds what is stored of that.
_ESCAPE, _ONE, _TWO = "\ue0f0", "\ue0f1", "\ue0f2"
_STORED = {
    "\0": _ESCAPE + _ONE + _ONE,
    _ESCAPE: _ESCAPE + _ONE + _TWO,
    _ONE: _ESCAPE + _TWO + _ONE,
    _TWO: _ESCAPE + _TWO + _TWO,
}
_TOLD = {code: character for character, code in _STORED.items()}
_TO_STORED = str.maketrans(_STORED)
_CODE = re.compile(f"{_ESCAPE}[{_ONE}{_TWO}]{{2}}")
_BETWEEN = _ESCAPE * 2
"""Stands in no stored text."""


def stored(text: str | None) -> str | None:
    """A text as it is kept."""
    return text.translate(_TO_STORED) if text else text


def told(text: str | None) -> str | None:
    """What `stored` was given."""
    return _CODE.sub(lambda code: _TOLD[code[0]], text) if text else text


def searchable(*texts: str | None) -> str:
    """Texts in which phrases are looked for, whatever the case of their letters and the server's locale."""
    return _BETWEEN.join(stored(clean_text(text).casefold()) or "" for text in texts if text)


def message_key(message_id: str) -> bytes:
    """What a message is found by: an index does not take ids of any length."""
    return sha256(clean_text(message_id).encode()).digest()[:16]
