"""Whether a text is English, told by the small words that every sentence of a language has."""

import re

__all__ = ["is_english"]

_WORD = re.compile(r"[^\W\d_]+")
_READ = 3000
"""Characters; so many show what a text is."""
_FEWEST_WORDS = 3
_OTHER_SCRIPT = 0.3
_LATIN_ENDS = "\u024f"

_ENGLISH = (
    "the of and to is that with by are from this it its which have had were been their but they who shall may "
    "would be not or if any each other such than there when where what how can could should must into "
    "about under between after before more most some all these those his she we you your our my does did "
    "for at only same both however during because while then one two out up"
)
# Words of both, such as `die`, `was` or `in`, tell nothing and are on neither list.
_OTHERS = (
    "der das und ist nicht ein eine einen einer eines einem mit f\u00fcr von zu den dem des auf im sich auch wird sind "
    "bei aus nach wurde wurden werden \u00fcber oder dass durch zum zur als wie noch nur sie er es ihre seine diese dieser "
    "dieses kann k\u00f6nnen haben hatte waren vor zwischen unter jedoch "
    "le la les du et est une un dans que qui pas sur avec il elle sont \u00e9t\u00e9 aux ce cette ces leur ont "
    "el los las una por con como m\u00e1s del y se su sus al lo en fue fueron eran tambi\u00e9n entre desde hasta sobre "
    "pero cuando donde este esta estos estas ser "
    "gli che di sono della nel \u00e8 dei delle alla "
    "och att det som av \u00e4r p\u00e5 inte till het een niet voor zijn werd ook "
    "os um uma n\u00e3o com foi ao dos das na mais pelo "
    "og ikke til er jest w z si\u0119 nie ve bir bu i\u00e7in je ja ei ett\u00e4 oli"
)
_SMALL_WORDS: dict[str, int] = {
    **dict.fromkeys(_OTHERS.split(), -1),
    **dict.fromkeys(_ENGLISH.split(), 1),
}


def is_english(text: str) -> bool | None:
    """Whether it is; None if it is too short to tell, or has no small words, as headings and names have."""
    words: list[str] = _WORD.findall(text[:_READ])
    if len(words) < _FEWEST_WORDS:
        return None
    if sum(word[0] > _LATIN_ENDS for word in words) > _OTHER_SCRIPT * len(words):
        return False
    votes = sum(_vote(*each) for each in zip(["", *words], words, [*words[1:], ""], strict=False))
    return votes > 0 if votes else None


def _vote(before: str, word: str, after: str) -> int:
    """Capitals within a sentence are names, and so is what goes with them: Los Angeles, Charles de Gaulle."""
    vote = _SMALL_WORDS.get(word if before else word.casefold(), 0)
    of_a_name = (not before or before[0].isupper()) and after[:1].isupper()
    return 0 if vote < 0 and of_a_name else vote
