"""What a model must beat: prevalence, a last-activity rule, logistic regression. Owns these three.

Each is fitted on the train part and calibrated on the calibrate part, exactly as the model is, so
that a difference between them is one of knowledge and not of level."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable
from churnml.training.calibrate import calibrate
from churnml.training.learn import Parts, accounts_of
from churnml.training.params import MIN_SLOPE_OUTCOMES

PREVALENCE = "prevalence"
LAST_ACTIVITY = "last_activity"
LOGISTIC = "logistic"

# The rule of thumb's one feature: the first of these that is there.
ACTIVITY = (
    "days_since_last_event",
    "days_since_key_user_event",
    "days_since_last_completion",
    "active_days_28d",
    "events_28d_per_week",
    "events_7d",
)
CLIP = 5.0  # standard deviations: one giant account must not steer the regression
MAX_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline's probabilities of the test rows, (rows,), and what it is, in words."""

    name: str
    what: str
    probability: FloatArray


def baselines(parts: Parts) -> tuple[Baseline, ...]:
    """The baselines that these columns allow, on the test rows.

    The last-activity rule is absent where no feature of activity is.
    """
    train, later, test = parts.train, parts.later, parts.test
    fewest = min(accounts_of(later))
    rate = float(np.concatenate([train.y, later.y]).mean())
    found = [
        Baseline(
            PREVALENCE,
            "the share of snapshots with the outcome before the test",
            np.full(len(test), rate),
        )
    ]
    asked: list[tuple[str, str, tuple[str, ...]]] = []
    activity = next((name for name in ACTIVITY if name in train.columns), None)
    if activity is not None:
        asked.append((LAST_ACTIVITY, f"logistic regression on {activity} alone", (activity,)))
    asked.append((LOGISTIC, "logistic regression on the same features", train.columns))
    for name, what, columns in asked:
        raw_later, raw_test = _regress(*(p.with_columns(columns) for p in (train, later, test)))
        fitted = calibrate(raw_later, later.y, fewest, MIN_SLOPE_OUTCOMES)
        found.append(Baseline(name, what, fitted.apply(raw_test)))
    return tuple(found)


def _regress(
    train: TrainingTable, later: TrainingTable, test: TrainingTable
) -> tuple[FloatArray, FloatArray]:
    """Log-odds of the later and test rows by a logistic regression on the train rows."""
    pieces: list[list[FloatArray]] = [[], [], []]
    for place, name in enumerate(train.columns):
        columns = [part.x[:, place] for part in (train, later, test)]
        wide = (
            _one_hot(columns, len(train.categories[name]))
            if name in train.categories
            else _standardised(columns)
        )
        for piece, part in zip(pieces, wide, strict=True):
            piece.append(part)
    inputs = [np.hstack(piece) for piece in pieces]
    # Few columns, many rows: second-order steps need a handful where L-BFGS needs hundreds.
    model = LogisticRegression(C=0.1, max_iter=MAX_STEPS, solver="newton-cholesky")
    with warnings.catch_warnings():
        # A regression that has not quite settled is a baseline all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs[0], train.y)
    raw_later, raw_test = (model.decision_function(part) for part in inputs[1:])
    return np.asarray(raw_later), np.asarray(raw_test)


def _standardised(columns: list[FloatArray]) -> list[FloatArray]:
    # Medians, means and spreads are the train rows' own: nothing of later parts leaks back.
    train = columns[0]
    known = train[np.isfinite(train)]
    if not len(known):
        return [np.isnan(column)[:, None].astype(float) for column in columns]
    middle = float(np.median(known))
    filled = np.where(np.isfinite(train), train, middle)
    mean, spread = float(filled.mean()), float(filled.std()) or 1.0
    out = []
    for column in columns:
        missing = ~np.isfinite(column)
        value = np.clip((np.where(missing, middle, column) - mean) / spread, -CLIP, CLIP)
        out.append(np.column_stack([value, missing.astype(float)]))
    return out


def _one_hot(columns: list[FloatArray], size: int) -> list[FloatArray]:
    identity = np.vstack([np.eye(size), np.zeros((1, size))])
    return [identity[np.where(np.isnan(c), size, c).astype(np.int64)] for c in columns]
