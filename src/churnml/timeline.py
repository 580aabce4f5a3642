"""Moments and days in UTC. Owns conversions between dates, moments and day numbers; reads no clock.

All moments are naive and mean UTC. An `as_of` is a midnight: a snapshot at 2024-03-04 knows what was
knowable when 4 March began."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from churnml.errors import ConfigError

EPOCH = datetime(1970, 1, 1)
DAY = timedelta(days=1)


def as_moment(value: date | datetime | str, name: str = "date") -> datetime:
    """A date, datetime or ISO text as a naive UTC moment.

    Raises: ConfigError if the text is no ISO date or moment.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ConfigError(
                f"{name}: found {value!r}. Expected an ISO date such as 2024-03-31. Correct it."
            ) from None
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return datetime(value.year, value.month, value.day)


def as_of_midnight(value: date | datetime | str, name: str = "as_of") -> datetime:
    """A moment that must be a midnight. Raises: ConfigError if it has a time of day."""
    moment = as_moment(value, name)
    if moment != floor_day(moment):
        raise ConfigError(
            f"{name}: found {moment.isoformat()}. Expected a date without a time, because snapshots "
            "are taken at midnight UTC. Give the date alone."
        )
    return moment


def floor_day(moment: datetime) -> datetime:
    """The midnight at or before `moment`."""
    return datetime(moment.year, moment.month, moment.day)


def day_number(moment: datetime) -> int:
    """Whole days from 1970-01-01 to the midnight at or before `moment`."""
    return (moment - EPOCH).days


def from_day_number(days: int) -> datetime:
    """The midnight that is `days` after 1970-01-01."""
    return EPOCH + timedelta(days=days)
