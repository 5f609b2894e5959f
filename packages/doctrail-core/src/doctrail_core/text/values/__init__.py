"""The values that texts state, such as dates, money, percents, durations, and whether two are the same."""

from doctrail_core.text.values.comparison import Comparison, compare
from doctrail_core.text.values.reading import values_in
from doctrail_core.text.values.value import Bound, Value, ValueKind

__all__ = ["Bound", "Comparison", "Value", "ValueKind", "compare", "values_in"]
