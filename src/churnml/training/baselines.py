"""What a model must beat: the prevalence, a last-activity rule, the hand-weighted health score, logistic
regression and Cox's model. Owns these five.

Each is fitted on the train part and calibrated on the calibrate part, exactly as the model is, so
that a difference between them is one of knowledge and not of level."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from churnml.scoring.health import health_scores
from churnml.scoring.health_definition import default_definition
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable
from churnml.training.calibrate import calibrate
from churnml.training.cox import NotFitted, fit_cox, whole_accounts
from churnml.training.learn import Parts, accounts_of
from churnml.training.params import MIN_SLOPE_OUTCOMES

PREVALENCE = "prevalence"
LAST_ACTIVITY = "last_activity"
HEALTH = "health"
LOGISTIC = "logistic"
COX = "cox"

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
RIDGE = 10.0  # of both regressions: half of it times the squared coefficients
COX_ROWS = 40_000  # Cox's model learns from so many rows at most: its time grows with them
Raws = tuple[FloatArray, FloatArray]  # scores before calibration, of the later and the test rows


@dataclass(frozen=True, eq=False)
class Baseline:
    """A baseline's probabilities of the test rows, (rows,), and what it is, in words."""

    name: str
    what: str
    probability: FloatArray


def baselines(parts: Parts, say: Callable[[str], None] = lambda _: None) -> tuple[Baseline, ...]:
    """The baselines that these columns allow, on the test rows.

    The last-activity rule is absent where no feature of activity is, the health score where it has no
    data, Cox's model where it cannot be fitted; say: takes a sentence about each of the last two.
    """
    later = parts.later
    fewest = min(accounts_of(later))
    rate = float(np.concatenate([parts.train.y, later.y]).mean())
    found = [
        Baseline(
            PREVALENCE,
            "the share of snapshots with the outcome before the test",
            np.full(len(parts.test), rate),
        )
    ]
    for name, what, raws in _scored(parts, say):
        fitted = calibrate(raws[0], later.y, fewest, MIN_SLOPE_OUTCOMES)
        found.append(Baseline(name, what, fitted.apply(raws[1])))
    return tuple(found)


def _scored(parts: Parts, say: Callable[[str], None]) -> list[tuple[str, str, Raws]]:
    """Name, words and raw scores of each baseline that tells accounts apart."""
    scored: list[tuple[str, str, Raws]] = []
    activity = next((name for name in ACTIVITY if name in parts.train.columns), None)
    if activity is not None:
        alone = _inputs(
            *(p.with_columns((activity,)) for p in (parts.train, parts.later, parts.test))
        )
        what = f"logistic regression on {activity} alone"
        scored.append((LAST_ACTIVITY, what, _logistic(alone, parts.train.y)))
    health = _health(parts)
    if health is None:
        say("Baseline health: none of its features is there, or they are all the same.")
    else:
        what = "logistic regression on the hand-weighted health score alone"
        scored.append((HEALTH, what, _logistic(health, parts.train.y)))
    inputs = _inputs(parts.train, parts.later, parts.test)
    what = "logistic regression on the same features"
    scored.append((LOGISTIC, what, _logistic(inputs, parts.train.y)))
    try:
        scored.append((COX, *_cox(inputs, parts.train)))
    except NotFitted as reason:
        say(f"Baseline cox: {reason}.")
    return scored


def _health(parts: Parts) -> list[FloatArray] | None:
    """How ill the rows of each part are, (rows, 1), in standard deviations of the train rows; rows
    without any data get the mean. None where nothing is known of it."""
    ills = [_illness(part) for part in (parts.train, parts.later, parts.test)]
    known = ills[0][np.isfinite(ills[0])]
    if not len(known) or float(known.std()) <= 1e-9:
        return None
    mean, spread = float(known.mean()), float(known.std())
    return [((np.where(np.isfinite(ill), ill, mean) - mean) / spread)[:, None] for ill in ills]


def _illness(table: TrainingTable) -> FloatArray:
    """100 less the health score, (rows,); NaN without any data."""
    definition = default_definition()
    signals = set(definition.features)
    frame = pd.DataFrame(
        {
            name: table.x[:, place]
            for place, name in enumerate(table.columns)
            if name in signals and name not in table.categories
        },
        index=range(len(table)),
    )
    return 100.0 - health_scores(frame, definition)["health"].to_numpy(dtype=np.float64)


def _logistic(inputs: list[FloatArray], y: FloatArray) -> Raws:
    """Log-odds of the later and test rows by a logistic regression on the train rows."""
    # Few columns, many rows: second-order steps need a handful where L-BFGS needs hundreds.
    model = LogisticRegression(C=1 / RIDGE, max_iter=MAX_STEPS, solver="newton-cholesky")
    with warnings.catch_warnings():
        # A regression that has not quite settled is a baseline all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs[0], y)
    raw_later, raw_test = (model.decision_function(part) for part in inputs[1:])
    return np.asarray(raw_later), np.asarray(raw_test)


def _cox(inputs: list[FloatArray], train: TrainingTable) -> tuple[str, Raws]:
    """What it is, and log hazards of the later and test rows. Raises: NotFitted."""
    what = "Cox's proportional hazards on the same features, by the days to the outcome"
    rows = np.ones(len(train), dtype=bool)
    if len(train) > COX_ROWS:
        rows = whole_accounts(train.accounts, COX_ROWS)
        what += f", from {int(rows.sum()):,} of {len(train):,} train rows (whole accounts)"
    b = fit_cox(inputs[0][rows], train.days[rows], train.y[rows], RIDGE)
    return what, (inputs[1] @ b, inputs[2] @ b)


def _inputs(train: TrainingTable, later: TrainingTable, test: TrainingTable) -> list[FloatArray]:
    """The columns as a regression takes them, (rows, inputs) for each part: numbers standardised,
    missing ones marked, categories spread out."""
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
    whole = [np.hstack(piece) for piece in pieces]
    # What stands still over the train rows (nothing missing, say) could not be given a weight.
    moves = np.ptp(whole[0], axis=0) > 0
    return [part[:, moves] for part in whole] if moves.any() else whole


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
