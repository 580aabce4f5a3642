"""The dates on which snapshots are taken. Owns their choice; knows no account."""

from __future__ import annotations

from datetime import datetime, timedelta

from churnml.config import CalendarConfig
from churnml.errors import ConfigError
from churnml.timeline import as_moment, floor_day

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HISTORY_DAYS = 28  # a snapshot before this much log says more about the log than the account


def as_of_dates(
    calendar: CalendarConfig, first_event_at: datetime, data_through: datetime
) -> tuple[datetime, ...]:
    """The midnights of the calendar, ascending, none later than `data_through`.

    Raises: ConfigError if a listed date is later than the data, or no date is left.
    """
    if calendar.dates:
        listed = sorted({as_moment(date) for date in calendar.dates})
        for date in listed:
            check_within(date, first_event_at, data_through, "calendar.dates")
        return tuple(listed)
    start = (
        as_moment(calendar.start)
        if calendar.start
        else floor_day(first_event_at) + timedelta(days=HISTORY_DAYS)
    )
    end = min(as_moment(calendar.end), data_through) if calendar.end else data_through
    dates = _months(start, end) if calendar.every == "month" else _weeks(start, end, calendar)
    if not dates:
        raise ConfigError(
            f"calendar: no {calendar.every} begins between {start:%Y-%m-%d} and {end:%Y-%m-%d}. "
            f"Expected at least one as_of in the data (events run from {first_event_at:%Y-%m-%d} "
            f"to {data_through:%Y-%m-%d}). Widen calendar.start and calendar.end, or add data."
        )
    return tuple(dates)


def check_within(
    as_of: datetime, first_event_at: datetime, data_through: datetime, name: str
) -> None:
    """Raises: ConfigError if nothing could be known at `as_of`, or it lies after the data."""
    if as_of > data_through or as_of < first_event_at:
        raise ConfigError(
            f"{name}: found {as_of:%Y-%m-%d}, a date without data. Expected a date from "
            f"{first_event_at:%Y-%m-%d} to {data_through:%Y-%m-%d}, which is what the events "
            "cover. Choose one of these, or add data."
        )


def _weeks(start: datetime, end: datetime, calendar: CalendarConfig) -> list[datetime]:
    date = start + timedelta(days=(WEEKDAYS.index(calendar.weekday) - start.weekday()) % 7)
    dates = []
    while date <= end:
        dates.append(date)
        date += timedelta(days=7)
    return dates


def _months(start: datetime, end: datetime) -> list[datetime]:
    date = start if start.day == 1 else _next_month(start)
    dates = []
    while date <= end:
        dates.append(date)
        date = _next_month(date)
    return dates


def _next_month(date: datetime) -> datetime:
    return datetime(date.year + date.month // 12, date.month % 12 + 1, 1)
