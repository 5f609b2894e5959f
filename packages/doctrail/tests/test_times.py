"""Points in time as people type them."""

from argparse import ArgumentTypeError
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctrail.times import since, until


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


def test_a_date_begins_at_midnight_and_a_to_includes_it():
    assert since("2026-11-22") == utc(2026, 11, 22)
    assert until("2026-11-22") == utc(2026, 11, 23)
    assert until("2026-12-31") == utc(2027, 1, 1)


def test_a_timestamp_means_what_it_says():
    for read in (since, until):
        assert read("2026-11-22T14:30") == utc(2026, 11, 22, 14, 30)
        assert read("2026-11-22T14:30:00+01:00") == utc(2026, 11, 22, 13, 30)
        assert read("2026-11-22T14:30:00Z") == utc(2026, 11, 22, 14, 30)


def test_the_last_of_all_days_has_an_end_too():
    assert until("9999-12-31") == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "22.11.2026", "\x1b[31m"])
def test_what_is_no_time_is_refused_with_an_example(text):
    with pytest.raises(ArgumentTypeError, match="is neither a date"):
        since(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_the_commands_print_can_be_typed_again(moment):
    assert since(moment.isoformat()) == until(moment.isoformat()) == moment


@given(st.dates())
def test_a_day_lies_between_its_from_and_its_to(day):
    assert since(day.isoformat()) < until(day.isoformat())


@given(st.text())
def test_no_text_makes_the_reading_of_times_fail_otherwise(text):
    with suppress(ArgumentTypeError):
        assert until(text).tzinfo is not None
