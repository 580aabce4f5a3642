"""How a value reads to a person. Owns "more or less than what?" and whether that agrees with a
contribution; words nothing.

A sentence must never say the opposite of its contribution. So a value is first read (more than
usual, less, steady, none, missing), against the account's own past where the feature is a change
and against the accounts that the model learned from; then the reading is held against the
feature's declared direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from churnml.features.catalog import BY_NAME, CATALOG
from churnml.features.spec import (
    AgainstBook,
    Cadence,
    Change,
    Feature,
    Function,
    Level,
    Recency,
    Slope,
    is_change,
)

Value = float | str | None
Row = Mapping[str, Any]  # one snapshot's features by name
Key = Literal["up", "down", "flat", "zero", "negative", "missing", "text"]

STEADY_SHARE = 0.05  # a change of less is "steady"
STEADY_SLOPE = 0.01  # the same for a slope, per week
NEAR_TYPICAL = 0.1  # without deciles: within a tenth of the median is typical
LONG_AGO_DAYS = 180

# What a person takes a value to mean where the catalogue leaves the direction to the model:
# nobody believes "they were cut 10 days ago" as a reason to stay.
LEANINGS: Mapping[str, Mapping[str, int]] = {
    "days_since_key_user_left": {"churn": -1, "contraction": -1},
    "days_since_contraction": {"churn": -1, "contraction": -1},
    "days_since_expansion": {"churn": +1, "contraction": +1},
    "contraction_365d_share": {"contraction": +1},
    "expansions_365d": {"contraction": -1},
}


_BELOW_ALL = (Slope, AgainstBook)  # of which -1 is not "nothing left"
_KEYS: Mapping[int, Key] = {+1: "up", 0: "flat", -1: "down"}


@dataclass(frozen=True)
class Reading:
    """key: which sentence fits. sense: +1 more, -1 less, 0 neither. peers: the same against the
    typical account, where `sense` is against the account's own past."""

    key: Key
    sense: int = 0
    peers: int = 0


@cache
def _reading(key: Key, sense: int = 0, peers: int = 0) -> Reading:
    """The same few readings stand for all accounts of a book: making each anew takes longer than reading."""
    return Reading(key, sense, peers)


def is_missing(value: Any) -> bool:
    """None, NaN and infinities are no data."""
    return value is None or (not isinstance(value, str) and not math.isfinite(value))


def change_of(feature: Feature, value: float) -> float:
    """A change feature's value as a relative change (a cadence of 1 is no change)."""
    return value - 1 if isinstance(feature.fn, Cadence) else value


@cache
def sister_of(name: str) -> str | None:
    """The feature that holds the "now" of a change: the same measure over the same last days."""
    match BY_NAME[name].fn:
        case Change(measure, days):
            pass
        case Cadence(measure, _):
            days = 7
        case _:
            return None
    for other in CATALOG:
        fn: Function = other.fn
        if isinstance(fn, Level) and fn.measure == measure and fn.days == days and not fn.ago:
            return other.name
    return None


@dataclass(frozen=True)
class Peers:
    """The accounts that the model learned from: the median, and between what a value is typical."""

    median: float
    low: float
    high: float


def peers_of(feature: Feature, reference: Mapping[str, Any] | None) -> Peers | None:
    """What is typical of a feature, from its reference statistics; None if they have no median.

    reference: "median" and "deciles" (nine of them) as in the bundle.
    """
    median = (reference or {}).get("median")
    if reference is None or median is None or is_missing(median):
        return None
    deciles: Sequence[Any] = reference.get("deciles") or []
    if len(deciles) == 9 and not any(is_missing(decile) for decile in deciles):
        return Peers(float(median), float(deciles[3]), float(deciles[5]))  # the middle fifth
    margin = max(NEAR_TYPICAL * abs(median), _steady(feature) if is_change(feature) else 0.0)
    return Peers(float(median), median - margin, median + margin)


def read(feature: Feature, row: Row, peers: Peers | None) -> Reading:
    """How a feature's value in `row` reads; `peers` where there is something to compare with."""
    value = row.get(feature.name)
    if is_missing(value):
        return _read_missing(feature, row)
    if feature.categorical or isinstance(value, str):
        return _reading("text")
    value = float(value)  # type: ignore[arg-type]
    if is_change(feature):
        return _read_change(feature, value, peers)
    if feature.tells == "news":
        return _reading("up", +1) if value > 0 else _reading("down", -1)
    if feature.tells == "since":
        if value >= LONG_AGO_DAYS:
            return _reading("up", +1)
        return _reading("down" if value > 0 else "zero", -1)
    if value <= 0:
        return _reading("zero" if value == 0 else "negative", -1)
    sense = _against(value, peers)
    if isinstance(feature.fn, Recency) and peers and sense > 0 and value - peers.median < 1:
        sense = 0  # less than a day more is no silence
    return _reading(_KEYS[sense], sense)


def _read_missing(feature: Feature, row: Row) -> Reading:
    if isinstance(feature.fn, Recency) or feature.tells == "since":
        return _reading("missing", +1)  # it never happened: longer ago than any day
    if isinstance(feature.fn, Change):
        now = row.get(sister_of(feature.name) or "")
        if not is_missing(now) and now == 0:
            return _reading("missing", -1)  # no use now either
    return _reading("missing")


def _read_change(feature: Feature, value: float, peers: Peers | None) -> Reading:
    moved = change_of(feature, value)
    against = _against(value, peers)
    if moved <= -1 and not isinstance(feature.fn, _BELOW_ALL):
        return _reading("zero", -1, against)
    sense = 0 if abs(moved) < _steady(feature) else 1 if moved > 0 else -1
    return _reading(_KEYS[sense], sense, against)


def _steady(feature: Feature) -> float:
    return STEADY_SLOPE if isinstance(feature.fn, Slope) else STEADY_SHARE


def _against(value: float, peers: Peers | None) -> int:
    """+1 above the typical accounts, -1 below them, 0 among them (or nothing to compare with)."""
    return 0 if peers is None else (value > peers.high) - (value < peers.low)


def direction_of(feature: Feature, target: str) -> int:
    """+1 if more of the feature speaks for the target's outcome, -1 against it, 0 undecided."""
    declared = feature.direction.get(target, 0)
    return declared or LEANINGS.get(feature.name, {}).get(target, 0)


def agrees(feature: Feature, reading: Reading, target: str, sign: int) -> bool:
    """Whether a sentence of this reading can stand for a contribution of this sign.

    Missing data never speak for the good side (staying, or growing): missing is never green.
    Being steady never explains a raised probability, only a lowered one.
    """
    good = (sign > 0) == (target == "expansion")
    if reading.key == "missing" and reading.sense == 0:
        return not good
    direction = direction_of(feature, target)
    if direction == 0:
        return True
    if direction * reading.peers == -sign:
        return False
    if reading.sense == 0:
        return reading.key == "flat" and is_change(feature) and sign < 0
    return direction * reading.sense == sign
