"""XGBoost, CatBoost and LightGBM with the parameters that they come with. Owns these three.

Categories go in as each library wants them; nothing is chosen but one thread and a seed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality.contenders.learned import Learned, Size
from benchmarks.quality.rows import FloatArray, Rows


def fit_xgboost(train: Rows, seed: int) -> Learned:
    """XGBClassifier(): 100 trees of depth 6 at a rate of 0.3."""
    import xgboost

    model = xgboost.XGBClassifier(n_jobs=1, random_state=seed, enable_categorical=True)
    model.fit(train.frame(), train.y)

    def matrix(rows: Rows) -> Any:
        return xgboost.DMatrix(rows.frame(), enable_categorical=True, nthread=1)

    return xgboost_learned(model.get_booster(), matrix)


def xgboost_learned(booster: Any, matrix: Callable[[Rows], Any], note: str = "") -> Learned:
    """A fitted XGBoost booster as a contender."""
    booster.set_param({"nthread": 1})
    trees = booster.get_dump()
    return Learned(
        raw=lambda rows: as_floats(booster.predict(matrix(rows), output_margin=True)),
        explain=lambda rows: as_floats(booster.predict(matrix(rows), pred_contribs=True)),
        size=Size(
            len(trees),
            sum(tree.count("leaf=") for tree in trees),
            len(booster.save_raw(raw_format="json")),
        ),
        note=note,
    )


def fit_catboost(train: Rows, seed: int) -> Learned:
    """CatBoostClassifier(): 1,000 symmetric trees of depth 6, the rate chosen by the library."""
    import catboost

    model = catboost.CatBoostClassifier(
        thread_count=1, random_seed=seed, allow_writing_files=False, verbose=False
    )
    model.fit(catboost_pool(train, train.y), None)
    return catboost_learned(model)


def catboost_pool(rows: Rows, y: FloatArray | None = None) -> Any:
    """Rows as CatBoost wants them: categories as text, a missing one a category of its own."""
    import catboost

    frame = rows.frame()
    for name in rows.categories:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "missing").astype(str)
    names = list(rows.categories)
    return catboost.Pool(frame, label=y, cat_features=names, thread_count=1)


def catboost_learned(model: Any, note: str = "") -> Learned:
    """A fitted CatBoost model as a contender."""

    def explain(rows: Rows) -> FloatArray:
        return as_floats(
            model.get_feature_importance(catboost_pool(rows), type="ShapValues", thread_count=1)
        )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json", pool=None)
        text = path.stat().st_size
    return Learned(
        raw=lambda rows: as_floats(
            model.predict(catboost_pool(rows), prediction_type="RawFormulaVal", thread_count=1)
        ),
        explain=explain,
        size=Size(model.tree_count_, int(np.sum(model.get_tree_leaf_counts())), text),
        note=note,
    )


def fit_lightgbm(train: Rows, seed: int) -> Learned:
    """LGBMClassifier(): 100 trees of 31 leaves at a rate of 0.1."""
    import lightgbm

    model = lightgbm.LGBMClassifier(n_jobs=1, random_state=seed, verbosity=-1)
    model.fit(train.frame(), train.y)
    return lightgbm_learned(model.booster_, Rows.frame)


def lightgbm_learned(booster: Any, matrix: Callable[[Rows], Any], note: str = "") -> Learned:
    """A fitted LightGBM booster as a contender."""
    text = booster.model_to_string()
    leaves = sum(
        int(line.split("=")[1]) for line in text.splitlines() if line[:11] == "num_leaves="
    )
    return Learned(
        raw=lambda rows: as_floats(booster.predict(matrix(rows), raw_score=True, num_threads=1)),
        explain=lambda rows: as_floats(
            booster.predict(matrix(rows), pred_contrib=True, num_threads=1)
        ),
        size=Size(booster.num_trees(), leaves, len(text)),
        note=note,
    )


def as_floats(values: Any) -> FloatArray:
    """What a library predicts, as a plain array."""
    return np.asarray(values, dtype=np.float64)


def as_json(value: object) -> str:
    """A configuration in a line."""
    return json.dumps(value, default=str)
