"""FLAML and AutoGluon within a budget of seconds. Owns how they are asked.

Both are given what an honest user would give: log loss as the measure, one thread, and validation by
whole accounts. Without the last they would believe themselves on snapshots of accounts they know."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.contenders.boosters import (
    as_floats,
    as_json,
    lightgbm_learned,
    xgboost_learned,
)
from benchmarks.quality.contenders.learned import Learned, Size, log_odds
from benchmarks.quality.rows import FloatArray, Rows, held_back


def fit_flaml(train: Rows, seed: int, budget: float) -> Learned:
    """AutoML().fit: boosters, forests and a regression, cross-validated by account."""
    from flaml import AutoML

    warnings.simplefilter("ignore")
    _, groups = np.unique(train.accounts.astype(str), return_inverse=True)
    automl = AutoML()
    automl.fit(
        train.frame(), train.y.astype(int), task="classification", metric="log_loss",
        time_budget=budget, n_jobs=1, seed=seed, verbose=0, eval_method="cv", split_type="group",
        groups=groups,
    )  # fmt: skip
    note = f"{automl.best_estimator} {as_json(automl.best_config)}"
    resolution = 0.5 / len(train)
    plain = Learned(
        raw=lambda rows: log_odds(automl.predict_proba(rows.frame())[:, 1], resolution),
        explain=None,
        size=_pickled(automl.model.estimator),
        note=note,
    )
    inner = _inner(automl, note)
    if inner is None:
        return plain
    # FLAML's own predictions count; its booster says what explaining them costs, if it is the same.
    same = np.allclose(inner.raw(train), plain.raw(train), atol=1e-3)
    return Learned(plain.raw, inner.explain if same else None, inner.size, note=note)


def _inner(automl: Any, note: str) -> Learned | None:
    model, name = automl.model.estimator, automl.best_estimator

    def frame(rows: Rows) -> Any:
        return automl.model._preprocess(automl.preprocess(rows.frame()))

    if name == "lgbm":
        return lightgbm_learned(model.booster_, frame, note)
    if name.startswith("xgb"):
        import xgboost

        def matrix(rows: Rows) -> Any:
            return xgboost.DMatrix(frame(rows), enable_categorical=True, nthread=1)

        return xgboost_learned(model.get_booster(), matrix, note)
    if name == "catboost":
        return _catboost(model, frame, note)
    return None


def _catboost(model: Any, frame: Any, note: str) -> Learned:
    import catboost

    def pool(rows: Rows) -> Any:
        x = frame(rows)
        names = list(x.select_dtypes(include="category").columns)
        return catboost.Pool(x, cat_features=names, thread_count=1)

    def explain(rows: Rows) -> FloatArray:
        return as_floats(
            model.get_feature_importance(pool(rows), type="ShapValues", thread_count=1)
        )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.cbm"
        model.save_model(str(path))
        size = path.stat().st_size
    return Learned(
        raw=lambda rows: as_floats(model.predict(pool(rows), prediction_type="RawFormulaVal")),
        explain=explain,
        size=Size(model.tree_count_, int(np.sum(model.get_tree_leaf_counts())), size),
        note=note,
    )


def _pickled(estimator: Any) -> Size:
    import pickle

    trees = getattr(estimator, "estimators_", [])
    leaves = sum(int(tree.get_n_leaves()) for tree in np.ravel(trees)) if len(trees) else 0
    return Size(len(trees), leaves, len(pickle.dumps(estimator)))


def fit_autogluon(train: Rows, seed: int, budget: float) -> Learned:
    """TabularPredictor.fit with its default preset; it chooses and stops by held-back accounts.

    Neural networks are left out: they want PyTorch, and no such budget trains one on one thread.
    """
    from autogluon.tabular import TabularPredictor

    logging.disable(logging.WARNING)
    frame = train.frame().assign(_outcome=train.y.astype(int))
    held = held_back(train, seed)
    folder = tempfile.mkdtemp(prefix="churnml-autogluon-")
    predictor = TabularPredictor("_outcome", path=folder, eval_metric="log_loss", verbosity=0).fit(
        frame[~held], tuning_data=frame[held], time_limit=budget, num_cpus=1, num_gpus=0,
        excluded_model_types=["NN_TORCH", "FASTAI"],
    )  # fmt: skip
    resolution = 0.5 / len(train)
    return Learned(
        raw=lambda rows: log_odds(predictor.predict_proba(rows.frame())[1].to_numpy(), resolution),
        explain=None,
        size=Size(0, 0, int(predictor.disk_usage())),
        note=f"{predictor.model_best} of {len(predictor.model_names())} models",
    )
