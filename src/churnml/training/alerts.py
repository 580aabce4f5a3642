"""How long before its outcome an account was first alerted. Owns that arithmetic; ranks nothing.

An account is alerted on a date on which it is among those that the CSMs can handle, if its outcome lies
in that date's window: an alert before that would be a false one by the label. So every alert that counts
comes earlier than the outcome by more than lead_days."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from churnml.scoring.predict import FloatArray

IntArray = npt.NDArray[np.int64]


class Alerts:
    """The dates on which each outcome could have been alerted.

    y, days, as_of: (rows,) as a `TrainingTable` has them. names: (rows,) whose account it is. units:
    (rows,) codes of what is weighed, the same for all rows of an account. An account with two outcomes
    counts with each.
    """

    def __init__(
        self,
        y: FloatArray,
        days: FloatArray,
        as_of: npt.NDArray[np.datetime64],
        names: npt.NDArray[np.object_],
        units: IntArray,
    ):
        rows = np.flatnonzero((y > 0.5) & np.isfinite(days))
        seconds = as_of[rows].astype("datetime64[s]").astype(np.int64)
        moments = seconds + np.round(days[rows] * 86_400).astype(np.int64)
        account = np.unique(names[rows].astype(str), return_inverse=True)[1]
        order = np.lexsort((seconds, moments, account))
        rows, account, moments = rows[order], account[order], moments[order]
        begins = np.append(True, (np.diff(account) != 0) | (np.diff(moments) != 0))[: len(rows)]
        first = np.flatnonzero(begins)
        outcome = np.cumsum(begins) - 1
        place = np.arange(len(rows)) - first[outcome]
        self.rows = rows
        # Dates by outcomes, and not the other way round: steps over long rows are fast.
        self._shape = (int(place.max()) + 1 if len(rows) else 0, len(first))
        self._slot = place * len(first) + outcome
        self._outcome = outcome
        self._units = units[rows[first]]
        self._days = days[rows]
        self._by_days = np.argsort(self._days, kind="stable")

    def of(self, shares: FloatArray, times: FloatArray) -> tuple[float, float]:
        """The share of outcomes alerted at all, and the median days from first alert to outcome.

        shares: (rows of `self.rows`,) whether the row is among those handled; a share where it ties with
        others for the last places. Lots are drawn once for all dates, so that telling everyone the same
        alerts as many as chance handles, and not more with each date. times: (units,) how often each counts.
        Either is NaN where undefined.
        """
        weight = times[self._units]
        total = float(weight.sum())
        if not total > 0:
            return np.nan, np.nan
        handled = np.zeros(self._shape)
        handled.ravel()[self._slot] = shares
        alerted = np.maximum.accumulate(handled, axis=0)  # so far
        first = np.diff(alerted, axis=0, prepend=0.0).ravel()[self._slot] * weight[self._outcome]
        return (
            float(weight @ alerted[-1]) / total,
            _median(self._days[self._by_days], first[self._by_days]),
        )


def _median(values: FloatArray, weights: FloatArray) -> float:
    """The weighted median of rising values: halfway between two where half the weight lies on each
    side."""
    sums = np.cumsum(weights)
    total = float(sums[-1])
    if not total > 0:
        return np.nan
    # Shares don't add up exactly: a hair more or less than half is half.
    low, high = np.searchsorted(sums, [total * (0.5 - 1e-9), total * (0.5 + 1e-9)])
    return float(values[low] + values[min(high, len(values) - 1)]) / 2
