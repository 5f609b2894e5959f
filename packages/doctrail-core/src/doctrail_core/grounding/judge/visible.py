"""What a judge gets to see of a text that strangers wrote.

Characters that do not show are left out: they carry instructions that no reader sees. An opening bracket
never touches what follows it, so that nothing in a text is one of our boundaries, or a chat template's.
"""

import re

__all__ = ["HOLE", "INVISIBLE", "visible"]

HOLE = re.compile(r" {8,}")
"""So many blanks in a row are characters that did not arrive."""

# Controls, soft hyphens, fillers, zero-width spaces, bidi controls, variation selectors, tags. The two
# joiners stay, since scripts need them.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e"
    "\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_UNPAIRED = re.compile("[\ud800-\udfff]")
_OPENING = re.compile(
    r"(?:[<\xab\u02c2\u1438\u2039\u226a\u22d8\u2329\u276c\u276e\u2770\u27e8\u27ea\u2991\u2993\u2995\u29fc\u3008"
    r"\u300a\ufe3d\ufe3f\ufe64\uff1c]|&(?:#0*+60|#[xX]0*+3[cC]|lt|LT);)(?=\S)"
)
_TEMPLATE = re.compile(r"\[(?=/?(?:INST|SYS)\])")


def visible(text: str) -> str:
    """The text as it may be shown."""
    shown = _UNPAIRED.sub("\ufffd", INVISIBLE.sub("", text))
    shown = HOLE.sub(" [...] ", shown)
    return _TEMPLATE.sub("[ ", _OPENING.sub(r"\g<0> ", shown))
