"""How training does at several origins, and on accounts that it never saw. Owns the folds; keeps no model.

Each origin's model is fitted and calibrated as a champion would have been on that day. One more model
per origin and group of accounts learns without that group: what it says of them is the view of unseen
accounts."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from churnml.config import TargetConfig
from churnml.errors import Refused
from churnml.features.spec import Feature
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable, assemble, joined, missing_in_words
from churnml.training.baselines import baselines
from churnml.training.contract import contract_lock
from churnml.training.evaluate import MODEL, Evaluation, evaluate
from churnml.training.learn import cut_parts, learn
from churnml.training.params import MIN_PART_OUTCOMES, MIN_SLOPE_OUTCOMES, FitParams
from churnml.training.profit import contact_gains
from churnml.training.split import Needs, Split, rolling_splits
from churnml.training.train import Settings

GROUPS = 4  # of accounts: each is left out in turn
UNSEEN = "unseen"


@dataclass(frozen=True, eq=False)
class Fold:
    """One origin: where it was cut, and how its model and the baselines did on its test part."""

    split: Split
    trees: int
    evaluation: Evaluation


@dataclass(frozen=True, eq=False)
class Backtest:
    """All origins of one target.

    predictions: every out-of-time row: account_id, as_of, fold (from 1), label, mrr, probability,
    unseen_probability (by a model that never saw the account; NaN where there was too little to learn
    from) and a column per baseline. pooled: all folds as one test. unseen: the same rows as far as there is
    an unseen_probability, "model" against "unseen".
    """

    target: str
    folds: tuple[Fold, ...]
    predictions: pd.DataFrame
    pooled: Evaluation
    unseen: Evaluation | None


def backtest(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    catalog_features: Sequence[Feature],
    target: str,
    declared: TargetConfig,
    settings: Settings,
    params: FitParams,
    workers: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Backtest one target. Arguments as of `train_target`; the number of workers changes nothing else.

    Raises: Refused, in words, if two purged folds don't fit.
    """
    missing = missing_in_words(labels)
    try:
        whole = assemble(features, labels, catalog_features, target)
        gap_days = declared.lead_days + declared.horizon_days + settings.grace_days
        splits = _splits(whole, gap_days, settings)
        tables = [_free(whole, split, declared) for split in splits]
        asked = [(k, group) for k in range(len(splits)) for group in (None, *range(GROUPS))]
        run = Parallel(n_jobs=min(workers, len(asked)), return_as="generator")
        jobs = (
            delayed(_job)(tables[k], splits[k], group, settings, params, missing, target)
            for k, group in asked
        )
        done: dict[tuple[int, int | None], _Told] = {}
        for place, told in zip(asked, run(jobs), strict=True):
            done[place] = told
            say(f"{target}: {len(done)} of {len(asked)} models")
    except Refused as refusal:
        raise Refused(f"{target}: {refusal}") from None
    tests, folds, frames = [], [], []
    for k, (table, split) in enumerate(zip(tables, splits, strict=True)):
        test = table.where(split.test.rows(table))
        main = done[k, None]
        assert main.evaluation is not None
        folds.append(Fold(split, main.trees, main.evaluation))
        unseen = np.full(len(test), np.nan)
        mine = account_groups(test.accounts)
        for group in range(GROUPS):
            unseen[mine == group] = done[k, group].probabilities[MODEL][mine == group]
        tests.append(test)
        frames.append(
            pd.DataFrame(
                {
                    "account_id": test.accounts,
                    "as_of": test.as_of,
                    "fold": k + 1,
                    "label": test.y,
                    "mrr": test.mrr,
                    "probability": main.probabilities[MODEL],
                    "unseen_probability": unseen,
                    **{name: p for name, p in main.probabilities.items() if name != MODEL},
                }
            )
        )
    predictions = pd.concat(frames, ignore_index=True)
    return Backtest(
        target,
        tuple(folds),
        predictions,
        _evaluated(joined(tests), _of_every_fold(predictions), settings, target),
        _unseen(joined(tests), predictions, settings, target),
    )


def _free(whole: TrainingTable, split: Split, declared: TargetConfig) -> TrainingTable:
    """The rows that the origin may look at: without contracts that cannot end inside the window."""
    lock = contract_lock(whole.where(split.train.rows(whole)), declared)
    return whole if lock is None else whole.where(~lock.holds(whole))


def _splits(whole: TrainingTable, gap_days: int, settings: Settings) -> tuple[Split, ...]:
    least = settings.training.min_outcomes
    for calibrate in (MIN_SLOPE_OUTCOMES, MIN_PART_OUTCOMES):
        needs = Needs(train=least, calibrate=calibrate, test=MIN_PART_OUTCOMES)
        try:
            return rolling_splits(whole, gap_days, settings.split, needs, settings.training.folds)
        except Refused as refusal:
            refused = refusal
    raise refused


def account_groups(accounts: np.ndarray) -> np.ndarray:
    """The group of each row's account, (rows,) from 0: by the id alone, so that it stays."""
    ids, places = np.unique(accounts.astype(str), return_inverse=True)
    return np.array([zlib.crc32(name.encode()) % GROUPS for name in ids])[places]


@dataclass(frozen=True, eq=False)
class _Told:
    """What one model says of the whole test part."""

    probabilities: Mapping[str, FloatArray]
    trees: int
    evaluation: Evaluation | None


def _job(
    whole: TrainingTable,
    split: Split,
    group: int | None,
    settings: Settings,
    params: FitParams,
    missing: str,
    target: str,
) -> _Told:
    test_rows = split.test.rows(whole)
    if group is not None:
        # The test keeps all its rows, so that both views line up.
        keep = (account_groups(whole.accounts) != group) | test_rows
        try:
            parts = cut_parts(whole.where(keep), split, settings.training, missing)
        except Refused:
            return _Told({MODEL: np.full(int(test_rows.sum()), np.nan)}, 0, None)
        learned = learn(parts, params, settings.training.seed)
        return _Told({MODEL: learned.probability(parts.test.x)}, learned.fitted.rounds, None)
    parts = cut_parts(whole, split, settings.training, missing)
    learned = learn(parts, params, settings.training.seed)
    told = {
        MODEL: learned.probability(parts.test.x),
        **{rival.name: rival.probability for rival in baselines(parts)},
    }
    return _Told(told, learned.fitted.rounds, _evaluated(parts.test, told, settings, target))


def _evaluated(
    test: TrainingTable, told: Mapping[str, FloatArray], settings: Settings, target: str
) -> Evaluation:
    return evaluate(
        test,
        told,
        settings.capacity.of,
        settings.training.bootstrap_rounds,
        settings.training.seed,
        settings.gates.interval,
        contact_gains(test, target, settings.value),
    )


KEYS = ("account_id", "as_of", "fold", "label", "mrr", "unseen_probability")


def _of_every_fold(predictions: pd.DataFrame) -> dict[str, FloatArray]:
    """ "model" and the baselines that every fold has."""
    names = {"probability": MODEL}
    return {
        names.get(column, column): predictions[column].to_numpy()
        for column in predictions
        if column not in KEYS and predictions[column].notna().all()
    }


def _unseen(
    test: TrainingTable, predictions: pd.DataFrame, settings: Settings, target: str
) -> Evaluation | None:
    known = predictions["unseen_probability"].notna().to_numpy()
    rows = test.where(known)
    if not len(rows) or len(np.unique(rows.y)) < 2:
        return None
    told = {
        MODEL: predictions["probability"].to_numpy()[known],
        UNSEEN: predictions["unseen_probability"].to_numpy()[known],
    }
    return _evaluated(rows, told, settings, target)
