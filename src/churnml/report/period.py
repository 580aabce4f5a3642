"""The quarter that the report speaks of, and the one before it to the same day. Owns these dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Period:
    """[start, end) is the quarter to date, [before_start, before_end) as many days of the one before, or
    all of it where it is shorter. whole: the quarter is over at `end`."""

    start: datetime
    end: datetime
    before_start: datetime
    before_end: datetime
    whole: bool

    @property
    def year(self) -> int:
        """The calendar year."""
        return self.start.year

    @property
    def quarter(self) -> int:
        """1 to 4."""
        return (self.start.month - 1) // 3 + 1


def period_of(as_of: datetime) -> Period:
    """The calendar quarter that the day before `as_of` lies in: at its first midnight nothing is known of
    a quarter yet."""
    last_day = as_of - timedelta(days=1)
    start = datetime(last_day.year, (last_day.month - 1) // 3 * 3 + 1, 1)
    before = _quarters_on(start, -1)
    return Period(
        start=start,
        end=as_of,
        before_start=before,
        before_end=min(before + (as_of - start), start),
        whole=as_of == _quarters_on(start, 1),
    )


def _quarters_on(start: datetime, quarters: int) -> datetime:
    month = start.year * 12 + start.month - 1 + 3 * quarters
    return datetime(month // 12, month % 12 + 1, 1)
