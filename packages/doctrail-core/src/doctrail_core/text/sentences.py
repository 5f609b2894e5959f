"""The sentences and list items of a text, each as exact characters of it.

A line that a list marker opens is an item of its own, and the marker is no part of it; so is a row
of a table. Lines that were only wrapped are read on. What stands in no span is white space, list
markers, and lines without a letter or digit. The time that it takes grows with the length of the
text alone, whatever stands in it.
"""

import re
from collections.abc import Iterator

from doctrail_core.text.spans import Span

__all__ = ["sentences"]


def sentences(text: str) -> list[Span]:
    """Where the sentences and list items stand, in order, none overlapping another."""
    return [span for block in _blocks(text) for span in _split(text, *block)]


def _words(spaced: str) -> frozenset[str]:
    return frozenset(spaced.split())


_LINE = re.compile(r"[^\n\r\v\f\x85\u2028\u2029]+")
# A number such as 4.2 opens an item only before a capital: wrapped lines start with decimals, too.
_MARKER = re.compile(
    r"[ \t\xa0]*+(?:(?:[-*+>\u2022\u2023\u25aa\u25e6\u25cf\u25cb\u2013\u2014\u00b7]"
    r"|\(?(?:\d{1,3}|[a-z]|[ivx]{2,5})[.)]|\(?(?:[A-Z]|[IVX]{2,5})\)"
    r"|\d{1,3}(?:\.\d{1,3}){2,4}\.?|\d{1,3}\.\d{1,3}\.?(?=[ \t\xa0]+[\"'\u201c\u2018*_(]{0,3}[A-Z]))"
    r"(?:[ \t\xa0]++|$)){1,3}(?:\[[ xX]\][ \t]++)?"
)
_ALONE = re.compile(r"[ \t]*+(?:\||#{1,6}\s|```|~~~|[|=_~-]{3}|.*\t.*\t)")
"""Lines that neither continue nor are continued: table rows, headings, fences, rules."""
_SHORT_LINE = 60
_READS_ON = _words(
    "a an the of and or nor to in on at by for with from into as than that which if but is are was be "
    "any all each such this these no not its their his her our your between under upon"
)


def _blocks(text: str) -> Iterator[Span]:
    """Lines, those that were only wrapped made one; list markers are left out."""
    for lines in _paragraphs(text):
        wrapped = any(_begins_low(text, start) for start, _ in lines[1:])
        block: Span | None = None
        for start, end in lines:
            begin = found.end() if (found := _MARKER.match(text, start, end)) else start
            if block and not found and _reads_on(text, block, (start, end), wrapped=wrapped):
                block = block[0], end
                continue
            if block:
                yield block
            block = begin, end
        if block:
            yield block


def _paragraphs(text: str) -> Iterator[list[Span]]:
    """Runs of lines that no empty one parts."""
    lines: list[Span] = []
    for found in _LINE.finditer(text):
        start, end = found.span()
        blank = not found[0].strip()
        if lines and (blank or not _adjoin(text, lines[-1][1], start)):
            yield lines
            lines = []
        if not blank:
            lines.append((start, end))
    if lines:
        yield lines


def _adjoin(text: str, end: int, start: int) -> bool:
    return start - end == 1 or text[end:start] == "\r\n"


def _begins_low(text: str, start: int) -> bool:
    return text[start : start + 40].lstrip()[:1].islower()


def _reads_on(text: str, block: Span, line: Span, *, wrapped: bool) -> bool:
    """Whether the line goes on with what the block says."""
    last = max(block[0], text.rfind("\n", *block) + 1)
    if _ALONE.match(text, last, block[1]) or _ALONE.match(text, *line):
        return False
    before = text[max(last, block[1] - _SHORT_LINE) : block[1]].rstrip()
    if before.endswith((":", ":-")):
        return False
    if _begins_low(text, line[0]) or before.endswith((",", "-", "\u2013", "\u2014")):
        return True
    if before.rpartition(" ")[2] in _READS_ON:
        return True
    return wrapped and not before.endswith(";") and block[1] - last >= _SHORT_LINE


# Marks that end a sentence, the quotes, brackets and emphasis they close, and citations after them.
_CITED = r"[\[\u3010][^\[\]\u3010\u3011\n]{0,40}\d[^\[\]\u3010\u3011\n]{0,40}[\]\u3011]"
_END = re.compile(
    r"(?<![.!?\u2026])[.!?\u2026]++[\"'\u201d\u2019\xbb)\]*_]*+(?=[\s\[\u3010])"
    r"|[\u3002\uff01\uff1f\uff61]++[\u201d\u2019\u300d\u300f\uff09]*+"
)
_CITATIONS = re.compile(rf"(?:{_CITED}){{1,5}}+(?=\s|\Z)")
_LATER_CITATIONS = re.compile(rf"(?:[ \t]?{_CITED}){{1,5}}+(?=\s|\Z)")
_OPENS_WITH_CITATION = re.compile(_CITED)
_LAST_WORD = re.compile(r"[^\s()\[\]\"'\u201c\u2018*_]*\Z")
_NEXT_WORD = re.compile(r"\s*+[\"'\u201c\u2018(*_]{0,4}([^\W\d_]*)")
_WORD_LENGTH = 24
_INLINE_NUMBER = re.compile(r"(?:\A|[:;]\s+)\(?\d{1,2}\Z")
_INITIALS = re.compile(r"[a-z](?:\.[a-z]){1,5}\Z")

_BEFORE_A_NAME = _words(
    "mr mrs ms dr prof rev hon messrs mme sgt capt lt col gen maj cmdr gov sen rep pres supt st mt vs v "
    "cf viz approx esp incl resp e.g i.e"
)
_BEFORE_A_NUMBER = _words(
    "no nos nr vol vols pp p ed eds fig figs sec secs s ss art arts para paras ch eq ref refs app cl cls "
    "ex exh sched reg pt pts max min ca c tel ext jan feb mar apr jun jul aug sep sept oct nov dec"
)
_MAY_END = _words(
    "inc ltd co corp llc plc llp etc al jr sr hr hrs mins lbs lb oz ft ave blvd rd hwy dept est univ assn "
    "bros ph.d esq"
)
_OPENERS = _words(
    "the a an this that these those it its he she they we you i in on at for if as when while however but "
    "and so there here what who where why how my our his her their to by with from after before under "
    "according although because since also then no not please all any each both some many most is are do "
    "does did can could would should may such unless upon nothing neither either"
)
"""Words that begin a sentence when they stand capitalised after an abbreviation."""


def _split(text: str, start: int, end: int) -> Iterator[Span]:
    cited_first = _OPENS_WITH_CITATION.match(text, start, end)
    citations = _CITATIONS if cited_first else _LATER_CITATIONS
    for found in _END.finditer(text, start, end):
        stop = found.end()
        if stop < start or not _ends(text, start, found, end):
            continue
        if cited := citations.match(text, stop, end):
            stop = cited.end()
        yield from _said(text, start, stop)
        start = stop
    yield from _said(text, start, end)


def _said(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if any(map(str.isalnum, text[start:end])):
        yield start, end


def _ends(text: str, start: int, found: re.Match[str], end: int) -> bool:
    """Whether a sentence that began at `start` ends with the mark that was found."""
    mark = found[0]
    following = _NEXT_WORD.match(text, found.end(), end)
    word = following[1] if following else ""
    if word[:1].islower() and not word[1:2].isupper():
        return mark == "?"
    if mark != ".":
        return True
    return _is_full_stop(text, start, found.start(), word, _next_character(text, found.end(), end))


def _next_character(text: str, start: int, end: int) -> str:
    return text[start : min(end, start + _WORD_LENGTH)].lstrip()[:1]


def _is_full_stop(text: str, start: int, dot: int, word: str, character: str) -> bool:
    """Whether the dot ends a sentence, and not only an abbreviation, an initial, a number in a list."""
    before = text[max(start, dot - _WORD_LENGTH) : dot]
    if _INLINE_NUMBER.search(before.lstrip()):
        return False
    last = found[0].lower() if (found := _LAST_WORD.search(before)) else ""
    opens = word.lower() in _OPENERS
    if last in _BEFORE_A_NAME:
        return False
    if last in _BEFORE_A_NUMBER:
        return not character.isdigit()
    if last in _MAY_END or _INITIALS.match(last) or (len(last) == 1 and last.isalpha()):
        return opens or not character
    return True
