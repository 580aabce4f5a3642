"""One gradient-boosted model of one target. Owns its fit and when it stops; knows no calendar.

One thread, fixed seeds, rows in a fixed order: the same data give the same model text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from churnml.errors import Refused
from churnml.training.assemble import TrainingTable
from churnml.training.params import MIN_STOP_OUTCOMES, STOP_GROUPS, FitParams

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """LightGBM's model text, the trees in it, and how their number was found (in words)."""

    model_text: str
    rounds: int
    note: str


def usable_columns(table: TrainingTable) -> tuple[str, ...]:
    """The columns that vary over these rows; a constant or empty one cannot teach anything.

    Raises: Refused if none does.
    """
    usable = tuple(
        name
        for place, name in enumerate(table.columns)
        # Missing against present is variation too.
        if len(np.unique(table.x[:, place])) > 1
    )
    if not usable:
        raise Refused(
            f"features: all {len(table.columns)} are constant or missing over the {len(table)} "
            "training rows. Expected at least one that varies. Check the tables and dates."
        )
    return usable


def fit(table: TrainingTable, params: FitParams, seed: int) -> Fitted:
    """Fit on the train part: five groups of its accounts say when to stop, then all of it is used.

    table: the train part, with usable columns only, both kinds of outcome present.
    """
    groups = account_groups(table, seed)
    settings = lightgbm_settings(table, params, seed)
    if groups is None:
        rounds, note = (
            params.fixed_rounds,
            "too few outcomes to stop early: a fixed number of trees",
        )
    else:
        rounds, note = _rounds(table, groups, params, settings)
    booster = lightgbm.train(settings, _dataset(table, settings), num_boost_round=rounds)
    return Fitted(booster.model_to_string(num_iteration=rounds), rounds, note)


def account_groups(table: TrainingTable, seed: int) -> IntArray | None:
    """The group of each row's account, (rows,) from 0, drawn apart from those with and without the
    outcome, so that each group holds as many of either.

    None where a group would hold too few of either to say anything.
    """
    accounts, codes = np.unique(table.accounts.astype(str), return_inverse=True)
    has = np.zeros(len(accounts), dtype=bool)
    has[codes[table.y > 0.5]] = True
    rng = np.random.default_rng(seed)
    group = np.zeros(len(accounts), dtype=np.int64)
    for kind in (has, ~has):
        members = np.flatnonzero(kind)
        if len(members) < STOP_GROUPS * MIN_STOP_OUTCOMES:
            return None
        group[rng.permutation(members)] = np.arange(len(members)) % STOP_GROUPS
    return group[codes]


def _rounds(
    table: TrainingTable, groups: IntArray, params: FitParams, settings: dict[str, Any]
) -> tuple[int, str]:
    # One group alone, of a fifth of few outcomes, stops where its luck ends: all take turns. The rows are
    # binned once for all of them.
    turns = [
        (np.flatnonzero(groups != group), np.flatnonzero(groups == group))
        for group in range(STOP_GROUPS)
    ]
    found = lightgbm.cv(
        settings,
        _dataset(table, settings),
        num_boost_round=params.max_rounds,
        folds=turns,
        callbacks=[lightgbm.early_stopping(params.early_stopping_rounds, verbose=False)],
    )
    best = max(1, len(found["valid binary_logloss-mean"]))
    accounts = len(np.unique(table.accounts.astype(str)))
    return best, f"stopped by the log loss of {accounts} accounts, each left out in turn"


def lightgbm_settings(table: TrainingTable, params: FitParams, seed: int) -> dict[str, Any]:
    """What LightGBM is told to fit these rows; tuning tells it the same."""
    per_account = len(table) / max(1, len(np.unique(table.accounts.astype(str))))
    leaf = max(params.min_data_in_leaf, round(params.min_accounts_in_leaf * per_account))
    held = [table.monotone.get(name, 0) for name in table.columns]
    return {
        # Without any the key stays away: LightGBM then grows the trees that it always grew.
        **({"monotone_constraints": held} if any(held) else {}),
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": params.learning_rate,
        "num_leaves": params.num_leaves,
        "max_depth": params.max_depth,
        "extra_trees": params.extra_trees,
        # A leaf that no split could reach would leave an empty model on small data.
        "min_data_in_leaf": max(1, min(leaf, len(table) // 8)),
        "feature_fraction": params.feature_fraction,
        "lambda_l2": params.lambda_l2,
        "max_bin": params.max_bin,
        "cat_smooth": params.cat_smooth,
        "min_data_per_group": max(1, min(params.min_data_per_group, len(table) // 8)),
        "feature_pre_filter": False,
        "num_threads": 1,  # two threads are forty times slower as soon as the machine is busy
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }


def _dataset(table: TrainingTable, settings: dict[str, Any]) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        table.x,
        label=table.y,
        feature_name=list(table.columns),
        categorical_feature=[name for name in table.columns if name in table.categories],
        params=settings,
        free_raw_data=False,
    )
