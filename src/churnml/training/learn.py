"""From the parts of one table to a fitted and calibrated model. Owns what a model may see of each part.

What trains a champion, backtests it and tunes it is this one way, so that what is measured is what is
served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm

from churnml.config import TrainingConfig
from churnml.errors import Refused
from churnml.scoring.bundle import booster_of
from churnml.scoring.predict import FloatArray, log_odds_of
from churnml.training.assemble import TrainingTable
from churnml.training.calibrate import Calibration, calibrate
from churnml.training.fit import Fitted, fit, usable_columns
from churnml.training.params import MIN_PART_OUTCOMES, MIN_SLOPE_OUTCOMES, FitParams
from churnml.training.split import Part, Split


@dataclass(frozen=True, eq=False)
class Parts:
    """The rows of a split's three parts, with the columns and categories that `train` can teach."""

    train: TrainingTable
    later: TrainingTable
    test: TrainingTable


@dataclass(frozen=True, eq=False)
class Learned:
    """A model and its calibration.

    booster: read back from its own text, as it will be served. outcomes: accounts of the rarer kind
    that it was calibrated on.
    """

    fitted: Fitted
    calibration: Calibration
    booster: lightgbm.Booster
    outcomes: int

    def raw(self, x: FloatArray) -> FloatArray:
        """Log-odds before calibration, (rows,)."""
        return log_odds_of(self.booster, x)

    def probability(self, x: FloatArray) -> FloatArray:
        """Calibrated probabilities, (rows,)."""
        return self.calibration.apply(self.raw(x))


def cut_parts(
    whole: TrainingTable,
    split: Split,
    training: TrainingConfig,
    missing: str,
    keep: Sequence[str] = (),
) -> Parts:
    """The rows of the three parts.

    missing: why labels are missing, in words, for the message. keep: columns that stay even if they teach
    nothing here, because something else reads them.
    Raises: Refused if a part holds too few outcomes to learn, calibrate or judge.
    """
    parts = [whole.where(part.rows(whole)) for part in (split.train, split.calibrate, split.test)]
    if training.leave_out_treated:
        # What the CS team did changed these outcomes; the test keeps them and shows both.
        parts[:2] = [part.untreated() for part in parts[:2]]
    minima = (training.min_outcomes, MIN_PART_OUTCOMES, MIN_PART_OUTCOMES)
    for part, dates, minimum in zip(
        parts, (split.train, split.calibrate, split.test), minima, strict=True
    ):
        refuse_too_few(part, _part_in_words(dates), minimum, missing)
    kept = (*usable_columns(parts[0]), *keep)
    seen = parts[0].with_columns(kept).seen_categories()
    return Parts(*(part.with_columns(kept).with_categories(seen) for part in parts))


def learn(parts: Parts, params: FitParams, seed: int) -> Learned:
    """Fit on the train part, calibrate on the later one; the test part is not looked at."""
    fitted = fit(parts.train, params, seed)
    booster = booster_of(fitted.model_text)
    outcomes = min(accounts_of(parts.later))
    raw = log_odds_of(booster, parts.later.x)
    calibration = calibrate(raw, parts.later.y, outcomes, MIN_SLOPE_OUTCOMES, drawn=True)
    return Learned(fitted, calibration, booster, outcomes)


def _part_in_words(part: Part) -> str:
    return f"the {part.name} part ({part.first:%Y-%m-%d} to {part.last:%Y-%m-%d})"


def accounts_of(table: TrainingTable) -> tuple[int, int]:
    """Distinct accounts with and without the outcome: an outcome is seen by many snapshots."""
    return (
        len(set(table.accounts[table.y > 0.5])),
        len(set(table.accounts[table.y <= 0.5])),
    )


def refuse_too_few(table: TrainingTable, where: str, minimum: int, missing: str) -> None:
    """Raises: Refused if fewer than `minimum` accounts have the outcome, or have it not."""
    counts = accounts_of(table)
    if min(counts) >= minimum:
        return
    raise Refused(
        f"{where} hold{'s' if where.startswith('the ') else ''} {counts[0]} accounts with the "
        f"outcome and {counts[1]} without ({int(table.y.sum())} and "
        f"{len(table) - int(table.y.sum())} snapshots). Expected at least {minimum} of each. "
        f"Labels are missing because: {missing}. Give more history or accounts, "
        "or another horizon_days."
    )
