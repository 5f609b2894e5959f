"""How times and grades lie in a column: as numbers that sort as what they mean."""

from datetime import UTC, datetime, timedelta

from doctrail_core.model import GRADES, Grade, Involvement

__all__ = ["grade_of_rank", "involvement", "microseconds", "moment", "rank_of_grade"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_BY_RANK = GRADES[::-1]
_RANKS: dict[Grade, int] = {grade: rank for rank, grade in enumerate(_BY_RANK)}


def microseconds(time: datetime) -> int:
    """Whole ones since the epoch; a time without a zone is taken as UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MICROSECOND


def moment(time_us: int) -> datetime:
    return _EPOCH + time_us * _MICROSECOND


def rank_of_grade(grade: Grade) -> int:
    """The larger, the stronger; 0 is the weakest."""
    return _RANKS[grade]


def grade_of_rank(rank: int) -> Grade:
    return _BY_RANK[rank]


def involvement(grade: Grade, *, indirect: bool) -> Involvement | None:
    """How a source reached the answer; None for one that was only retrieved."""
    if indirect:
        return "indirect"
    return None if grade == "retrieved" else "direct"
