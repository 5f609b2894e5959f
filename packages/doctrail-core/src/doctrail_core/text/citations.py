"""The sources that an answer itself names, resolved against what was retrieved for it.

What is known comes before what is guessed: a bracketed word, the index of an array or a year is a
citation only if a chunk, a document or its file is called that. A number is a place in the prompt, from
1, or from 0 in an answer that cites a 0; an answer with a list of its sources says itself what it means.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from doctrail_core.model import Chunk, Citation, CitationState
from doctrail_core.text.sentences import sentences
from doctrail_core.text.spans import Span, merged, unexplained
from doctrail_core.text.tags import tag_id

__all__ = ["citations", "without_citations"]

_MOST = 256
"""Citations in one answer; no more are looked for."""


def citations(
    answer: str, chunks: Mapping[str, Chunk], arrived: Sequence[str]
) -> tuple[Citation, ...]:
    """The citations of an answer, resolved against the chunks of its prompt (ids in prompt order)."""
    if not _SIGN.search(answer) and not any(_is_named(answer, c) for c in chunks.values()):
        return ()
    names = _Names(chunks)
    mentions = sorted(islice(_mentions(answer, names), _MOST), key=lambda mention: mention.start)
    if not mentions:
        return ()
    numbers = _Numbers(answer, mentions, names, arrived)
    claims = _Claims(answer, mentions)
    resolved = [(each, numbers.chunk_ids(each) or names.chunk_ids(each)) for each in mentions]
    return tuple(
        _citation(each, ids, claims.of(each), frozenset(arrived))
        for each, ids in resolved
        if ids or not each.doubtful
    )


def without_citations(answer: str, cited: Sequence[Citation]) -> str:
    """The answer with blanks for its citations, so that offsets stay.

    A source that a sentence names in plain words is a part of what it says, and stays.
    """
    spans = [span for each in cited if (span := _brackets(answer, each, cited))]
    spans += _Claims(answer, cited).bare
    pieces: list[str] = []
    place = 0
    for start, end in merged(spans):
        pieces += (answer[place:start], " " * (end - start))
        place = end
    return "".join((*pieces, answer[place:]))


def _citation(
    mention: "_Mention", ids: Sequence[str], claim: Span | None, arrived: frozenset[str]
) -> Citation:
    there = [chunk_id for chunk_id in ids if chunk_id in arrived]
    state: CitationState = "ok" if there else "not_in_context" if ids else "unknown_id"
    start, end = claim or (None, None)
    return Citation(
        mention.start, mention.end, mention.cited, state, tuple(there or ids), start, end
    )


@dataclass(frozen=True, slots=True)
class _Mention:
    """Characters `[start, end)` name a source: by a name, or by no more than a number.

    `index` is the number of the chunk within the document that is named; `doubtful` tells that it is no
    citation unless something is called that.
    """

    start: int
    end: int
    cited: str
    number: int | None = None
    index: int | None = None
    doubtful: bool = False


# What may be a mention

# Every answer is searched for this: no letter comes first that would have to be tried everywhere.
_SIGN = re.compile(
    r"[\[\u3010]|\([^()\[\]\n]{0,60}[\d_./#]|[_#]\d"
    r"|(?:ources?|ocument|oc|assage|hunk|ontext|xcerpt|eferences?|ile)(?::|[ #]{1,2}\d)"
)
_BRACKETS = re.compile(
    r"(?P<fence>```)|(?P<code>`[^`\n]{1,200}`)"
    r"|(?P<glued>(?<=\w))?\[(?P<square>[^\[\]\n]{1,200})\](?P<used>\s?[=+]|\.\w)?"
    r"|\u3010(?P<lens>[^\u3010\u3011\n]{1,200})\u3011|\((?P<round>[^()\[\]\n]{1,200})\)"
    r"|\b(?P<label>sources?|references?|file):[ \t]{0,3}(?P<line>[^\n\[\]()`]{1,160})"
    r"|\b(?P<kind>Source|Document|Doc|Passage|Chunk|Context|Excerpt|Reference)[ #]{1,2}(?P<number>\d{1,3})(?![\w%]|\.\d)",
    re.IGNORECASE,
)
_KIND = re.compile(
    r"(?:see |cf\. |from )?(?:doc[ -]?id|documents?|docs?|sources?|src|chunks?|passages?|contexts?|excerpts?|snippets?"
    r"|references?|refs?|citations?|cite|file|id|node)[:\s#\xa0]{1,3}",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?=[^,;]*[A-Za-z])(?=[^,;]*[\d_./#-])[^\s,;]{3,200}(?:[,;]|\Z)")
_PIECE = re.compile(r"[^,;]+")
_ASIDE = re.compile(
    r"(?:p\.|pp\.|pages?|score|section|sec\.|lines?|para(?:graph)?|chapter|version|rank|similarity)[\s:]{0,2}\S",
    re.IGNORECASE,
)
_INDEX = re.compile(r"(?:chunk|index|part)[\s:#]{1,2}(\d{1,9})\Z", re.IGNORECASE)
_NUMBER = re.compile(r"\^?(\d{1,3})(?:\s?\u2020[^\n]{0,80})?\Z")
_RANGE = re.compile(r"(\d{1,3})\s?[-\u2013]\s?(\d{1,3})\Z")
_FILE = re.compile(
    r"[^,;:]{0,120}\.(?:pdf|docx?|txt|md|html?|xlsx?|csv|json|xml|pptx?)\Z", re.IGNORECASE
)
_LONGEST_RANGE = 20


def _mentions(answer: str, names: "_Names") -> Iterator[_Mention]:
    """In brackets and behind labels first; then what is named by an id or a file in plain words."""
    taken: list[Span] = []
    fence: int | None = None
    for match in _BRACKETS.finditer(answer):
        if match["fence"]:
            taken += ((fence, match.end()),) if fence is not None else ()
            fence = match.start() if fence is None else None
        elif fence is None and not match["code"] and not match["used"]:
            for mention in _read(match, names):
                taken.append((mention.start, mention.end))
                yield mention
    taken += ((fence, len(answer)),) if fence is not None else ()
    for start, end in unexplained(len(answer), taken):
        yield from names.mentioned(answer, start, end)


def _read(match: re.Match[str], names: "_Names") -> Iterator[_Mention]:
    if match["number"]:
        number = int(match["number"])
        yield _Mention(*match.span(), match[0], number, doubtful=match["kind"].islower())
    elif match["line"]:
        yield from _labelled(match, names)
    else:
        yield from _bracketed(match, names)


def _labelled(match: re.Match[str], names: "_Names") -> Iterator[_Mention]:
    """`Source: file.pdf`."""
    said = match["line"].strip(" .,*_\"'\u201c\u201d")
    if not said:
        return
    start = match.start("line") + match["line"].index(said)
    number = _NUMBER.match(said)
    if number or names.known(said) or _FILE.match(said):
        yield _Mention(start, start + len(said), said, int(number[1]) if number else None)


def _bracketed(match: re.Match[str], names: "_Names") -> Iterator[_Mention]:
    """What stands in brackets, which are one source or several."""
    group = next(name for name in ("square", "lens", "round") if match[name])
    kind = _KIND.match(match.string, *match.span(group))
    first = kind.end() if kind else match.start(group)
    whole = match.string[first : match.end(group)].strip()
    if group == "round" and not kind and not _TOKEN.match(whole):
        return
    if names.known(whole):
        yield _Mention(*match.span(), whole)
        return
    pieces = [_stripped(piece) for piece in _PIECE.finditer(match.string, first, match.end(group))]
    index = next((int(found[1]) for *_, said in pieces if (found := _INDEX.match(said))), None)
    sources = [piece for piece in pieces if piece[2] and not _ASIDE.match(piece[2])]
    sources = [piece for piece in sources if not _INDEX.match(piece[2])] or sources[:1]
    sure = bool(kind) or (group != "round" and not (match["glued"] and whole == "0"))
    for start, end, said in sources:
        place = match.span() if len(sources) == 1 else (start, end)
        yield from _source(place, said, names, index, kind=bool(kind), sure=sure)


def _stripped(piece: re.Match[str]) -> tuple[int, int, str]:
    said = piece[0].strip()
    start = piece.start() + piece[0].find(said)
    return start, start + len(said), said


def _source(
    place: Span, said: str, names: "_Names", index: int | None, *, kind: bool, sure: bool
) -> Iterator[_Mention]:
    """The source that a piece names; none, where it is but a word in brackets."""
    _, dagger, file = said.partition("\u2020")
    if dagger and names.known(file):
        yield _Mention(*place, file)
    elif names.known(said):
        yield _Mention(*place, said, index=index)
    elif sure and (number := _NUMBER.match(said)):
        yield _Mention(*place, said, int(number[1]))
    elif sure and (ends := _RANGE.match(said)):
        first, last = int(ends[1]), int(ends[2])
        if first <= last < first + _LONGEST_RANGE:
            yield from (_Mention(*place, said, number) for number in range(first, last + 1))
    elif (kind and " " not in said) or (sure and _FILE.match(said)) or names.alike(said):
        yield _Mention(*place, said, index=index)


# What is known

_FILE_KEYS = ("source", "file_path", "file_name", "filename", "url", "title", "name")
_EXTENSION = re.compile(r"\.[A-Za-z]{2,5}\Z")
_TELLING = re.compile(r"[^\s]{0,200}[\d_./#-]")
_SHORTEST_TELLING = 4
_SHORTEST_STEM = 3
_SERIES = re.compile(r"([A-Za-z]{2,20}[_#:/.-]?)\d[\w-]{0,40}\Z")
_WORD_BEFORE = re.compile(r"[\w/\\-]\Z|\w[.#:]\Z")
_WORD_AFTER = re.compile(r"[\w/\\-]|[.#:]\w")


def _is_named(answer: str, chunk: Chunk) -> bool:
    return (
        chunk.document_id in answer
        or chunk.chunk_id in answer
        or (chunk.source is not None and _last(chunk.source) in answer)
    )


def _telling_names(chunks: Mapping[str, Chunk]) -> set[str]:
    """Names that can be nothing else, in the midst of a sentence as well."""
    ids = {
        name for c in chunks.values() for name in (c.chunk_id, c.document_id, _last(c.source or ""))
    }
    return {name for name in ids if len(name) >= _SHORTEST_TELLING and _TELLING.match(name)}


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]


class _Names:
    """What the chunks, their documents and files are called."""

    def __init__(self, chunks: Mapping[str, Chunk]) -> None:
        self._chunks = chunks

    @cached_property
    def _ids(self) -> Mapping[str, Sequence[str]]:
        """The chunks of each name; what is the id of a chunk or document is no file's name."""
        found: dict[str, list[str]] = {}
        for chunk_id, chunk in self._chunks.items():
            found.setdefault(chunk.chunk_id.casefold(), []).append(chunk_id)
        for names in (_document_names, _file_names):
            known = frozenset(found)
            for chunk_id, chunk in self._chunks.items():
                for name in {name.casefold() for name in names(chunk)} - known:
                    found.setdefault(name, []).append(chunk_id)
        return found

    @cached_property
    def _series(self) -> frozenset[str]:
        """What ids that are numbered begin with: `doc_` of `doc_4821`."""
        ids = {i for c in self._chunks.values() for i in (c.chunk_id, c.document_id)}
        return frozenset(found[1] for each in ids if (found := _SERIES.match(each)))

    def known(self, said: str) -> bool:
        return _plain(said) in self._ids

    def alike(self, said: str) -> bool:
        """Whether it looks like the id of a chunk or document, known or not."""
        found = _SERIES.match(said)
        return bool(found) and found[1] in self._series

    def chunk_ids(self, mention: _Mention) -> Sequence[str]:
        """The chunks of that name; with an index, the ones that have it, if any has one."""
        ids = self._ids.get(_plain(mention.cited), ())
        if mention.index is None or all(self._chunks[i].index is None for i in ids):
            return ids
        return [i for i in ids if self._chunks[i].index == mention.index]

    def mentioned(self, answer: str, start: int, end: int) -> Iterator[_Mention]:
        """Ids and files that stand there in plain words, and unknown ids of a known series."""
        for name in _telling_names(self._chunks):
            for place in _places(answer, name, start, end):
                if _stands_alone(answer, place, place + len(name)):
                    yield _Mention(place, place + len(name), name)
        for series in self._series:
            for place in _places(answer, series, start, end) if series[-1] in "_#" else ():
                found = _SERIES_MEMBER.match(answer, place)
                if found and not self.known(found[0]) and _stands_alone(answer, *found.span()):
                    yield _Mention(*found.span(), found[0])


_SERIES_MEMBER = re.compile(r"[A-Za-z]{2,20}[_#]\d[\w-]{0,40}")


def _plain(said: str) -> str:
    return said.strip(" \t`'\"*\u201c\u201d\u2018\u2019").casefold()


def _document_names(chunk: Chunk) -> Iterable[str]:
    return chunk.document_id, tag_id(chunk.document_id)


def _file_names(chunk: Chunk) -> Iterator[str]:
    for path in (chunk.source, *(chunk.metadata.get(key) for key in _FILE_KEYS)):
        if isinstance(path, str) and path.strip():
            name = _last(path)
            stem = _EXTENSION.sub("", name)
            yield from (path, name) if len(stem) < _SHORTEST_STEM else (path, name, stem)


def _places(text: str, part: str, start: int, end: int) -> Iterator[int]:
    place = text.find(part, start, end)
    while place >= 0:
        yield place
        place = text.find(part, place + len(part), end)


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = _WORD_BEFORE.search(text[max(0, start - 2) : start])
    return not before and not _WORD_AFTER.match(text, end)


class _Numbers:
    """What the numbers of one answer mean."""

    def __init__(
        self, answer: str, mentions: Sequence[_Mention], names: _Names, arrived: Sequence[str]
    ) -> None:
        self._arrived = arrived
        numbers = [mention.number for mention in mentions if mention.number is not None]
        self._first = 0 if 0 in numbers and max(numbers) < len(arrived) else 1
        self._listed = dict(_listed(answer, names)) if numbers else {}

    def chunk_ids(self, mention: _Mention) -> Sequence[str]:
        if mention.number is None:
            return ()
        if mention.number in self._listed:
            return self._listed[mention.number]
        place = mention.number - self._first
        return [self._arrived[place]] if 0 <= place < len(self._arrived) else ()


_LISTED = re.compile(r"^[ \t]{0,8}\[\^?(\d{1,3})\]:?[ \t]{1,4}([^\n]{1,200})$", re.MULTILINE)


def _listed(answer: str, names: _Names) -> Iterator[tuple[int, Sequence[str]]]:
    """The list of sources in the answer itself: `[1] contract.pdf`."""
    for line in _LISTED.finditer(answer):
        said = line[2].strip(" .")
        for named in (_Mention(0, len(said), said), *names.mentioned(said, 0, len(said))):
            if ids := names.chunk_ids(named):
                yield int(line[1]), ids
                break


class _Claims:
    """Which sentence a citation is given for: the one it stands in, or before it if it stands alone."""

    def __init__(self, answer: str, mentions: Sequence[_Mention] | Sequence[Citation]) -> None:
        self._answer = answer
        self._mentions = mentions
        self._spans = sentences(answer)
        self._starts = [start for start, _ in self._spans]
        self._mention_starts = [mention.start for mention in mentions]
        self._bare: dict[int, bool] = {}

    def of(self, mention: _Mention) -> Span | None:
        at = max(0, bisect_right(self._starts, mention.start) - 1)
        for place in (at, at - 1):
            if 0 <= place < len(self._spans) and not self._is_bare(place):
                return self._spans[place]
        return None

    @property
    def bare(self) -> list[Span]:
        """The sentences that say nothing but what their sources are."""
        return [span for place, span in enumerate(self._spans) if self._is_bare(place)]

    def _is_bare(self, place: int) -> bool:
        """Whether the sentence says nothing but what its sources are."""
        if place not in self._bare:
            start, end = self._spans[place]
            first, last = (bisect_left(self._mention_starts, edge) for edge in (start, end))
            named = self._mentions[first:last]
            self._bare[place] = _only_names(self._answer, (start, end), named)
        return self._bare[place]


_SOURCE_WORDS = re.compile(r"\b(?:sources?|references?|citations?|cited|see|file)\b", re.IGNORECASE)


def _left(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    return unexplained(end - start, ((a - start, b - start) for a, b in spans))


_WIDEST = 200
_SQUARE_EDGE = re.compile(r"[\[\]\n]")
_ROUND_EDGE = re.compile(r"[()\n]")


def _brackets(answer: str, cited: Citation, others: Sequence[Citation]) -> Span | None:
    """The brackets that a citation is, or stands in with others."""
    start, end = cited.start, cited.end
    if answer[start] in "[(\u3010":
        return start, end
    square = _around(answer, start, end, "[]", _SQUARE_EDGE)
    aside = None if square else _around(answer, start, end, "()", _ROUND_EDGE)
    # What stands in round brackets may be a claim of its own.
    return square or (aside if aside and _only_names(answer, aside, others) else None)


def _around(answer: str, start: int, end: int, pair: str, edge: re.Pattern[str]) -> Span | None:
    opened = answer.rfind(pair[0], max(0, start - _WIDEST), start)
    closed = answer.find(pair[1], end, end + _WIDEST)
    inside = opened >= 0 and closed >= 0 and not edge.search(answer, opened + 1, closed)
    return (opened, closed + 1) if inside else None


def _only_names(answer: str, span: Span, mentions: Iterable[_Mention | Citation]) -> bool:
    """Whether the characters say nothing but what sources are called."""
    start, end = span
    within = (m for m in mentions if start < m.end and m.start < end)
    named = ((max(m.start, start), min(m.end, end)) for m in within)
    rest = " ".join(answer[start + a : start + b] for a, b in _left(named, start, end))
    return not any(map(str.isalnum, _SOURCE_WORDS.sub("", rest)))
