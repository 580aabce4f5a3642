"""A company's own score beside the model's, on identical rows. Owns the pairing and the arithmetic.

A score that became known on one day speaks for a snapshot until it is too old. Rows without one are
left out for both sides, so that neither is judged on what the other was spared. Opens no file and finds
no words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from churnml.scoring.predict import FloatArray
from churnml.training.assemble import BoolArray
from churnml.training.evaluate import MAX_UNDEFINED, Estimate
from churnml.training.metrics import METRICS, Scorer

LEGACY, MODEL, DIFFERENCE = "legacy", "model", "difference"
SIDES = (LEGACY, MODEL)
RANKED = (
    "roc_auc",
    "pr_auc",
    "lift_at_10_percent",
    "precision_at_capacity",
    "recall_at_capacity",
    "mrr_recall_at_capacity",
)
LOSSES = ("log_loss", "brier")
ALARMED = ("precision", "recall", "mrr_recall")
MIN_CALIBRATED = 10  # accounts of each kind before the test, to turn a score into a probability by

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LegacyScores:
    """Scores as they became known.

    frame: account_id, known_at (naive UTC), risk (a number, higher is worse) and score (the level's
    name, or the number as it was written). levels: from worst to best; empty where scores are numbers.
    """

    frame: pd.DataFrame
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Matched:
    """Rows that both sides speak for.

    rows: as they were given, with risk, score and known_at. never: rows left out because no legacy
    score was known by then; too_old: because the newest was too old. unseen: accounts with the outcome
    that have no row left at all.
    """

    rows: pd.DataFrame
    never: int
    too_old: int
    unseen: int


def match(rows: pd.DataFrame, scores: LegacyScores, max_age_days: int) -> Matched:
    """Give each row the newest legacy score that was known at its as_of.

    rows: account_id, as_of, label and whatever else. The order of rows is (as_of, account_id).
    """
    left = rows.assign(
        account_id=rows["account_id"].astype(str), as_of=rows["as_of"].astype("datetime64[us]")
    ).sort_values(["as_of", "account_id"], kind="stable", ignore_index=True)
    right = scores.frame.assign(
        account_id=scores.frame["account_id"].astype(str),
        known_at=scores.frame["known_at"].astype("datetime64[us]"),
    )
    found = pd.merge_asof(
        left,
        right.assign(scored_at=right["known_at"]).sort_values("known_at", kind="stable"),
        left_on="as_of",
        right_on="known_at",
        by="account_id",
    ).drop(columns="known_at")
    found = found.rename(columns={"scored_at": "known_at"})
    never = found["known_at"].isna()
    too_old = found["as_of"] - found["known_at"] > pd.Timedelta(days=max_age_days)
    kept = found[~never & ~too_old].reset_index(drop=True)
    had = set(found.loc[found["label"] > 0.5, "account_id"])
    return Matched(
        kept, int(never.sum()), int(too_old.sum()),
        len(had - set(kept.loc[kept["label"] > 0.5, "account_id"])),
    )  # fmt: skip


@dataclass(frozen=True)
class Level:
    """What became of one level's rows.

    rows, outcome_rows: snapshots that stood on it, and those with the outcome. last_accounts,
    last_mrr: accounts with the outcome that stood on it on their last snapshot before, and their MRR.
    """

    name: str
    rows: int
    outcome_rows: int
    last_accounts: int
    last_mrr: float


@dataclass(frozen=True)
class Alarms:
    """One side's alarms.

    rows: how many; false_rows: after which the outcome did not come; false_accounts: whom they were
    of. found, found_mrr: accounts with the outcome that it alarmed about on their last snapshot
    before, and their MRR. precision, recall, mrr_recall: of all rows, pooled.
    """

    rows: int
    false_rows: int
    false_accounts: int
    found: int
    found_mrr: float
    measures: Mapping[str, Estimate]


@dataclass(frozen=True)
class Missed:
    """An account with the outcome that the legacy score did not see coming, on its last snapshot
    before. alarmed: whether the model, allowed as many alarms that day, had it among its own."""

    account_id: str
    as_of: pd.Timestamp
    score: str
    mrr: float
    probability: float
    alarmed: bool


@dataclass(frozen=True, eq=False)
class Held:
    """Both sides on the same rows.

    metrics: legacy, model and difference (model minus legacy) -> metric -> estimate; the losses are
    there only where the legacy score could be calibrated. calibrated_on: rows before the test that it
    was calibrated on; 0: none. levels: empty where scores are numbers. missed: best level on the
    last snapshot before (or no alarm, of numbers), dearest first. rows: with the columns legacy_alarm
    and model_alarm.
    """

    rows: pd.DataFrame
    accounts: int
    outcomes: int
    outcome_mrr: float
    metrics: Mapping[str, Mapping[str, Estimate]]
    calibrated_on: int
    levels: tuple[Level, ...]
    alarms: Mapping[str, Alarms]
    alarm_differences: Mapping[str, Estimate]
    missed: tuple[Missed, ...]
    interval: float


def hold(
    matched: pd.DataFrame,
    earlier: pd.DataFrame,
    levels: tuple[str, ...],
    capacity: Callable[[int], int],
    rounds: int,
    seed: int,
    interval: float,
) -> Held:
    """Judge both on the matched rows (at least one).

    matched: account_id, as_of, label, mrr, probability, risk, score. earlier: matched rows whose outcome
    windows were over before the first of these: to turn the legacy score into a probability by.
    levels: worst to best; the worst is an alarm. Of numbers, the worst are, as many as capacity allows.
    """
    y = matched["label"].to_numpy(dtype=np.float64)
    mrr = matched["mrr"].to_numpy(dtype=np.float64, na_value=np.nan)
    _, dates = np.unique(matched["as_of"].to_numpy(), return_inverse=True)
    ids, accounts = np.unique(matched["account_id"].to_numpy(dtype=str), return_inverse=True)
    times = resamples(len(ids), rounds, seed)
    probability = matched["probability"].to_numpy(dtype=np.float64)
    risk = matched["risk"].to_numpy(dtype=np.float64)

    def drawn(values: FloatArray) -> FloatArray:
        return Scorer(values, y, accounts, dates, mrr, capacity).of(times)

    legacy, model = drawn(_as_shares(risk)), drawn(probability)
    shown = list(RANKED)
    calibrated = calibrate_by(earlier, risk)
    if calibrated is not None:
        losses = drawn(calibrated)
        for loss in LOSSES:
            legacy[:, METRICS.index(loss)] = losses[:, METRICS.index(loss)]
        shown += LOSSES
    places = {name: METRICS.index(name) for name in shown}
    metrics = {
        side: {name: _estimate(values[:, place], interval) for name, place in places.items()}
        for side, values in ((LEGACY, legacy), (MODEL, model), (DIFFERENCE, model - legacy))
    }

    size = np.bincount(dates)
    if levels:
        worst = matched["score"].to_numpy(dtype=object) == levels[0]
        allowed = np.bincount(dates, worst).astype(np.int64)
    else:
        allowed = np.array([capacity(int(n)) for n in size], dtype=np.int64)
        worst = highest(risk, mrr, dates, allowed)
    alarmed = {LEGACY: worst, MODEL: highest(probability, mrr, dates, allowed)}
    last = _last_before(accounts, dates, y)
    measured = {side: _measures(alarmed[side], y, mrr, accounts, times) for side in SIDES}
    missed = last & (matched["score"] == levels[-1]).to_numpy() if levels else last & ~worst
    return Held(
        rows=matched.assign(legacy_alarm=worst, model_alarm=alarmed[MODEL]),
        accounts=len(ids),
        outcomes=int(last.sum()),
        outcome_mrr=_sum(mrr[last]),
        metrics=metrics,
        calibrated_on=0 if calibrated is None else len(earlier),
        levels=tuple(_level(matched, name, y, mrr, last) for name in levels),
        alarms={
            side: Alarms(
                rows=int(flags.sum()),
                false_rows=int((flags & (y <= 0.5)).sum()),
                false_accounts=len(np.unique(accounts[flags & (y <= 0.5)])),
                found=int((flags & last).sum()),
                found_mrr=_sum(mrr[flags & last]),
                measures={
                    name: _estimate(values, interval) for name, values in measured[side].items()
                },
            )
            for side, flags in alarmed.items()
        },
        alarm_differences={
            name: _estimate(measured[MODEL][name] - measured[LEGACY][name], interval)
            for name in ALARMED
        },
        missed=_missed(matched, missed, alarmed[MODEL], mrr),
        interval=interval,
    )


def resamples(accounts: int, rounds: int, seed: int) -> FloatArray:
    """How often each account counts, (rounds + 1, accounts); first the rows as they are."""
    rng = np.random.default_rng(seed)
    times = np.ones((rounds + 1, accounts))
    for number in range(1, rounds + 1):
        drawn = rng.integers(0, accounts, accounts)
        times[number] = np.bincount(drawn, minlength=accounts)
    return times


def highest(values: FloatArray, mrr: FloatArray, dates: IntArray, allowed: IntArray) -> BoolArray:
    """The rows with the highest values of each date, as many as are allowed on it.

    Of equal values the dearer account comes first, as a team would have it; then the earlier row.
    """
    money = np.where(np.isnan(mrr), 0.0, mrr)
    order = np.lexsort((np.arange(len(values)), -money, -values, dates))
    ranked = dates[order]
    place = np.arange(len(values)) - np.searchsorted(ranked, ranked)
    taken = np.zeros(len(values), dtype=bool)
    taken[order] = place < allowed[ranked]
    return taken


def calibrate_by(earlier: pd.DataFrame, risk: FloatArray) -> FloatArray | None:
    """The risks as probabilities: how often the outcome came at such a risk before, never falling.

    earlier: account_id, label, risk. None where too few accounts had the outcome, or had it not.
    """
    if earlier.empty:
        return None
    y = earlier["label"].to_numpy(dtype=np.float64)
    kinds = [earlier.loc[kind, "account_id"].nunique() for kind in (y > 0.5, y <= 0.5)]
    if min(kinds) < MIN_CALIBRATED:
        return None
    rising = IsotonicRegression(out_of_bounds="clip")
    rising.fit(earlier["risk"].to_numpy(dtype=np.float64), y)
    # Where nobody had the outcome before, never is too strong a word.
    floor = 1.0 / (earlier["account_id"].nunique() + 2)
    told: FloatArray = np.clip(rising.predict(risk), floor, 1 - floor)
    return told


def _as_shares(risk: FloatArray) -> FloatArray:
    """The same order between 0 and 1, equal risks equal."""
    known, places = np.unique(risk, return_inverse=True)
    return np.asarray((places + 1.0) / (len(known) + 1.0), dtype=np.float64)


def _last_before(accounts: IntArray, dates: IntArray, y: FloatArray) -> BoolArray:
    """The last row with the outcome of each account that had it."""
    marked = np.zeros(len(y), dtype=bool)
    hits = np.flatnonzero(y > 0.5)
    order = hits[np.lexsort((dates[hits], accounts[hits]))]
    if len(order):
        ends = np.append(np.diff(accounts[order]) != 0, True)
        marked[order[ends]] = True
    return marked


def _measures(
    alarmed: BoolArray, y: FloatArray, mrr: FloatArray, accounts: IntArray, times: FloatArray
) -> dict[str, FloatArray]:
    """Measures of decided alarms under each weighting of accounts, (weightings,)."""
    money = np.where(np.isnan(mrr), 0.0, mrr)
    n = times.shape[1]
    hits = np.where(alarmed, y, 0.0)

    def total(values: FloatArray) -> FloatArray:
        per_account = np.bincount(accounts, values, minlength=n).astype(np.float64)
        return np.asarray(times @ per_account, dtype=np.float64)

    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "precision": total(hits) / total(alarmed.astype(np.float64)),
            "recall": total(hits) / total(y),
            "mrr_recall": total(hits * money) / total(y * money),
        }


def _level(
    matched: pd.DataFrame, name: str, y: FloatArray, mrr: FloatArray, last: BoolArray
) -> Level:
    mine = (matched["score"] == name).to_numpy()
    return Level(
        name,
        int(mine.sum()),
        int((mine & (y > 0.5)).sum()),
        int((mine & last).sum()),
        _sum(mrr[mine & last]),
    )


def _missed(
    matched: pd.DataFrame, which: BoolArray, alarmed: BoolArray, mrr: FloatArray
) -> tuple[Missed, ...]:
    rows = matched.loc[which, ["account_id", "as_of", "score", "probability"]]
    told = [
        Missed(
            row.account_id, row.as_of, row.score, float(money), float(row.probability), bool(flag)
        )
        for row, money, flag in zip(
            rows.itertuples(index=False), mrr[which], alarmed[which], strict=True
        )
    ]
    return tuple(sorted(told, key=lambda one: (-_sum(np.array([one.mrr])), one.account_id)))


def _estimate(drawn: FloatArray, interval: float) -> Estimate:
    value = float(drawn[0])
    if math.isnan(value) or np.isnan(drawn[1:]).mean() > MAX_UNDEFINED:
        return Estimate(value, math.nan, math.nan)
    low, high = np.nanquantile(drawn[1:], [(1 - interval) / 2, (1 + interval) / 2])
    return Estimate(value, float(low), float(high))


def _sum(values: FloatArray) -> float:
    return float(np.nansum(values))
