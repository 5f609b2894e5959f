"""Finding a phrase in a text: a full-text index narrows it down, looking decides.

The index knows every three characters that follow each other, so any part of a word is found, in any
script. A phrase is only ever text; nothing in it is query syntax.
"""

from itertools import islice

__all__ = ["holds", "indexable", "search_terms"]

_TERM = 3
_MOST_TERMS = 32


def indexable(text: str | None) -> str | None:
    """The text as the index can take it, which stops reading at a null character."""
    return text.replace("\0", "\ufffd") if text else text


def search_terms(phrase: str) -> str | None:
    """The query for texts that may hold the phrase; None if it is too short for the index."""
    text = indexable(phrase) or ""
    terms = dict.fromkeys(text[at : at + _TERM] for at in range(len(text) - _TERM + 1))
    quoted = (f'"{term.replace(chr(34), chr(34) * 2)}"' for term in terms)
    return " AND ".join(islice(quoted, _MOST_TERMS)) or None


def holds(text: str | None, folded: str) -> bool:
    """Whether the text has the phrase, which is case-folded already."""
    return text is not None and folded in text.casefold()
