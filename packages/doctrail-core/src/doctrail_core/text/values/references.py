"""Numbers that state no value: they name a section, a page, a source, a file, a telephone, a street."""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain

from doctrail_core.text.spans import Span, merged

__all__ = ["Tags", "reference_end", "word_end"]

_TAG = re.compile(
    r"\[\^?[0-9][0-9\s,;\u2013-]{0,40}\]|\u3010[^\u3010\u3011\n]{0,80}\u3011"
    r"|\[/?[ ]?(?:doc|source|chunk|passage|ref|cit|page|context|id)[^\[\]\n]{0,200}\]",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"://|@|www\.|\.(?:pdf|docx?|txt|md|html?|xlsx?|csv|json|xml|pptx?|png|jpe?g|py|zip)(?![A-Za-z0-9])"
)
_LONGEST_ADDRESS = 200
_NO_SPACE = re.compile(rf"[^\s<>()\[\]\"]{{0,{_LONGEST_ADDRESS}}}")
_SPACE = re.compile(r"[\s<>()\[\]\"]")


class Tags:
    """The stretches of one text that cite a source, or are an address or the name of a file."""

    def __init__(self, text: str) -> None:
        tags = _TAG.finditer(text) if "[" in text or "\u3010" in text else ()
        self._spans = merged(chain((tag.span() for tag in tags), _addresses(text)))
        self._starts = [start for start, _ in self._spans]

    def end(self, place: int) -> int | None:
        """Where the stretch that holds this place ends."""
        at = bisect_right(self._starts, place) - 1
        return self._spans[at][1] if at >= 0 and self._spans[at][1] > place else None


def _addresses(text: str) -> Iterator[Span]:
    """What holds the mark of an address or of a file's name, up to the space on either side."""
    done = 0
    for mark in _ADDRESS.finditer(text):
        if mark.start() >= done:
            first = max(done, mark.start() - _LONGEST_ADDRESS)
            before = _SPACE.split(text[first : mark.start()])[-1]
            after = _NO_SPACE.match(text, mark.end())
            done = after.end() if after else mark.end()
            yield mark.start() - len(before), done


_REACH = 28
_LIST_REACH = 64
_TAIL = 18

_GOES_ON = re.compile(r"[\w.-]{0,40}")
_HYPHENATED = re.compile(r"([A-Za-z]{1,16})-\Z")
_PREFIXES = frozenset(("mid", "pre", "post", "sub", "under", "over"))


def word_end(text: str, start: int) -> int | None:
    """Where the word ends in which the digit stands that begins at `start`, such as `doc_4821`."""
    last = text[start - 1] if start else " "
    inside = last.isalpha() or last in "_\\@&" or (last == "-" and _is_hyphenated(text, start))
    return _end(_GOES_ON, text, start) if inside else None


def _is_hyphenated(text: str, start: int) -> bool:
    found = _HYPHENATED.search(text[max(0, start - _TAIL) : start])
    return bool(found) and found[1].lower() not in _PREFIXES


# What a number is that looks like this, wherever it stands.
_IDENTIFIERS = (
    r"(?![0-9]{1,3}(?:\.[0-9]{3}){2}(?![0-9.]))[0-9]{1,4}([ .-])\(?[0-9]{2,4}\)?(?:\1[0-9]{2,4}){1,4}(?![0-9])",
    r"[0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}(?![0-9])",  # (555) 123-4567
    r"[0-9]{16}[0-9]{0,40}|0[0-9]{3,15}(?![0-9.])",
    r"[0-9]{1,15}(?![kc]?m[23](?![0-9]))[A-Za-z]{1,4}[0-9_]\w{0,40}|[0-9]{1,15}_\w{0,40}",  # 80x24
    r"[0-9]{1,15}[/-][0-9]{1,15}[/-][0-9/-]{1,40}",
    r"[0-9]{1,3}:[0-9](?![0-9])|[0-9]{1,2}(?::[0-9]{2}){2}",
    r"401\(?k\)?",
    r"[0-9]{1,3}(?= (?:U\.?S\.?C|C\.?F\.?R))",
    r"[0-9]{1,6}(?= (?:[A-Z][\w.]{0,20} ){1,3}(?:Street|St|Lane|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Way)\b)",
)  # fmt: skip
_IDENTIFIER = re.compile("|".join(_IDENTIFIERS))

# What comes before it makes it a reference.
_NAMES = (
    "section sec article clause paragraph para subsection recital passage step figure fig table chapter page exhibit "
    "schedule annex version ver rule regulation directive form room building line row column note footnote question "
    "part volume vol level phase tier grade type episode document doc source chunk reference ref equation eq item point "
    "book suite issue model flight route highway interstate channel case docket patent file box apartment apt lot "
    "example option week day python slide attachment title "
    "speaker resolution bill ordinance proposition amendment station district ward zone category stage act scene verse"
)
_LABELS = "no nr number id account phone tel telephone fax mobile zip invoice order isbn"
_NAMED = (
    {name + plural for name in f"{_NAMES} {_LABELS}".split() for plural in ("", "s", ".", "s.")}
    | set("class windows appendix annexes p. pp. pg pg. art. arts. ch. v v.".split())  # noqa: SIM905 -- readable
    | set("\xa7\xb6#\u2116")
)
_LABELLED_WITH_COLON = frozenset(f"{name}{dot}" for name in _LABELS.split() for dot in ("", "."))
_LAST_WORD = re.compile(r"([A-Za-z]{1,14}\.?|[\xa7\xb6#\u2116])(:?)[\s\xa0(]{0,2}\Z")
_LISTED = re.compile(
    r"(?:[0-9][0-9.]{0,8}(?:\([a-z0-9]{1,4}\))?(?:,? (?:and|or|to|&)|,| ?[-\u2013])\s?){1,9}\Z",
    re.IGNORECASE,
)
_LIST_ENDS = frozenset(" ,-\u2013")
_RUN = re.compile(r"[0-9]{1,15}(?:[.\-/:][0-9]{1,15}){0,6}(?:\([a-z0-9]{1,4}\)){0,4}")

# What comes before it and what it looks like do so together.
_ENUMERATED = (re.compile(r"[( \n]\Z"), re.compile(r"[0-9]{1,2}(?=\)(?:\s|\Z))"))
_LIST_MARKER = (
    re.compile(r"(?:\A|[\n\r])[ \t>]{0,8}[*_(]{0,3}\Z"),
    re.compile(
        r"[0-9]{1,3}[.)](?=\s|\*|\Z)|[0-9]{1,3}(?:\.[0-9]{1,3}){1,4}(?:\.(?=\s)|(?=\s{1,3}[A-Z\"\u201c]))"
    ),
)
_POSTCODE = (re.compile(r"\b[A-Z]{2} \Z"), re.compile(r"[0-9]{5}(?:-[0-9]{4})?(?![0-9,.])"))
_LABELLED = (re.compile(r"(?<![A-Za-z])[A-Z]{2,8}:? \Z"), re.compile(r"[0-9]{7,15}(?![0-9,.])"))


def reference_end(text: str, start: int) -> int | None:
    """Where the reference ends that the digit at `start` begins; None if it counts something."""
    if found := _IDENTIFIER.match(text, start):
        return found.end()
    before = text[max(0, start - _REACH) : start]
    for precedes, looks in (_ENUMERATED, _LIST_MARKER, _POSTCODE, _LABELLED):
        if (found := looks.match(text, start)) and precedes.search(before):
            return found.end()
    if _is_named(before) or _is_listed(text, start):
        return _end(_RUN, text, start)
    return None


def _is_named(before: str) -> bool:
    """Whether a word such as `Section` is the last of it."""
    if not (found := _LAST_WORD.search(before[-_TAIL:])):
        return False
    word = found[1].lower()
    return word in (_LABELLED_WITH_COLON if found[2] else _NAMED)


def _is_listed(text: str, start: int) -> bool:
    """The 5 of `Sections 4 and 5`."""
    if text[max(0, start - 1) : start] not in _LIST_ENDS:
        return False
    before = text[max(0, start - _LIST_REACH) : start]
    found = _LISTED.search(before)
    return bool(found and _is_named(before[: found.start()]))


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    found = pattern.match(text, start)
    return max(start + 1, found.end() if found else 0)
