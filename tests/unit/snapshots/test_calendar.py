"""The calendar: which midnights are as_of dates."""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.config import CalendarConfig
from churnml.errors import ConfigError
from churnml.snapshots.calendar import as_of_dates

FIRST, THROUGH = datetime(2024, 1, 3, 9), datetime(2024, 12, 20)


@given(st.sampled_from(["monday", "thursday", "sunday"]), st.integers(60, 900))
def test_weekly_dates_are_seven_days_apart_and_inside_the_data(weekday: str, days: int) -> None:
    through = datetime.fromordinal(FIRST.toordinal() + days)
    dates = as_of_dates(CalendarConfig(weekday=weekday), FIRST, through)  # type: ignore[arg-type]
    assert all((b - a).days == 7 for a, b in itertools.pairwise(dates))
    assert {date.strftime("%A").lower() for date in dates} == {weekday}
    assert 28 <= (dates[0] - FIRST).days + 1 <= 35
    assert 0 <= (through - dates[-1]).days < 7


def test_monthly_dates_are_the_first_of_each_month() -> None:
    dates = as_of_dates(CalendarConfig(every="month"), FIRST, THROUGH)
    assert dates[0] == datetime(2024, 2, 1)
    assert dates[-1] == datetime(2024, 12, 1)
    assert len(dates) == 11


def test_a_listed_date_after_the_data_is_refused_in_words() -> None:
    calendar = CalendarConfig(dates=(datetime(2025, 3, 1).date(),))
    with pytest.raises(ConfigError, match="2025-03-01, a date without data"):
        as_of_dates(calendar, FIRST, THROUGH)


def test_a_calendar_without_a_single_date_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="no week begins"):
        as_of_dates(CalendarConfig(), FIRST, datetime(2024, 1, 20))
