"""Whether words are of another language than English, the only one whose words are known here."""

from collections.abc import Sequence

from doctrail_core.grounding.embedded.words import Word

__all__ = ["foreign"]

_OTHERS = (
    "der die das und ist nicht ein eine einen einer mit für von zu den dem des auf im sich auch wird sind war bei aus "
    "nach wurde werden über oder dass zum zur vom beim durch kann le la les du et est une un dans pour que qui pas sur par avec il elle sont été aux "
    "ce cette el los las una por con como más del y es se su al lo en fue son gli che di non per sono della nel è och att "
    "det som av är på inte för till het een van niet voor op te zijn werd ook o os um uma não com foi ao dos das na mais "
    "og ikke til er i jest w z się nie do ve bir bu için ile da ja on ei että oli не на что это как и по из для был"
)
_SMALL_WORDS = frozenset(_OTHERS.split())
_FEWEST, _READ = 2, 400
_FOREIGN_SCRIPT = 0.3


def foreign(found: Sequence[Word]) -> bool:
    """Whether more small words of other languages than of English stand there, or other letters than ours."""
    head = found[:_READ]
    if not head:
        return False
    others = [word.text.casefold() for word in head if word.text.casefold() in _SMALL_WORDS]
    english = sum(word.kind == "function" for word in head)
    unread = sum(word.text[0] > "\u024f" for word in head)
    if unread > _FOREIGN_SCRIPT * len(head):
        return True
    return len(set(others)) >= _FEWEST and len(others) > english
