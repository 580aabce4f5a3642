"""Where the marks of a chart stand. Owns scales and ticks; writes no SVG and no words.

Positions across are shares of the width (0-100, per cent) and positions down are pixels: the page
stretches a chart without stretching its text, so the same picture fits a phone and a wall."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from churnml.report.model import MOVES, CalibrationBin, LedgerMonth

FLOW_HEIGHT = 220
LEVEL_HEIGHT = 120


@dataclass(frozen=True)
class Tick:
    """A line across at `y` pixels that stands for `value`."""

    y: float
    value: float


@dataclass(frozen=True)
class Bar:
    """One part of a month's stack: what it is, where, and how much (minor units)."""

    move: str
    x: float
    width: float
    y: float
    height: float
    value: int


@dataclass(frozen=True)
class Slot:
    """One month across the width; `labelled` on every screen, or `wide` ones only."""

    month: LedgerMonth
    x: float
    middle: float
    width: float
    labelled: bool
    wide: bool


@dataclass(frozen=True)
class FlowChart:
    """Moves per month, stacked up and down from a line at `zero`."""

    height: int
    zero: float
    ticks: tuple[Tick, ...]
    slots: tuple[Slot, ...]
    bars: tuple[Bar, ...]
    moves: tuple[str, ...]


@dataclass(frozen=True)
class LevelChart:
    """MRR at the end of each month: points (x per cent, y pixels) and the lines between them."""

    height: int
    ticks: tuple[Tick, ...]
    slots: tuple[Slot, ...]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class CalibrationMark:
    """One bin, in per cent of both sides; y counts from the top. `radius` in pixels."""

    bin: CalibrationBin
    x: float
    y: float
    top: float
    bottom: float
    radius: float
    labelled: bool


@dataclass(frozen=True)
class CalibrationChart:
    """Predicted across, observed up, both from 0 to `most`."""

    most: float
    ticks: tuple[tuple[float, float], ...]  # (position in per cent, value)
    marks: tuple[CalibrationMark, ...]


def nice_step(span: float, parts: int) -> float:
    """A step of 1, 2, 2.5 or 5 times a power of ten, at least `span / parts`."""
    least = span / max(parts, 1)
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= least * 0.999)


def flow_chart(months: Sequence[LedgerMonth]) -> FlowChart | None:
    """Moves per month; None without months or moves."""
    ups = [sum(max(0, month.move(name)) for name in MOVES) for month in months]
    downs = [sum(min(0, month.move(name)) for name in MOVES) for month in months]
    high, low = max(ups, default=0), min(downs, default=0)
    if high == low == 0:
        return None
    step = nice_step(high - low, 5)
    top, bottom = math.ceil(high / step) * step, math.floor(low / step) * step
    scale = FLOW_HEIGHT / (top - bottom)
    slots = _slots(months)
    bars: list[Bar] = []
    for slot in slots:
        above = below = top * scale
        for name in MOVES:
            value = slot.month.move(name)
            height = abs(value) * scale
            if value > 0:
                above -= height
                bars.append(Bar(name, slot.x, slot.width, above, height, value))
            elif value < 0:
                bars.append(Bar(name, slot.x, slot.width, below, height, value))
                below += height
    seen = tuple(name for name in MOVES if any(month.move(name) for month in months))
    return FlowChart(FLOW_HEIGHT, top * scale, _ticks(bottom, top, step, scale), slots,
                     tuple(bars), seen)  # fmt: skip


def level_chart(months: Sequence[LedgerMonth]) -> LevelChart | None:
    """MRR at the end of each month, from 0; None for fewer than two months."""
    highest = max((month.end for month in months), default=0)
    if len(months) < 2 or highest <= 0:
        return None
    step = nice_step(highest, 3)
    top = math.ceil(highest / step) * step
    scale = LEVEL_HEIGHT / top
    slots = _slots(months)
    points = tuple((slot.middle, LEVEL_HEIGHT - slot.month.end * scale) for slot in slots)
    return LevelChart(LEVEL_HEIGHT, _ticks(0, top, step, scale), slots, points)


def calibration_chart(bins: Sequence[CalibrationBin]) -> CalibrationChart | None:
    """Predicted against observed; None without bins."""
    bins = [item for item in bins if item.rows > 0]
    if not bins:
        return None
    highest = max(max(item.predicted, item.observed) for item in bins)  # whiskers may be cut
    step = nice_step(min(1.0, max(highest, 0.02)), 4)
    most = min(1.0, math.ceil(highest / step * 0.999) * step)
    largest = max(item.rows for item in bins)
    marks: list[CalibrationMark] = []
    for item in bins:
        x, y = _per_cent(item.predicted, most), 100 - _per_cent(item.observed, most)
        # A count is written where it would not run into one that is written already.
        crowded = any(
            mark.labelled and abs(mark.x - x) < 14 and abs(mark.y - y) < 7 for mark in marks
        )
        marks.append(
            CalibrationMark(
                item,
                x,
                y,
                100 - _per_cent(_or(item.high, item.observed), most),
                100 - _per_cent(_or(item.low, item.observed), most),
                3.0 + 4.0 * math.sqrt(item.rows / largest),
                not crowded,
            )
        )
    count = round(most / step)
    ticks = tuple((100 * index / count, index * step) for index in range(count + 1))
    return CalibrationChart(most, ticks, tuple(marks))


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _per_cent(value: float, most: float) -> float:
    return 100 * min(max(value / most, 0.0), 1.0)


def _slots(months: Sequence[LedgerMonth]) -> tuple[Slot, ...]:
    each = 100 / len(months)
    bar = each * 0.62 if len(months) > 3 else 14.0
    last = len(months) - 1
    every, every_wide = math.ceil(len(months) / 4), math.ceil(len(months) / 12)
    return tuple(
        Slot(
            month,
            x=index * each + (each - bar) / 2,
            middle=(index + 0.5) * each,
            width=bar,
            # Counted from the last month, which is the one that people look for.
            labelled=(last - index) % every == 0,
            wide=(last - index) % every_wide == 0,
        )
        for index, month in enumerate(months)
    )


def _ticks(bottom: float, top: float, step: float, scale: float) -> tuple[Tick, ...]:
    count = round((top - bottom) / step)
    return tuple(
        Tick((count - index) * step * scale, bottom + index * step) for index in range(count + 1)
    )
