import json
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail_core.text.snapshot import json_value


@pytest.mark.parametrize(
    ("value", "copied"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("text", "text"),
        (float("nan"), None),
        (float("-inf"), None),
        ((1, [2]), [1, [2]]),
        ({3, 1, 2}, [1, 2, 3]),
        ({1: "a", None: "b"}, {"1": "a", "None": "b"}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (Fraction(1, 2), 0.5),
        (Decimal("1.10"), "1.10"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (PurePosixPath("a/b"), "a/b"),
        (date(2026, 2, 28), "2026-02-28"),
        (datetime(2026, 2, 28, tzinfo=UTC), "2026-02-28 00:00:00+00:00"),
        (b"\x00", "b'\\x00'"),
        ("a\ud800", "a\ufffd"),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        pytest.param(10**5000, "<unreadable int>", id="an integer too long to print"),
    ],
)
def test_a_value_is_copied_as_json_would_say_it(value, copied):
    assert json_value(value) == copied


def test_a_copy_shares_nothing_with_the_original():
    original = {"a": [1]}
    copied = json_value(original)
    original["a"].append(2)
    assert copied == {"a": [1]}


def test_functions_and_objects_become_descriptions_without_addresses():
    assert json_value(lambda: 0) == (
        "<function test_functions_and_objects_become_descriptions_without_addresses.<locals>.<lambda>>"
    )
    assert json_value(object()) == "<object object>"


class Loud:
    def __repr__(self):
        return "x" * 100_000


class Broken(dict):
    def __repr__(self):
        raise RuntimeError("no")

    def items(self):
        raise RuntimeError("no")


def test_a_long_repr_is_cut_at_two_hundred_characters():
    assert json_value(Loud()) == "x" * 200 + "… (99800 more characters)"


def test_a_long_string_is_cut_and_says_so():
    assert json_value("y" * 5000) == "y" * 4096 + "… (904 more characters)"


def test_a_value_that_cannot_be_read_costs_itself_only():
    assert json_value({"a": 1, "b": Broken()}) == {"a": 1, "b": "<unreadable Broken>"}


def test_a_cycle_is_named_but_a_value_used_twice_is_copied_twice():
    shared = [1]
    cycle = {"twice": [shared, shared]}
    cycle["self"] = cycle
    assert json_value(cycle) == {"twice": [[1], [1]], "self": "<cycle>"}


def test_depth_is_bounded():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert json_value(deep) == [[[[[[[["<list nested too deep>"]]]]]]]]


def test_a_container_keeps_its_first_items_and_counts_the_others():
    assert json_value(list(range(300)))[255:] == [255, "… 44 more"]
    assert json_value({i: i for i in range(300)})["…"] == "44 more"


def test_the_whole_is_bounded_however_it_is_spread():
    wide = [["z" * 4000] * 250] * 250
    assert len(json.dumps(json_value(wide))) < 2_000_000


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.dates()
    | st.decimals()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner)
    ),
)


@given(values)
def test_a_snapshot_is_strict_json_in_utf8_and_its_own_snapshot(value):
    copied = json_value(value)
    text = json.dumps(copied, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert json.loads(text) == copied
    assert json_value(copied) == copied
