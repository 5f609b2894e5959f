"""DOC-ID tags: the form in which a chunk shows the model which document it comes from.

    [DOC-ID: doc_4821, chunk 3, score: 0.87]
    The contract renewal deadline for enterprise accounts is February 28th.
    [/DOC-ID]

No chunk text, whatever it holds, can open or close a tag: look-alikes in it lose their bracket.
Tags are for the model and for people; lineage is never derived from reading them.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from math import isfinite

__all__ = ["TaggedBlock", "neutralise", "split_tagged", "tag", "tag_id"]

_CLOSING = "[/DOC-ID]"
_MAX_ID = 64
_DIGEST = 16
_SAFE_ID = re.compile(rf"[A-Za-z0-9._:@/#-]{{1,{_MAX_ID}}}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._:@/#-]")
_SHORTENED = re.compile(rf"#[0-9a-f]{{{_DIGEST}}}\Z")

_EDGE = re.compile(
    rf"(?P<opening>\[DOC-ID: {_SAFE_ID.pattern}(?:, chunk -?\d+)?(?:, score: -?\d+\.\d\d)?\])\n"
    r"|\n\[/DOC-ID\]"
)


@dataclass(frozen=True, slots=True)
class TaggedBlock:
    """A block that `tag` wrote: its opening line, and the text inside."""

    opening: str
    text: str

    @property
    def raw(self) -> str:
        return f"{self.opening}\n{self.text}\n{_CLOSING}"

    def around(self, text: str) -> "TaggedBlock":
        """Make the same block around another text, such as a piece of this one's."""
        return TaggedBlock(self.opening, neutralise(text))


def tag(
    text: str, *, document_id: str, chunk_index: int | None = None, score: float | None = None
) -> str:
    """Wrap a chunk's text; an absent index, and a score that is no finite number, are left out."""
    place = "" if chunk_index is None else f", chunk {chunk_index}"
    rated = "" if score is None or not isfinite(score) else f", score: {score:z.2f}"
    return TaggedBlock(f"[DOC-ID: {tag_id(document_id)}{place}{rated}]", neutralise(text)).raw


def split_tagged(text: str) -> list[TaggedBlock | str]:
    """Find the blocks that `tag` wrote and what lies between; joined, they are `text` again."""
    parts: list[TaggedBlock | str] = []
    opened: re.Match[str] | None = None
    done = 0
    for edge in _EDGE.finditer(text):
        if edge["opening"]:
            opened = edge
        elif opened:
            parts += (text[done : opened.start()],) if done < opened.start() else ()
            parts.append(TaggedBlock(opened["opening"], text[opened.end() : edge.start()]))
            opened, done = None, edge.end()
    return parts + ([text[done:]] if done < len(text) else [])


def neutralise(text: str) -> str:
    """Take the bracket from whatever a model could read as a tag; all else stays as it is."""
    return _LOOK_ALIKE.sub(lambda found: f"({'/' if found['slash'] else ''}doc id", text)


def tag_id(document_id: str) -> str:
    """Map ids to the tag's alphabet, no two to the same: changed ones end in a digest of their own.

    An id that ends like a changed one is changed as well; else it could pass for another's.
    """
    if _SAFE_ID.fullmatch(document_id) and not _SHORTENED.search(document_id):
        return document_id
    digest = hashlib.sha256(document_id.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    return f"{_UNSAFE.sub('_', document_id[: _MAX_ID - _DIGEST - 1])}#{digest}"


# Letters of other scripts that look Latin; compatibility forms do not unify them.
_HOMOGLYPHS = {
    "d": "\u0500\u0501",
    "o": "\u041e\u043e\u039f\u03bf\u0555\u0585",
    "c": "\u0421\u0441\u03f2\u03f9",
    "i": "\u0406\u0456\u0399\u03b9\u04c0\u04cf",
}
# Where Unicode keeps its styled Latin letters: raised and lowered, Roman numerals, circled,
# full-width, mathematical, squared.
_STYLED = (
    *(*range(0x1D2C, 0x1DC0), *range(0x2071, 0x218A), *range(0x24B6, 0x24EA)),
    *(*range(0xFF21, 0xFF5B), *range(0x1D400, 0x1D800), *range(0x1F130, 0x1F18A)),
)
_PLAIN = {form: unicodedata.normalize("NFKC", form).casefold() for form in map(chr, _STYLED)}
# White space, dashes, and what does not show: zero-width, bidi, joiners, fillers, marks, tags.
# The gaps are possessive: nothing in them can be the next letter, so no text makes them slow.
_GAP = (
    r"[\s_\-\xad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u2010-\u2015\u202a-\u202e\u2043\u2060-\u206f\u20d0-\u20f0\u2212\u30fb\u3164\ufe00-\ufe0f"
    r"\ufe20-\ufe2f\ufe58\ufe63\ufeff\uff0d\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef]*+"
)
_BRACKET = (
    r"(?:[\[<\xab\u2039\u2045\u2329\u276c\u276e\u2770\u27e6\u27e8\u27ea\u298b\u3008\u300a\u300c"
    r"\u300e\u3010\u3014\u3016\u3018\u301a\ufe47\ufe5d\ufe64\uff1c\uff3b]"
    r"|&(?:#0*+(?:91|60)|#[xX]0*+(?:5[bB]|3[cC])|lsqb|lbrack|lt|LT);)"
)
_SLASH = r"(?P<slash>[/\\\u2044\u2215\u29f8\uff0f\uff3c])"


def _letter(plain: str) -> str:
    """Match any form of a Latin letter."""
    styled = "".join(form for form, meant in _PLAIN.items() if meant == plain)
    return f"[{plain}{plain.upper()}{_HOMOGLYPHS[plain]}{styled}]"


_LOOK_ALIKE = re.compile(
    f"{_BRACKET}{_GAP}(?:{_SLASH}{_GAP})?{_GAP.join(_letter(plain) for plain in 'docid')}"
)
