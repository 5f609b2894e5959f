"""Finding a phrase in a text: a full-text index narrows it down, looking decides.

The index knows every three characters that follow each other, so any part of a word is found, in any
script. A phrase is only ever text; nothing in it is query syntax.
"""

__all__ = ["holds", "search_terms"]

_TERM = 3
_MOST_TERMS = 32


def search_terms(phrase: str) -> str | None:
    """The query for texts that may hold the phrase; None if it is too short for the index."""
    starts = range(len(phrase) - _TERM + 1)
    terms = dict.fromkeys(phrase[start : start + _TERM] for start in starts)
    usable = [term for term in terms if "\0" not in term][:_MOST_TERMS]
    return " AND ".join(f'"{term.replace(chr(34), chr(34) * 2)}"' for term in usable) or None


def holds(text: str | None, folded: str) -> bool:
    """Whether the text has the phrase, which is case-folded already."""
    return text is not None and folded in text.casefold()
