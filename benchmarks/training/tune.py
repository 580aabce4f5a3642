"""Tuning beside a plain loop of LGBMClassifier.fit and Optuna, on the same folds and search space.

`python -m benchmarks.training.tune` makes weekly snapshots of simulated accounts, tunes them with
churnml's workers and then with the loop, and judges both choices by the same folds: each row told by
trees and a sigmoid that the other half of the accounts decided. `--help` names the sizes."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
import warnings

import lightgbm
import numpy as np
import optuna
from rich.console import Console
from rich.table import Table

from churnml.config import CapacityConfig, GateConfig, SplitConfig, TrainingConfig
from churnml.training.assemble import TrainingTable
from churnml.training.params import DEFAULT_SEARCH, FitParams, Range, is_whole
from churnml.training.train import Settings
from churnml.training.tune import Trial, difference, tune
from churnml.training.tune_folds import Bench, Folds, cut_folds, rows_of

LEAD, HORIZON, GRACE = 14, 90, 30
START = np.datetime64("2022-01-03")
SEED = 7


def accounts_table(accounts: int, weeks: int, features: int, seed: int) -> TrainingTable:
    """Weekly snapshots of accounts that leave as a hidden mood tells them; some features show it."""
    rng = np.random.default_rng(seed)
    mood = np.empty((accounts, weeks))
    mood[:, 0] = rng.normal(size=accounts)
    for week in range(1, weeks):
        mood[:, week] = 0.95 * mood[:, week - 1] + 0.31 * rng.normal(size=accounts)
    begins = rng.integers(0, weeks // 2, accounts)
    leaving = rng.random((accounts, weeks)) < np.minimum(0.3, 0.002 * np.exp(1.2 * mood))
    leaving &= np.arange(weeks) >= begins[:, None]
    left = np.where(leaving.any(axis=1), leaving.argmax(axis=1) * 7 + 3, 10**6)
    until = weeks * 7 - (LEAD + HORIZON + GRACE)  # later windows are not over
    days = np.arange(weeks) * 7
    stands = (days >= begins[:, None] * 7) & (days < until) & (left[:, None] > days + LEAD)
    week, account = np.nonzero(stands.T)
    y = (left[account] <= week * 7 + LEAD + HORIZON).astype(float)
    here = mood[account, week]
    x = rng.normal(size=(len(y), features))
    shows = features // 4
    strength = rng.uniform(0.05, 0.5, shows)
    x[:, :shows] = here[:, None] * strength + np.sqrt(1 - strength**2) * x[:, :shows]
    # Usage is counts, most features of an account stay as they are, and a fifth are often unknown.
    x[:, shows : 2 * shows] = np.round(np.exp(1 + x[:, shows : 2 * shows]))
    steady = rng.normal(size=(accounts, shows))
    x[:, 2 * shows : 3 * shows] = steady[account] + 0.1 * x[:, 2 * shows : 3 * shows]
    unknown = rng.random((len(y), features)) < np.where(rng.random(features) < 0.2, 0.4, 0.0)
    x[unknown] = np.nan
    names = np.array([f"a{number:05d}" for number in range(accounts)], dtype=object)
    return TrainingTable(
        x=x,
        columns=tuple(f"f{number:03d}" for number in range(features)),
        categories={},
        y=y,
        accounts=names[account],
        as_of=(START + week * np.timedelta64(7, "D")).astype("datetime64[us]"),
        mrr=np.ones(len(y)),
        days=np.where(y > 0.5, left[account] - week * 7.0, np.nan),
        treated=np.zeros(len(y), dtype=bool),
    )


def settings() -> Settings:
    """As a project without a word about it would have them."""
    return Settings(
        GRACE,
        "net",
        "USD",
        SplitConfig(),
        TrainingConfig(seed=SEED),
        CapacityConfig(),
        GateConfig(),
    )


def plain_loop(folds: Folds, trials: int, threads: int) -> FitParams:
    """What one writes first: each trial fits each fold anew, one after the other, to the end."""
    table = folds.table
    cut = [rows_of(table, fold) for fold in folds.folds]

    def objective(trial: optuna.Trial) -> float:
        chosen = suggested(trial)
        losses = []
        for learn, judged in cut:
            per_account = learn.sum() / len(set(table.accounts[learn]))
            leaf = max(
                FitParams().min_data_in_leaf, round(chosen["min_accounts_in_leaf"] * per_account)
            )
            model = lightgbm.LGBMClassifier(
                n_estimators=FitParams().max_rounds, learning_rate=chosen["learning_rate"],
                num_leaves=chosen["num_leaves"], max_depth=chosen["max_depth"],
                min_child_samples=leaf, colsample_bytree=chosen["feature_fraction"],
                reg_lambda=chosen["lambda_l2"], cat_smooth=chosen["cat_smooth"],
                max_bin=FitParams().max_bin, random_state=SEED, n_jobs=threads, verbose=-1,
            )  # fmt: skip
            model.fit(
                table.x[learn], table.y[learn],
                eval_set=[(table.x[judged], table.y[judged])], eval_metric="binary_logloss",
                callbacks=[
                    lightgbm.early_stopping(FitParams().early_stopping_rounds, verbose=False)
                ],
            )  # fmt: skip
            losses.append(model.best_score_["valid_0"]["binary_logloss"])
        return float(np.mean(losses))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=SEED))
    study.optimize(objective, n_trials=trials)
    return FitParams().model_copy(update=study.best_params)


def suggested(trial: optuna.Trial) -> dict[str, float]:
    """The default search space, in the words of Optuna's loop."""
    found: dict[str, float] = {}
    for key, one in DEFAULT_SEARCH.items():
        assert isinstance(one, Range)
        suggest = trial.suggest_int if is_whole(key) else trial.suggest_float
        found[key] = suggest(key, one.low, one.high, log=one.log)
    return found


def judged(folds: Folds, number: int, params: FitParams) -> Trial:
    """A set of parameters on all folds, by churnml's yardstick."""
    bench = Bench(folds, SEED)
    told = tuple(bench.judge(fold, params) for fold in range(len(folds.folds)))
    return Trial(number, params, "complete", told)


def _clocks() -> np.ndarray:
    """Seconds on the wall, and of processors in this process and those that it has seen end."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)])


def main() -> int:
    """Run both. Returns 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1120)
    parser.add_argument("--weeks", type=int, default=156)
    parser.add_argument("--features", type=int, default=120)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peer-threads", type=int, nargs="*", default=[2], help="none: no peer")
    asked = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")  # of names and deprecations, a line per fit
    console = Console(width=150)
    whole = accounts_table(asked.accounts, asked.weeks, asked.features, SEED)
    folds = cut_folds(whole, LEAD + HORIZON + GRACE, settings(), "")
    console.print(
        f"{len(whole):,} snapshots, {len(folds.table):,} of them before the test part, "
        f"{len(whole.columns)} features, {int(folds.table.y.sum()):,} with the outcome; "
        f"{len(folds.folds)} folds, learning from "
        f"{', '.join(f'{rows_of(folds.table, fold)[0].sum():,}' for fold in folds.folds)} and judging "
        f"{', '.join(f'{rows_of(folds.table, fold)[1].sum():,}' for fold in folds.folds)}"
    )
    runs = []
    begun = _clocks()
    tuned = tune(folds, FitParams(), DEFAULT_SEARCH, SEED, asked.trials, asked.workers)
    took = _clocks() - begun
    load = f"{os.getloadavg()[1]:.1f}"
    for name, trial in (("best", tuned.best), ("chosen", tuned.chosen), ("today's", tuned.current)):
        runs.append((f"churnml tune, {asked.workers} workers: {name}", took, trial, load))
    for threads in asked.peer_threads:
        begun = _clocks()
        found = plain_loop(folds, asked.trials, threads)
        spent = _clocks() - begun
        load = f"{os.getloadavg()[1]:.1f}"
        runs.append(
            (
                f"plain loop, {threads} thread{'s' * (threads > 1)}: best",
                spent,
                judged(folds, -1, found),
                load,
            )
        )
    shown = Table(
        "what",
        "seconds",
        "times",
        "CPU seconds",
        "times",
        "log loss",
        "minus the best's",
        "cost",
        "load",
    )
    for name, spent, trial, load in runs:
        less = difference(trial, tuned.best)
        shown.add_row(
            name, f"{spent[0]:.1f}", f"{spent[0] / took[0]:.2f}", f"{spent[1]:.1f}",
            f"{spent[1] / took[1]:.2f}", f"{trial.loss:.5f}",
            f"{less.value:+.5f} ± {less.error:.5f}", f"{trial.cost:,.0f}",
            load,
        )  # fmt: skip
    console.print(shown)
    pruned = sum(trial.state == "pruned" for trial in tuned.trials)
    console.print(
        f"{pruned} of {len(tuned.trials)} trials pruned; load: processes that wanted a core, over 5 minutes"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
