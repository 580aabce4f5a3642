"""Train, calibrate and test parts in time order. Owns the purge between them; fits nothing.

Every outcome window of a part, its lead and grace included, is over when the next part's first
snapshot is taken: `as_of + gap <= first as_of of the next part`, gap = lead + horizon + grace. What
lies between is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from churnml.config import SplitConfig
from churnml.errors import Refused
from churnml.training.assemble import BoolArray, TrainingTable

TRAIN_SHARE = 0.75  # of the dates before the test that remain after the gap: 60/20/20 in all
TEST_SHARE = 0.2  # of all dates that remain after the gaps
SHORTFALL_WEIGHT = 10.0  # all outcomes that are wanted missing, against wholly uneven shares
MAX_CANDIDATES = 200


@dataclass(frozen=True)
class Part:
    """The consecutive snapshot dates of one part."""

    name: str
    as_ofs: tuple[datetime, ...]

    @property
    def first(self) -> datetime:
        """Its first snapshot."""
        return self.as_ofs[0]

    @property
    def last(self) -> datetime:
        """Its last snapshot."""
        return self.as_ofs[-1]

    def rows(self, table: TrainingTable) -> BoolArray:
        """Which rows of the table belong to it."""
        inside: BoolArray = (table.as_of >= np.datetime64(self.first)) & (
            table.as_of <= np.datetime64(self.last)
        )
        return inside


@dataclass(frozen=True)
class Split:
    """Three purged parts. dropped: labelled snapshot dates that lie in a gap or after the test."""

    gap_days: int
    train: Part
    calibrate: Part
    test: Part
    dropped: int


@dataclass(frozen=True)
class Needs:
    """Accounts with the outcome, and as many without, that each part should hold if possible."""

    train: int
    calibrate: int
    test: int


class OutcomeCounts:
    """Distinct accounts with (and without) the outcome in any run of snapshot dates.

    Accounts, not rows: one churn is seen by every snapshot in whose window it falls.
    """

    def __init__(self, table: TrainingTable):
        self.as_ofs, dates = np.unique(table.as_of, return_inverse=True)
        _, accounts = np.unique(table.accounts.astype(str), return_inverse=True)
        self._sums = [
            _distinct_sums(accounts[kind], dates[kind], len(self.as_ofs))
            for kind in (table.y > 0.5, table.y <= 0.5)
        ]

    def fewest(
        self, first: npt.NDArray[np.int64] | int, end: npt.NDArray[np.int64] | int
    ) -> npt.NDArray[np.int64]:
        """min(with, without) over dates[first:end], elementwise."""
        counts = [sums[first, end] - sums[first, first] for sums in self._sums]
        return np.minimum(*counts)


def _distinct_sums(
    accounts: npt.NDArray[np.int64], dates: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    # sums[a, b]: rows dated before b whose account's row before lies before a. A run [a, b) holds
    # sums[a, b] - sums[a, a] distinct accounts: those whose row before lies outside the run.
    order = np.lexsort((dates, accounts))
    accounts, dates = accounts[order], dates[order]
    before = np.full(len(dates), -1, dtype=np.int64)
    same = accounts[1:] == accounts[:-1]
    before[1:][same] = dates[:-1][same]
    counts = np.zeros((n + 1, n + 1), dtype=np.int64)
    np.add.at(counts, (before + 1, dates + 1), 1)
    # Row a of the running sum holds `before + 1 <= a`, that is before < a; column b holds dates < b.
    return counts.cumsum(axis=0).cumsum(axis=1)


def choose_split(table: TrainingTable, gap_days: int, config: SplitConfig, needs: Needs) -> Split:
    """Cut the table's snapshot dates into purged parts.

    gap_days: lead + horizon + grace of the target. Dates that `config` leaves open are chosen so
    that each part has enough outcomes where possible, and then about 60/20/20 of the dates.
    Raises: Refused with the dates and what to change if three purged parts don't fit.
    """
    counts = OutcomeCounts(table)
    days = counts.as_ofs.astype("datetime64[D]")
    end = len(days)
    if config.test_until is not None:
        end = int(np.searchsorted(days, np.datetime64(config.test_until), side="right"))
    # last_before[i]: how many dates are early enough to be purged from date i.
    last_before = np.searchsorted(days, days - np.timedelta64(gap_days, "D"), side="right")
    calibrates = _candidates(days, config.calibrate_from, end)
    tests = _candidates(days, config.test_from, end)
    best: tuple[float, int, int] | None = None
    for c in calibrates:
        fitting = tests[last_before[tests] > c] if last_before[c] > 0 else tests[:0]
        if not len(fitting):
            continue
        costs = _cost(counts, needs, int(c), last_before, fitting, end)
        place = int(np.argmin(costs))
        if best is None or costs[place] < best[0] - 1e-12:
            best = (float(costs[place]), int(c), int(fitting[place]))
    if best is None:
        raise Refused(_no_room([_moment(day) for day in counts.as_ofs], gap_days, config))
    _, c, t = best
    moments = [_moment(value) for value in counts.as_ofs]
    parts = (moments[: last_before[c]], moments[c : last_before[t]], moments[t:end])
    train, calibrate, test = (
        Part(name, tuple(part))
        for name, part in zip(("train", "calibrate", "test"), parts, strict=True)
    )
    kept = sum(len(part) for part in parts)
    return Split(gap_days, train, calibrate, test, len(moments) - kept)


def rolling_splits(
    table: TrainingTable, gap_days: int, config: SplitConfig, needs: Needs, folds: int
) -> tuple[Split, ...]:
    """The same cut at several origins: test parts that follow one another up to the last date.

    The first begins as soon as the parts before it hold what they need; each later fold learns from
    all that was known by then. There are fewer than `folds` where a test part would hold too few
    outcomes; at least two.
    Raises: Refused with the dates and what to change if two purged folds don't fit.
    """
    counts = OutcomeCounts(table)
    days = counts.as_ofs.astype("datetime64[D]")
    end = len(days)
    if config.test_until is not None:
        end = int(np.searchsorted(days, np.datetime64(config.test_until), side="right"))
    first = _first_origin(counts, days[:end], gap_days, needs)
    if first is None:
        raise Refused(_no_room([_moment(day) for day in counts.as_ofs], gap_days, config))
    for number in range(min(folds, end - first), 1, -1):
        edges = np.linspace(first, end, number + 1).round().astype(np.int64)
        if (counts.fewest(edges[:-1], edges[1:]) >= needs.test).all():
            break
    else:
        raise Refused(
            f"backtest: from {_moment(days[first]):%Y-%m-%d} on, where there is enough to learn from, "
            f"{min(folds, end - first)} test parts or fewer would hold less than {needs.test} accounts "
            "with the outcome or without. Expected two parts that do. Give more history or accounts."
        )
    cuts = []
    for begin, until in pairwise(edges):
        fold = SplitConfig(
            calibrate_from=None,
            test_from=_moment(days[begin]).date(),
            test_until=_moment(days[until - 1]).date(),
        )
        cuts.append(choose_split(table, gap_days, fold, needs))
    return tuple(cuts)


def _first_origin(
    counts: OutcomeCounts, days: npt.NDArray[np.datetime64], gap_days: int, needs: Needs
) -> int | None:
    """The first date whose purged past holds what the train and calibrate parts need."""
    last_before = np.searchsorted(days, days - np.timedelta64(gap_days, "D"), side="right")
    learns = counts.fewest(0, last_before) >= needs.train
    for t in range(len(days)):
        ends = int(last_before[t])
        begins = np.flatnonzero(learns[:ends] & (last_before[:ends] > 0))
        if len(begins) and int(counts.fewest(int(begins[0]), ends)) >= needs.calibrate:
            return t
    return None


def _candidates(
    days: npt.NDArray[np.datetime64], wanted: date | None, end: int
) -> npt.NDArray[np.int64]:
    if wanted is not None:
        first = int(np.searchsorted(days, np.datetime64(wanted)))
        return np.arange(first, min(first + 1, end))
    # Daily calendars of years: a choice among 200 dates is fine enough.
    return np.unique(np.linspace(0, end - 1, min(end, MAX_CANDIDATES)).round().astype(np.int64))


def _cost(
    counts: OutcomeCounts,
    needs: Needs,
    c: int,
    last_before: npt.NDArray[np.int64],
    tests: npt.NDArray[np.int64],
    end: int,
) -> npt.NDArray[np.float64]:
    ends = last_before[tests]
    starts = np.full(len(tests), c)
    found = (
        np.full(len(tests), counts.fewest(0, int(last_before[c]))),
        counts.fewest(starts, ends),
        counts.fewest(tests, np.full(len(tests), end)),
    )
    train, before, test = int(last_before[c]), last_before[c] + ends - c, end - tests
    cost = np.abs(train / before - TRAIN_SHARE) + np.abs(test / (before + test) - TEST_SHARE)
    # A missing outcome weighs the same in every part: where there are too few for all, the shares
    # decide, and no part is starved to fill another.
    wanted = (needs.train, needs.calibrate, needs.test)
    for have, need in zip(found, wanted, strict=True):
        cost += SHORTFALL_WEIGHT * np.maximum(0, need - have) / sum(wanted)
    return cost


def _moment(value: np.datetime64) -> datetime:
    moment: datetime = value.astype("datetime64[us]").item()
    return moment


def _no_room(moments: Sequence[datetime], gap_days: int, config: SplitConfig) -> str:
    first, last = moments[0], moments[-1]
    asked = "".join(
        f", split.{name} = {value}"
        for name, value in (
            ("calibrate_from", config.calibrate_from),
            ("test_from", config.test_from),
            ("test_until", config.test_until),
        )
        if value is not None
    )
    needed = timedelta(days=gap_days)
    advice = "Give more history, or shorter horizon_days, lead_days or grace_days"
    if config.test_from is not None:
        earliest = first + 2 * needed
        advice += f", or a split.test_from of {earliest:%Y-%m-%d} or later with labels after it"
    elif asked:
        advice += ", or other dates under [split]"
    return (
        f"split: {len(moments)} snapshot dates have labels, {first:%Y-%m-%d} to {last:%Y-%m-%d} "
        f"({(last - first).days} days){asked}. Expected room for train, calibrate and test with "
        f"{gap_days} days (lead + horizon + grace) from the last snapshot of each to the first of "
        f"the next: at least {2 * gap_days} days from the first snapshot to the first test "
        f"snapshot. {advice}."
    )
