"""Contenders' raw scores into figures, for all alike. Owns the rule of the comparison.

Every contender learns from the train rows alone; one sigmoid on the calibrate rows, churnml's own, then
sets the level and spread of each, so that a difference is one of knowledge. What a contender says without
it (`own_log_loss`) stands beside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.quality.prepare import TRAINED, table_of
from benchmarks.quality.rows import Cut, FloatArray, load
from churnml.config import CapacityConfig
from churnml.scoring.predict import sigmoid
from churnml.training.calibrate import calibrate
from churnml.training.evaluate import MODEL, Evaluation, evaluate
from churnml.training.learn import accounts_of
from churnml.training.metrics import FLOOR
from churnml.training.params import MIN_SLOPE_OUTCOMES

DEFAULT, TUNED = "churnml", "churnml_tuned"
SHOWN = ("pr_auc", "roc_auc", "log_loss", "lift_at_10_percent")
COMPARED = ("log_loss", "roc_auc", "pr_auc")
SAME = 1e-12  # two ways to one model


@dataclass(frozen=True)
class Judged:
    """All contenders of one cut.

    figures: contender -> what `step` found, `own_log_loss`, and metrics as {"value", "low", "high"};
    `differences` hold churnml's default minus it, `tuned_differences` the tuned one's.
    """

    name: str
    facts: Mapping[str, Any]
    figures: Mapping[str, dict[str, Any]]

    @property
    def peers(self) -> list[str]:
        """Those that are not churnml."""
        return [name for name in self.figures if name not in (DEFAULT, TUNED)]

    @property
    def best_peer(self) -> str:
        """The peer with the lowest log loss on the test: chosen in hindsight, in its favour."""
        return min(self.peers, key=lambda name: self.figures[name]["log_loss"]["value"])


def judge(folder: Path, names: Sequence[str]) -> Judged:
    """Calibrate and compare the contenders whose files lie in a cut's folder.

    Raises: ValueError if churnml's contender is not the model that `churnml train` makes.
    """
    cut = load(folder)
    told, figures = {}, {}
    for name in names:
        raw = pd.read_parquet(folder / f"{name}.parquet")
        later, test = (raw.loc[raw["part"] == part, "raw"].to_numpy() for part in ("later", "test"))
        # Peers get Platt's own sigmoid: defaults that are too sure of themselves need a slope far from 1.
        fitted = calibrate(
            later, cut.later.y, min(accounts_of(table_of(cut.later))), MIN_SLOPE_OUTCOMES,
            drawn=name in (DEFAULT, TUNED),
        )  # fmt: skip
        told[name] = fitted.apply(test)
        figures[name] = json.loads((folder / f"{name}.json").read_text("utf-8"))
        figures[name]["own_log_loss"] = (
            log_loss(sigmoid(test), cut.test.y) if figures[name]["own"] else None
        )
        figures[name]["calibration"] = fitted.note
    away = float(np.abs(told[DEFAULT] - np.load(folder / TRAINED)).max())
    if not away <= SAME:
        raise ValueError(
            f"{cut.name}: churnml's contender tells other probabilities than `churnml train` (by "
            f"{away:.2g}). Expected the same. Remove {folder} and run again."
        )
    evaluations = {DEFAULT: _evaluate(cut, told, DEFAULT)}
    if TUNED in told:
        evaluations[TUNED] = _evaluate(cut, told, TUNED)
    first = evaluations[DEFAULT]
    for name, found in figures.items():
        metrics = first.metrics[MODEL if name == DEFAULT else name]
        found.update({metric: metrics[metric].as_dict() for metric in SHOWN})
        for model, key in ((DEFAULT, "differences"), (TUNED, "tuned_differences")):
            if model in evaluations and name != model:
                differences = evaluations[model].differences[name]
                found[key] = {metric: differences[metric].as_dict() for metric in COMPARED}
    facts = {
        **cut.facts,
        "features": len(cut.train.columns),
        "rows": [len(part) for part in (cut.train, cut.later, cut.test)],
        "train_outcomes": accounts_of(table_of(cut.train))[0],
        "test_accounts": first.accounts,
        "test_outcomes": first.outcomes,
    }
    facts = {key: value for key, value in facts.items() if key not in ("columns", "categories")}
    return Judged(cut.name, facts, figures)


def _evaluate(cut: Cut, told: Mapping[str, FloatArray], model: str) -> Evaluation:
    rest = {name: probability for name, probability in told.items() if name != model}
    return evaluate(
        table_of(cut.test),
        {MODEL: told[model], **rest},
        CapacityConfig(**cut.facts["capacity"]).of,
        int(cut.facts["bootstrap_rounds"]),
        int(cut.facts["seed"]),
        float(cut.facts["interval"]),
    )


def log_loss(probability: FloatArray, y: FloatArray) -> float:
    """Mean log loss per row."""
    p = np.clip(probability, FLOOR, 1 - FLOOR)
    return float(-np.where(y > 0.5, np.log(p), np.log1p(-p)).mean())


def verdict(judged: Judged, name: str, key: str = "differences") -> str:
    """churnml beside one contender by log loss: better, worse, or not to be told apart."""
    difference = judged.figures[name][key]["log_loss"]
    if difference["low"] is None:
        return "no interval"
    if difference["low"] > 0:
        return "worse"
    return "better" if difference["high"] < 0 else "level"
