"""Which parameters are a good default? Several of them on several companies, before their test parts.

`python -m benchmarks.defaults PROJECT …` cuts each project's history before its test part into up to three
purged folds, fits each candidate as training does, and prints its ROC AUC and by how much its log loss is
below that of telling everyone the same: as a share of it, level taken out by a sigmoid of the other half's
accounts. What is chosen by it has not seen a test row."""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from churnml.config import SplitConfig, target_of
from churnml.errors import Refused
from churnml.scoring.bundle import booster_of
from churnml.scoring.predict import log_odds_of
from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.project import open_project
from churnml.stages.train import settings_of
from churnml.training.assemble import TrainingTable, assemble
from churnml.training.calibrate import calibrate
from churnml.training.contract import contract_lock
from churnml.training.fit import fit, usable_columns
from churnml.training.params import MIN_SLOPE_OUTCOMES, FitParams
from churnml.training.split import Needs, choose_split, rolling_splits
from churnml.training.train import needs_of

OLD = {"learning_rate": 0.05, "max_rounds": 400, "extra_trees": False}
CANDIDATES = {
    "6 leaves, depth 3, drawn thresholds, 0.03 (default)": FitParams(),
    "4 leaves, depth 2, drawn thresholds, 0.03": FitParams(num_leaves=4, max_depth=2),
    "8 leaves, depth 4, drawn thresholds, 0.03": FitParams(num_leaves=8, max_depth=4),
    "15 leaves, depth 5, drawn thresholds, 0.05": FitParams(
        num_leaves=15, max_depth=5, learning_rate=0.05
    ),
    "4 leaves, depth 2, best thresholds, 0.05": FitParams(num_leaves=4, max_depth=2, **OLD),
    "7 leaves, depth 3, best thresholds, 0.05": FitParams(num_leaves=7, max_depth=3, **OLD),
    "15 leaves, depth 5, best thresholds, 0.05 (default before)": FitParams(
        num_leaves=15, max_depth=5, **OLD
    ),
}
Fold = tuple[TrainingTable, TrainingTable]


def folds_of(whole: TrainingTable, gap_days: int, settings, declared) -> list[Fold]:
    """(learn, judge) pairs that end before the test part begins."""
    split = choose_split(whole, gap_days, settings.split, needs_of(settings))
    known = whole.as_of + np.timedelta64(gap_days, "D") <= np.datetime64(split.test.first)
    before = whole.where(known)
    cuts = [(split.train.rows(before), split.calibrate.rows(before))]
    for needs in (Needs(20, 5, 5), Needs(10, 3, 3)):
        try:
            rolled = rolling_splits(before, gap_days, SplitConfig(), needs, 3)
        except Refused:
            continue
        cuts = [
            (cut.train.rows(before) | cut.calibrate.rows(before), cut.test.rows(before))
            for cut in rolled
        ]
        break
    folds = [_free(before.where(learn), before.where(judge), declared) for learn, judge in cuts]
    both = [fold for fold in folds if all(len(set(part.y)) == 2 for part in fold)]
    if not both:
        raise Refused("no fold before the test has the outcome in both its parts")
    return both


def _free(learn: TrainingTable, judge: TrainingTable, declared) -> Fold:
    lock = contract_lock(learn, declared)
    if lock is not None:
        learn, judge = (part.where(~lock.holds(part)) for part in (learn, judge))
    kept = usable_columns(learn)
    seen = learn.with_columns(kept).seen_categories()
    first, second = (part.with_columns(kept).with_categories(seen) for part in (learn, judge))
    return first, second


def loss(raw: np.ndarray, judge: TrainingTable) -> float:
    """Log loss, with the level and slope that the other half of the accounts would give."""
    ids = judge.accounts.astype(str)
    half = np.array([zlib.crc32(name.encode()) % 2 for name in ids])
    told = np.full(len(raw), judge.y.mean())
    for side in (0, 1):
        other = half != side
        if 0 < judge.y[other].sum() < other.sum():
            outcomes = len(set(ids[other & (judge.y > 0.5)]))
            fitted = calibrate(raw[other], judge.y[other], outcomes, MIN_SLOPE_OUTCOMES, drawn=True)
            told[half == side] = fitted.apply(raw[half == side])
    return float(-np.where(judge.y > 0.5, np.log(told), np.log1p(-told)).mean())


def main() -> None:
    """Print a line per candidate: each target's gain and ROC AUC, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projects", type=Path, nargs="+")
    asked = parser.parse_args()
    gains: dict[str, list[tuple[float, float]]] = {name: [] for name in CANDIDATES}
    shown = Table(box=None, title="log loss below that of the rate alone, in percent / ROC AUC")
    shown.add_column("candidate", no_wrap=True)
    for folder in asked.projects:
        project = open_project(folder)
        with open_tables(project) as workspace:
            config = project.config
            built = build(workspace, config, calendar_dates(workspace, config))
            for target in config.targets:
                declared = target_of(config, target)
                settings = settings_of(workspace, config, target)
                gap = declared.lead_days + declared.horizon_days + settings.grace_days
                try:
                    whole = assemble(
                        built.frame, label_frame(workspace, config, target), built.features, target
                    )
                    folds = folds_of(whole, gap, settings, declared)
                except Refused as refusal:
                    print(f"{folder.name} {target}: {refusal}")
                    continue
                shown.add_column(f"{folder.name}\n{target}", justify="right")
                for name, params in CANDIDATES.items():
                    gains[name].append(_judged(folds, params))
                    print(f"{folder.name} {target} {name}: {gains[name][-1]}", flush=True)
    shown.add_column("mean", justify="right")
    for name, found in gains.items():
        cells = [*found, tuple(np.mean(found, axis=0))]
        shown.add_row(name, *(f"{gain:.2f} / {auc:.3f}" for gain, auc in cells))
    Console(width=260).print(shown)


def _judged(folds: list[Fold], params: FitParams) -> tuple[float, float]:
    gains, aucs = [], []
    for learn, judge in folds:
        raw = log_odds_of(booster_of(fit(learn, params, 7).model_text), judge.x)
        rate = loss(np.zeros(len(raw)), judge)
        gains.append(100 * (1 - loss(raw, judge) / rate))
        aucs.append(roc_auc_score(judge.y, raw))
    return float(np.mean(gains)), float(np.mean(aucs))


if __name__ == "__main__":
    main()
