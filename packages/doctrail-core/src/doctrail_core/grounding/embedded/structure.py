"""Which stretches of a text are no prose: tables, structured data, code and formulas."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from sys import maxsize
from typing import Literal

from doctrail_core.text.spans import Span

__all__ = ["Structure", "fenced", "is_data", "structure", "within"]

Structure = Literal["table", "code"]

_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_HEAD = 2000
"""So much of a text shows what it is."""
_ROW = re.compile(
    r"\|[^|\n]{0,200}\||\t[^\t\n]{1,200}\t|^\s{0,8}\|?[ :]{0,3}-{3,60}[ :]{0,3}\||(?:[^,\s]{1,40},){5}"
)
_DATA = re.compile(
    r"^\s{0,80}[{\[]\s{0,8}[\"'{\[\d]|[\"'][\w .-]{1,60}[\"']\s{0,4}:\s{0,4}(?:[\"'\d\[{]|true|false|null)"
    r"|<(\w{1,20})[^<>\n]{0,200}>[^<>\n]{0,200}</\1>"
)
_DOCUMENT = re.compile(
    r"\s{0,80}(?:\{\s{0,20}[\"']|\[\s{0,20}[{\[\"'\d]|<\?xml|<[a-zA-Z]\w{0,20}[ >])"
)
_CODE = re.compile(
    r"^\s*(?:def|class|import|from \w+ import|return|elif|async|await|public|private|static|void|const|let|var|func|fn|package|#include"
    r"|SELECT|INSERT|UPDATE|DELETE|CREATE|sudo|pip|npm|git|curl|>>>|\$)\s[^.!?]*$"
    r"|[)\w]\s*\{\s*$|\w\([^()\n]{0,80}\)\s*[;{]|[=!<>]=|=>|->|::|&&|\|\||\+=|\w=\w|\\[a-z]{2,10}\{|\$[^$\n]{1,80}[\\^_=][^$\n]{0,80}\$"
    r"|\w\s?=\s?[\w(][^.!?]{0,80}[+*/^-]|[∑∫√∂∈∀∃]",
)


def structure(text: str) -> Structure | None:
    """What a sentence or passage is if it is not prose."""
    head = text[:_HEAD]
    if _ROW.search(head) or _DATA.search(head):
        return "table"
    return "code" if _CODE.search(head) else None


def is_data(text: str) -> bool:
    """Whether a passage is JSON, XML or the like from its first character on."""
    return bool(_DOCUMENT.match(text))


def fenced(text: str) -> Sequence[Span]:
    """The stretches between fences."""
    marks = [mark.start() for mark in _FENCE.finditer(text)]
    return [(start, end) for start, end in zip(marks[::2], [*marks[1::2], len(text)], strict=False)]


def within(start: int, spans: Sequence[Span]) -> bool:
    at = bisect_right(spans, (start, maxsize)) - 1
    return at >= 0 and start < spans[at][1]
