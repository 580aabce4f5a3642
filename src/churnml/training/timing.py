"""When an outcome comes, of those that have it within the window. Owns that fit; decides on no outcome.

A few numbers per shorter horizon, learned from the accounts that had the outcome: they are few, so nothing
larger would hold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from churnml.scoring.outlook import Step, Timing, renewal_days, renewal_sides
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable, joined
from churnml.training.params import MIN_SLOPE_OUTCOMES

PRIOR_ACCOUNTS = 2.0  # accounts' worth of an even spread over the window


def timing(
    tables: Sequence[TrainingTable], lead_days: int, horizon_days: int, shorter: Sequence[int]
) -> Timing | None:
    """The shares of shorter windows, learned from rows with the outcome; None if no day is known.

    tables: parts of one table. shorter: horizons below `horizon_days`.
    """
    table = joined(tables)
    known = (table.y > 0.5) & np.isfinite(table.days)
    if not known.any() or not shorter:
        return None
    rows = table.where(known)
    renewal = renewal_days(rows.columns, rows.x)
    _, accounts = np.unique(rows.accounts.astype(str), return_inverse=True)
    weight = 1.0 / np.bincount(accounts)[accounts]  # one voice per account
    steps: list[Step] = []
    of, inside = horizon_days, np.ones(len(rows), dtype=bool)
    for horizon in sorted(shorter, reverse=True):
        last = lead_days + horizon
        hit = rows.days <= last
        sides = renewal_sides(renewal, last)
        steps.append(_step(sides[inside], hit[inside], weight[inside], horizon, of))
        of, inside = horizon, inside & hit
    return {"steps": steps, "accounts": int(accounts.max()) + 1}


def _step(sides: FloatArray, hit: np.ndarray, weight: FloatArray, horizon: int, of: int) -> Step:
    voices = float(weight.sum())
    hits = float((weight * hit).sum())
    share = (hits + PRIOR_ACCOUNTS * horizon / of) / (voices + PRIOR_ACCOUNTS)
    intercept, before, after = float(np.log(share / (1 - share))), 0.0, 0.0
    if min(hits, voices - hits) >= MIN_SLOPE_OUTCOMES / 2 and sides.any():
        model = LogisticRegression(C=1.0, solver="newton-cholesky")
        model.fit(sides, hit, sample_weight=weight)
        intercept = float(model.intercept_[0])
        before, after = (float(value) for value in model.coef_[0])
    return {"horizon": horizon, "of": of, "intercept": intercept, "before": before, "after": after}
