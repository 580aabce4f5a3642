"""Whether the model holds in each segment: by every category of the test rows. Owns which can be judged,
and what counts as failing; computes no measure anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from churnml.scoring.predict import FloatArray
from churnml.training.alerts import IntArray
from churnml.training.assemble import BoolArray, TrainingTable
from churnml.training.evaluate import (
    Segment,
    account_codes,
    calibration_table,
    estimate_of,
    weightings,
    without_own_noise,
)
from churnml.training.metrics import Scorer
from churnml.training.params import MIN_SLOPE_OUTCOMES

MISSING = "(missing)"


def judge_segments(
    test: TrainingTable, probability: FloatArray, rounds: int, seed: int, interval: float
) -> tuple[Segment, ...]:
    """The model on the test rows of each value of each categorical column, missing ones last.

    probability: the model's, (rows,). rounds, seed, interval: as in `evaluate`, and the same resamples
    of accounts. A value with fewer than MIN_SLOPE_OUTCOMES accounts of either kind has no metrics.
    """
    n, accounts = account_codes(test)
    times = weightings(n, rounds, seed)
    return tuple(
        _judged(feature, value, rows, test, probability, accounts, times, interval)
        for feature, value, rows in _values(test)
    )


def _values(test: TrainingTable) -> Iterator[tuple[str, str | None, BoolArray]]:
    for feature, known in test.categories.items():
        codes = test.x[:, test.columns.index(feature)]
        for code, value in enumerate(known):
            if (codes == code).any():
                yield feature, value, codes == code
        if np.isnan(codes).any():
            yield feature, None, np.isnan(codes)


def _judged(
    feature: str,
    value: str | None,
    rows: BoolArray,
    test: TrainingTable,
    probability: FloatArray,
    accounts: IntArray,
    times: FloatArray,
    interval: float,
) -> Segment:
    y = test.y[rows]
    ids, codes = np.unique(accounts[rows], return_inverse=True)
    outcomes, others = (len(np.unique(codes[kind])) for kind in (y > 0.5, y <= 0.5))
    told = Segment(feature, value, len(y), len(ids), outcomes, others, {}, ())
    if min(outcomes, others) < MIN_SLOPE_OUTCOMES:
        return told
    # Neither dates nor money matter here: nothing is asked at capacity.
    scorer = Scorer(
        probability[rows], y, codes, np.zeros(len(y), dtype=np.int64), np.ones(len(y)), round
    )
    mine = np.ascontiguousarray(times[:, ids])
    found = {"roc_auc": scorer.roc_auc(mine), **scorer.calibration(mine)}
    error = found["calibration_error"]
    error[1:] = without_own_noise(float(error[0]), error[1:])
    metrics = {
        name: estimate_of(float(drawn[0]), drawn[1:], interval) for name, drawn in found.items()
    }
    return Segment(
        feature,
        value,
        len(y),
        len(ids),
        outcomes,
        others,
        metrics,
        calibration_table(scorer, mine, interval),
    )


def segment_in_plain(segment: Segment) -> dict[str, Any]:
    """Plain JSON, for the bundle's papers; without its bins, which the plot shows."""
    return {
        "feature": segment.feature,
        "value": segment.value,
        "rows": segment.rows,
        "accounts": segment.accounts,
        "outcomes": segment.outcomes,
        "others": segment.others,
        "metrics": {name: estimate.as_dict() for name, estimate in segment.metrics.items()},
    }


def name_of(segment: Segment) -> str:
    """A segment in words, e.g. "region = north"."""
    return f"{segment.feature} = {MISSING if segment.value is None else segment.value}"


def failings(segment: Segment, max_error: float) -> tuple[str, ...]:
    """What the model fails at in a segment, in words; nothing where it was not judged.

    max_error: the calibration error that the gate allows. An undefined figure fails at nothing.
    """
    if not segment.metrics:
        return ()
    slope, auc = segment.metrics["calibration_slope"], segment.metrics["roc_auc"]
    error = segment.metrics["calibration_error"].value
    found = []
    if auc.low <= 0.5:
        below = auc.high < 0.5
        held = "lies below 0.5: its order is worse than chance" if below else "holds 0.5"
        found.append(f"the ROC AUC interval {auc.low:.3f} to {auc.high:.3f} {held}")
    if slope.high < 1:
        found.append(
            f"its probabilities are too far apart (slope {slope.value:.2f}, interval "
            f"{slope.low:.2f} to {slope.high:.2f})"
        )
    if slope.low > 1:
        found.append(
            f"its probabilities are too close together (slope {slope.value:.2f}, interval "
            f"{slope.low:.2f} to {slope.high:.2f})"
        )
    if error > max_error:
        found.append(f"its calibration error is {error:.3f} ({max_error:.3f} is allowed)")
    return tuple(found)
