"""The recipe of "Fighting Churn with Data" (Carl Gold, Manning 2020), from its description.

Metrics per account and date (counts and averages, ratios, percentage changes, tenure, time since the last
event, recurring revenue, dummies of categories) become scores: metrics with a heavy tail go through a
logarithm, then all are standardised. Scores that move together become one, their average. A logistic
regression with an L1 penalty, or XGBoost on the metrics themselves, learns from them; both choose their
parameters by the AUC on later rows (folds in time order).

Owns the recipe. It is written anew: none of the book's code is in it, and where the description leaves a
choice open it says so here. It reads churnml's own columns, so it gets point-in-time values, and many
more metrics than the book calculates; only trends, cadences and ranks are left out, which it lacks."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import skew
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import TimeSeriesSplit

from benchmarks.quality.contenders.learned import Learned, Size
from benchmarks.quality.rows import FloatArray, Rows

# What churnml has and the book doesn't: fitted trends, an account's own cadence, places in the book.
LACKING = (
    "_slope_", "_volatility_", "_own_cadence_", "_against_book", "_segment_rank", "quiet_weeks",
    "falling_weeks", "_mix_shift_", "lifecycle_stage",
)  # fmt: skip
SKEWED = 4.0  # a skew above it sends a metric through a logarithm
RARE = 0.05  # categories of a smaller share of the rows are one group, the others
CORRELATED = 0.5  # scores are one group while their groups correlate at least so
PENALTIES = (0.64, 0.32, 0.16, 0.08, 0.04, 0.02, 0.01, 0.005, 0.0025)  # C of the regression
FOLDS = 3
DEPTHS = (1, 2, 4, 6)
RATES = (0.1, 0.2, 0.3, 0.4)
ROUNDS = (20, 40, 80, 120)
CHILD_WEIGHTS = (3, 6, 9, 12)


def metrics_of(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that are metrics in the book's sense, in their order."""
    return tuple(c for c in columns if not any(part in c for part in LACKING))


def fit_regression(train: Rows) -> Learned:
    """Scores, groups, and a logistic regression whose penalty later rows choose."""
    scores_of, names = scorer(train)
    scores = scores_of(train)
    groups = group(scores)
    grouped_of = _averager(scores, groups)
    x = grouped_of(scores)

    def model(c: float) -> LogisticRegression:
        return LogisticRegression(
            C=c, l1_ratio=1.0, solver="liblinear", max_iter=1000, random_state=0
        )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        by_penalty = [
            _auc_of_folds(train, lambda rows, c=c: model(c).fit(x[rows], train.y[rows]), x)
            for c in PENALTIES
        ]
        c = PENALTIES[int(np.argmax(by_penalty))]
        fitted = model(c).fit(x, train.y)
    weights, base = fitted.coef_[0], float(fitted.intercept_[0])

    def explain(rows: Rows) -> FloatArray:
        wide = grouped_of(scores_of(rows))
        return np.column_stack([wide * weights, np.full(len(wide), base)])

    used = int((weights != 0).sum())
    return Learned(
        raw=lambda rows: np.asarray(fitted.decision_function(grouped_of(scores_of(rows)))),
        explain=explain,
        size=Size(0, used + 1, len(json.dumps([base, *weights.tolist()]))),
        note=f"{len(names)} metrics in {x.shape[1]} groups, {used} with a weight, C {c}",
    )


def scorer(train: Rows) -> tuple[Callable[[Rows], FloatArray], tuple[str, ...]]:
    """Rows -> scores of the metrics, and their names. What is missing is the average, 0."""
    kept = metrics_of(train.columns)
    plans: list[tuple[str, str, int, float, float]] = []
    for name in kept:
        if name in train.categories:
            common = [
                c for c in range(len(train.categories[name])) if _share(train, name, c) >= RARE
            ]
            plans += [(name, "dummy", code, 0, 1) for code in common]
            continue
        column = train.column(name)
        known = column[np.isfinite(column)]
        if not len(known) or float(known.std()) == 0:
            continue
        kind = "plain"
        if abs(float(skew(known))) > SKEWED:
            kind = "log" if known.min() >= 0 else "both_tails"
        changed = _transformed(known, kind)
        plans.append((name, kind, 0, float(changed.mean()), float(changed.std())))

    def scores_of(rows: Rows) -> FloatArray:
        out = []
        for name, kind, code, mean, spread in plans:
            column = rows.column(name)
            if kind == "dummy":
                out.append((column == code).astype(np.float64))
                continue
            known = np.isfinite(column)
            score = (_transformed(np.where(known, column, 0.0), kind) - mean) / spread
            out.append(np.where(known, score, 0.0))
        return np.column_stack(out)

    return scores_of, tuple(f"{p[0]}={p[2]}" if p[1] == "dummy" else p[0] for p in plans)


def _share(train: Rows, name: str, code: int) -> float:
    return float((train.column(name) == code).mean())


def _transformed(values: FloatArray, kind: str) -> FloatArray:
    if kind == "log":
        return np.log1p(np.maximum(values, 0.0))  # a later row may lie below the training rows
    if kind == "both_tails":
        return np.arcsinh(values)
    return values


def group(scores: FloatArray) -> npt.NDArray[np.int64]:
    """Group number of each score: average linkage on correlation, cut where it falls below a half.

    Which linkage is a choice of ours.
    """
    if scores.shape[1] < 2:
        return np.ones(scores.shape[1], dtype=np.int64)
    with np.errstate(invalid="ignore"):
        correlation = np.nan_to_num(np.corrcoef(scores, rowvar=False))
    apart = np.clip(1.0 - correlation, 0.0, 2.0)
    np.fill_diagonal(apart, 0.0)
    tree = linkage(squareform((apart + apart.T) / 2, checks=False), method="average")
    return np.asarray(fcluster(tree, 1.0 - CORRELATED, criterion="distance"), dtype=np.int64)


def _averager(
    scores: FloatArray, groups: npt.NDArray[np.int64]
) -> Callable[[FloatArray], FloatArray]:
    """Scores -> their groups' averages, each with a standard deviation of 1 in training."""
    members = groups[:, None] == np.unique(groups)[None, :]
    loadings = members / members.sum(axis=0)
    spread = (scores @ loadings).std(axis=0)
    loadings = loadings / np.where(spread > 0, spread, 1.0)
    return lambda wide: wide @ loadings


def folds_of(train: Rows) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Earlier rows to learn from and later ones to judge by, both with both outcomes."""
    return [
        (earlier, later)
        for earlier, later in TimeSeriesSplit(FOLDS).split(train.x)
        if all(len(np.unique(train.y[part])) == 2 for part in (earlier, later))
    ]


def _auc_of_folds(train: Rows, fit: Callable[..., LogisticRegression], x: FloatArray) -> float:
    found = [
        roc_auc_score(train.y[later], fit(earlier).decision_function(x[later]))
        for earlier, later in folds_of(train)
    ]
    return float(np.mean(found)) if found else 0.0


def fit_xgboost(train: Rows) -> Learned:
    """XGBoost on the metrics; the published grid of depth, rate, trees and child weight, by AUC.

    A model of 120 trees holds those of 20, 40 and 80: each is fitted once and judged four times.
    """
    import xgboost

    from benchmarks.quality.contenders.boosters import xgboost_learned

    kept = metrics_of(train.columns)
    places = [train.columns.index(name) for name in kept]
    names, categorical = list(kept), ["c" if n in train.categories else "float" for n in kept]

    def matrix(rows: Rows, keep: npt.NDArray[np.int64] | None = None) -> xgboost.DMatrix:
        part = rows if keep is None else rows.where(keep)
        return xgboost.DMatrix(
            part.x[:, places], label=part.y, feature_names=names, feature_types=categorical,
            enable_categorical=True, nthread=1,
        )  # fmt: skip

    found: dict[tuple[int, float, int, int], list[float]] = {}
    for earlier, later in folds_of(train):
        learn, judge = matrix(train, earlier), matrix(train, later)
        for depth, rate, weight in itertools.product(DEPTHS, RATES, CHILD_WEIGHTS):
            booster = xgboost.train(_settings(depth, rate, weight), learn, max(ROUNDS))
            for rounds in ROUNDS:
                told = booster.predict(judge, iteration_range=(0, rounds))
                auc = roc_auc_score(train.y[later], told)
                found.setdefault((depth, rate, weight, rounds), []).append(float(auc))
    first = (DEPTHS[0], RATES[0], CHILD_WEIGHTS[0], ROUNDS[0])
    best = max(found, key=lambda key: float(np.mean(found[key])), default=first)
    depth, rate, weight, rounds = best
    booster = xgboost.train(_settings(depth, rate, weight), matrix(train), rounds)
    note = f"depth {depth}, rate {rate}, {rounds} trees, child weight {weight}"
    return xgboost_learned(booster, matrix, note)


def _settings(depth: int, rate: float, weight: int) -> dict[str, object]:
    return {
        "objective": "binary:logistic", "max_depth": depth, "learning_rate": rate,
        "min_child_weight": weight, "nthread": 1, "seed": 0,
    }  # fmt: skip
