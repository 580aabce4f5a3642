"""Why a score changed: a ledger from one score to another that sums to the difference.

Owns the ledger's order and its sums, in log-odds and in points of probability; words are tell_change.py's.

Calibrated log-odds are slope * raw + intercept. On the way from the older score to the newer:
  features   slope_now * (raw_now(row_now) - raw_now(row_then)), by feature (scoring/between.py) and driver,
             and what a contract that binds takes from it or adds
  model      slope_now * (raw_now(row_then) - raw_then(row_then))
  calibration  (slope_now - slope_then) * raw_then(row_then) + intercept_now - intercept_then
A part's points are its log-odds times the mean slope of the sigmoid along the straight way between the two
scores: they have the part's sign, sum to the difference of the probabilities, and stay finite where large
parts cancel (decision 0017)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from churnml.errors import ChurnmlError
from churnml.explain.drivers import declared
from churnml.explain.reading import Row, Value, is_missing
from churnml.features.spec import DRIVERS

TOLERANCE = 1e-6

Kind = Literal[
    "driver", "contract", "model", "weight", "base", "calibration", "model_and_calibration"
]
Untold = Literal[
    "too_little_data_then", "too_little_data_now", "not_scored_then", "model_gone", "row_differs"
]


@dataclass(frozen=True)
class Calibrated:
    """A raw score (log-odds, with what a contract adds) and how it becomes a probability."""

    raw: float
    slope: float
    intercept: float

    @property
    def log_odds(self) -> float:
        """What the probability is the sigmoid of."""
        return self.slope * self.raw + self.intercept


@dataclass(frozen=True)
class Move:
    """One feature's move. log_odds: calibrated; points: of probability, 0 to 100."""

    feature: str
    before: Value
    after: Value
    unit: str
    log_odds: float
    points: float


@dataclass(frozen=True)
class Part:
    """One line of the ledger.

    driver: of the kinds driver (its features moved) and weight (another model weighs it otherwise).
    binds: of a contract, whether it cannot end inside the window now.
    moves: the features behind it, the strongest first; of a weight they stand where they stood.
    """

    kind: Kind
    log_odds: float
    points: float
    driver: str | None = None
    moves: tuple[Move, ...] = ()
    binds: bool | None = None


@dataclass(frozen=True)
class Ledger:
    """From one score to another: parts sum to the difference, in log-odds and in points.

    ruled: the contract binds on both rows, so that no feature counted.
    """

    log_odds_then: float
    log_odds_now: float
    parts: tuple[Part, ...]
    ruled: bool = False


@dataclass(frozen=True)
class Side:
    """One of the two scores, with its papers."""

    as_of: datetime
    model_version: str
    horizon_days: int
    lead_days: int
    probability: float | None


@dataclass(frozen=True)
class Change:
    """Two scores of one account and target, and the ledger between them.

    before: None where the account was not scored for the target. untold: why there is no ledger.
    held: features that the older row does not know, which stand at their newer value: what they say
    belongs to the model.
    """

    target: str
    before: Side | None
    after: Side
    ledger: Ledger | None
    untold: Untold | None = None
    held: tuple[str, ...] = ()

    @property
    def same_question(self) -> bool:
        """Whether both scores are about the same window."""
        before, after = self.before, self.after
        return before is None or (before.horizon_days, before.lead_days) == (
            after.horizon_days,
            after.lead_days,
        )


def moved_ledger(
    then: Calibrated | float,
    now: Calibrated,
    crossed: float,
    moved: Mapping[str, float],
    bound: tuple[bool, bool],
    rows: tuple[Row, Row],
    same_model: bool,
) -> Ledger:
    """The ledger between two dates.

    then: the older score, or its calibrated log-odds alone where no more is kept: model and calibration
    are then one part. crossed: the newer model's raw score of the older row, with what a contract adds.
    moved: feature -> what its move added to the newer model's raw score, without contracts. bound: whether
    the newer model says that the contract cannot end inside the window, on the older and the newer row.
    rows: the features then and now.
    Raises: ChurnmlError if the parts don't sum to the difference of the scores.
    """
    was_bound, is_bound = bound
    # Where the contract rules the newer score, no feature counted; its own coming or going does.
    told = {} if is_bound else {name: now.slope * part for name, part in moved.items() if part}
    drafts: list[tuple[Kind, float, str | None, dict[str, float]]] = []
    for driver in DRIVERS:
        own = {name: part for name, part in told.items() if declared(name).driver == driver}
        if own:
            drafts.append(("driver", math.fsum(own.values()), driver, own))
    contract = now.slope * (now.raw - crossed) - math.fsum(told.values())
    if was_bound != is_bound:
        drafts.append(("contract", contract, None, {}))
    if not same_model:
        drafts += _other_model(then, now, crossed)
    start = then if isinstance(then, float) else then.log_odds
    return _ledger(start, now.log_odds, drafts, rows, bound)


def _other_model(
    then: Calibrated | float, now: Calibrated, crossed: float
) -> list[tuple[Kind, float, str | None, dict[str, float]]]:
    if isinstance(then, float):
        there = now.slope * crossed + now.intercept
        return [("model_and_calibration", there - then, None, {})]
    return [
        ("model", now.slope * (crossed - then.raw), None, {}),
        ("calibration", _recalibrated(then, now), None, {}),
    ]


def _recalibrated(then: Calibrated, now: Calibrated) -> float:
    return (now.slope - then.slope) * then.raw + now.intercept - then.intercept


def weighed_ledger(
    then: Calibrated,
    now: Calibrated,
    then_parts: Mapping[str, float],
    now_parts: Mapping[str, float],
    bases: tuple[float, float],
    row: Row,
) -> Ledger:
    """The ledger between two models on one row: what the newer one weighs otherwise, by driver.

    then_parts, now_parts: feature -> contribution to each raw score, with what a contract adds.
    bases: the mean raw score that each model starts from.
    Raises: ChurnmlError if the parts don't sum to the difference of the scores.
    """
    names = dict.fromkeys((*now_parts, *then_parts))
    weighed = {
        name: now.slope * (now_parts.get(name, 0.0) - then_parts.get(name, 0.0)) for name in names
    }
    drafts: list[tuple[Kind, float, str | None, dict[str, float]]] = []
    for driver in DRIVERS:
        own = {n: part for n, part in weighed.items() if part and declared(n).driver == driver}
        if own:
            drafts.append(("weight", math.fsum(own.values()), driver, own))
    drafts.append(("base", now.slope * (bases[1] - bases[0]), None, {}))
    drafts.append(("calibration", _recalibrated(then, now), None, {}))
    return _ledger(then.log_odds, now.log_odds, drafts, (row, row), (False, False))


def _ledger(
    start: float,
    end: float,
    drafts: list[tuple[Kind, float, str | None, dict[str, float]]],
    rows: tuple[Row, Row],
    bound: tuple[bool, bool],
) -> Ledger:
    gap = abs(math.fsum(part for _, part, _, _ in drafts) - (end - start))
    if not gap <= TOLERANCE * max(1.0, abs(start), abs(end)):
        raise ChurnmlError(
            f"change of a score: its parts add up to {gap:.3g} beside the difference. Expected the sum "
            "to be the difference. Score the book again; if it stays so, it is a fault of churnml."
        )
    scale = 100 * mean_slope(start, end)
    parts = [
        Part(
            kind=kind,
            log_odds=part,
            points=part * scale,
            driver=driver,
            moves=_moves(own, rows, scale),
            binds=bound[1] if kind == "contract" else None,
        )
        for kind, part, driver, own in drafts
    ]
    by_driver = [part for part in parts if part.kind in ("driver", "weight")]
    rest = [part for part in parts if part.kind not in ("driver", "weight") and part.log_odds]
    by_driver.sort(key=lambda part: -abs(part.log_odds))  # stable: ties in the catalogue's order
    return Ledger(start, end, (*by_driver, *rest), ruled=all(bound))


def _moves(own: Mapping[str, float], rows: tuple[Row, Row], scale: float) -> tuple[Move, ...]:
    moves = [
        Move(
            feature=name,
            before=_plain(rows[0].get(name)),
            after=_plain(rows[1].get(name)),
            unit=declared(name).unit,
            log_odds=part,
            points=part * scale,
        )
        for name, part in own.items()
    ]
    return tuple(sorted(moves, key=lambda move: -abs(move.log_odds)))


def _plain(value: Value) -> Value:
    return None if is_missing(value) else value


def mean_slope(start: float, end: float) -> float:
    """The mean derivative of the sigmoid from one log-odds to another: probability per log-odds.

    Times the difference of the log-odds it is the difference of the probabilities, exactly.
    """
    half = (end - start) / 2
    if abs(half) > 20:
        return (_sigmoid(end) - _sigmoid(start)) / (end - start)
    # The same quotient, without the difference of two numbers that may be next to equal.
    stretch = math.sinh(half) / half if half else 1.0
    return stretch * math.sqrt(_slope(start) * _slope(end))


def _slope(log_odds: float) -> float:
    chance = _sigmoid(-abs(log_odds))
    return chance * (1 - chance)


def _sigmoid(log_odds: float) -> float:
    small = math.exp(-abs(log_odds))
    return (1.0 if log_odds >= 0 else small) / (1.0 + small)


def log_odds_of(probability: float) -> float:
    """The log-odds of a probability between 0 and 1; infinite at either end."""
    if probability in (0.0, 1.0):
        return math.inf if probability else -math.inf
    return math.log(probability) - math.log1p(-probability)
