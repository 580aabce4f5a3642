"""The arithmetic of trends and shares when a measure's last 28 days become others. Owns the formulas;
follow.py says of which columns.

The last four weeks are scaled alike. What they were is exact where the row tells it, and taken as even
where it doesn't (the weeks between the last one and the four before them)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from churnml.features.spec import Cadence, Change, Difference, Measure, Ratio, Share, Slope

FloatArray = npt.NDArray[np.float64]
DAYS = 28  # the stretch that is moved: the window in which most features are told
LONG, SHORT = 90, 7


@dataclass(frozen=True, eq=False)
class Stretch:
    """What is known of one measure, counted.

    was, then: in the last 28 days, as it is and as it would be, (n,). week: in the last 7 days. before: in
    the 28 before, NaN where it cannot be known. counted_90d: NaN where no column tells it.
    """

    was: float
    then: FloatArray
    week: float
    before: float
    counted_90d: float
    adds_up: bool


def trend(fn: Change | Cadence | Slope, value: float, of: Stretch) -> FloatArray | None:
    """The trend as it would be, (n,); None where it stays as it is, NaN where that is not known."""
    match fn:
        case Change(_, days):
            # A week on the week before: both lie in the stretch, and are scaled alike.
            return value + (of.then - of.was) / of.before if days == DAYS else None
        case Cadence(_, _, 4):
            return value * of.then / of.was if of.was > 0 else of.then / of.before
        case Cadence(_, weeks, 1):
            if not of.was > 0:
                return of.then / of.before
            if not (of.week > 0 and value > 0):
                return None
            others = of.was - of.week if of.adds_up else 3 * of.week
            usual = of.week / value + (of.then / of.was - 1) * others / weeks
            told: FloatArray = of.week * of.then / of.was / usual
            return told
        case Slope(_, weeks):
            return _slope(value, weeks, of)
    return None


def _slope(slope: float, weeks: int, of: Stretch) -> FloatArray:
    mean = (of.was + of.before) / 8 if weeks == 8 else of.counted_90d * 7 / LONG
    days = np.arange(weeks) - (weeks - 1) / 2
    if of.was > 0:
        pull = days[-1] * of.week + days[-4:-1].mean() * (of.was - of.week)
        added = (of.then / of.was - 1) * pull
    else:
        added = days[-4:].sum() * of.then / 4
    told: FloatArray = slope * mean + added / (days**2).sum()
    return told / (mean + (of.then - of.was) / weeks)


def agree(
    fn: Share | Ratio | Difference,
    value: float,
    up: tuple[float, FloatArray],
    down: tuple[float, FloatArray],
) -> FloatArray:
    """What two sides make when they become others, (n,). up, down: what each was, and would be."""
    if isinstance(fn, Difference):
        return value + (up[1] - up[0]) - (down[1] - down[0])
    if isinstance(fn, Share) and fn.whole == Measure("count"):
        # What machines did stays: all events grow by what people add.
        whole = up[0] / value if value > 0 else np.nan
        return up[1] / (whole + up[1] - up[0])
    if up[0] > 0:
        told: FloatArray = value * (up[1] / up[0]) / (down[1] / down[0])
        return told
    times = fn.times if isinstance(fn, Ratio) else 1.0
    return times * up[1] / down[1]
