"""One contender on one cut, in a process and an environment of its own.

Owns the clocks: they begin when packages are imported, and stop when the model is fitted and has scored
the rows that calibrate it. Figures are CPU seconds, which a busy machine doesn't stretch. Writes raw
scores (`CONTENDER.parquet`) and figures (`CONTENDER.json`); judging is done elsewhere, for all alike."""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.quality.contenders.learned import Learned
from benchmarks.quality.rows import Cut, FloatArray, Rows, load

REPEAT_BELOW = 30.0  # seconds: a fit that takes longer is timed once
REPEATS = 3
EXPLAINED = 2_000  # test rows at most, evenly spaced
HOME = "benchmarks.quality.contenders."

Fit = Callable[[Cut, argparse.Namespace], Learned]


def _of(module: str, function: str) -> Callable[..., Learned]:
    found: Callable[..., Learned] = getattr(importlib.import_module(HOME + module), function)
    return found


def _seed(cut: Cut) -> int:
    return int(cut.facts["seed"])


# name -> (what it is, the package whose version is told, how it is fitted)
CONTENDERS: Mapping[str, tuple[str, str, Fit]] = {
    "churnml": ("churnml, default", "lightgbm", lambda c, _: _of("ours", "fit")(c, None)),
    "churnml_tuned": ("churnml, tuned", "lightgbm", lambda c, a: _of("ours", "fit")(c, a.params)),
    "flaml": (
        "FLAML", "flaml",
        lambda c, a: _of("automl", "fit_flaml")(c.train, _seed(c), a.budget),
    ),
    "autogluon": (
        "AutoGluon", "autogluon.tabular",
        lambda c, a: _of("automl", "fit_autogluon")(c.train, _seed(c), a.budget),
    ),
    "xgboost": (
        "XGBoost, defaults", "xgboost-cpu",
        lambda c, _: _of("boosters", "fit_xgboost")(c.train, _seed(c)),
    ),
    "catboost": (
        "CatBoost, defaults", "catboost",
        lambda c, _: _of("boosters", "fit_catboost")(c.train, _seed(c)),
    ),
    "lightgbm": (
        "LightGBM, defaults", "lightgbm",
        lambda c, _: _of("boosters", "fit_lightgbm")(c.train, _seed(c)),
    ),
    "logistic": (
        "logistic regression", "scikit-learn", lambda c, _: _of("linear", "fit")(c.train)
    ),
    "fight_churn": (
        "fight-churn, regression", "scikit-learn",
        lambda c, _: _of("fight_churn", "fit_regression")(c.train),
    ),
    "fight_churn_xgboost": (
        "fight-churn, XGBoost", "xgboost-cpu",
        lambda c, _: _of("fight_churn", "fit_xgboost")(c.train),
    ),
    "rfm": ("RFM rule", "numpy", lambda c, _: _of("rfm", "fit")(c.train, c.facts["target"])),
}  # fmt: skip
OURS = ("churnml", "churnml_tuned")  # these need churnml's environment
BUDGETED = ("flaml", "autogluon")  # these take what they are given, every time


def run(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Fit, score the later and test rows, time and explain."""
    what, package, fit = CONTENDERS[name]
    cut = load(folder)
    _warm(name)
    seconds, clock = [], []
    while True:
        begun, begun_clock = time.process_time(), time.perf_counter()
        learned = fit(cut, arguments)
        later = learned.raw(cut.later)
        seconds.append(time.process_time() - begun)
        clock.append(time.perf_counter() - begun_clock)
        if name in BUDGETED or clock[0] > REPEAT_BELOW or len(seconds) == REPEATS:
            break
    test = learned.raw(cut.test)
    for part, raw in (("later", later), ("test", test)):
        if raw.shape != (len(getattr(cut, part)),) or not np.isfinite(raw).all():
            raise ValueError(f"{name}: {part} rows got no finite score each")
    pd.DataFrame(
        {
            "part": ["later"] * len(later) + ["test"] * len(test),
            "raw": np.concatenate([later, test]),
        }
    ).to_parquet(folder / f"{name}.parquet", index=False)
    size = learned.size
    figures: dict[str, object] = {
        "contender": name,
        "what": what,
        "version": f"{package} {version(package)}",
        "note": learned.note,
        "own": learned.own,
        "training_seconds": statistics.median(seconds),
        "training_clock_seconds": statistics.median(clock),
        "fits_timed": len(seconds),
        "explain_us_per_row": explaining(learned, cut.test, test),
        "trees": size.trees,
        "leaves": size.leaves,
        "text_bytes": size.text_bytes,
    }
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=2), encoding="utf-8")
    return figures


def _warm(name: str) -> None:
    # What a library does once per process is no part of a fit.
    for package in {
        "flaml": ("flaml",), "autogluon": ("autogluon.tabular",), "catboost": ("catboost",),
        "xgboost": ("xgboost",), "fight_churn_xgboost": ("xgboost", "sklearn.metrics"),
        "lightgbm": ("lightgbm",),
    }.get(name, ()):  # fmt: skip
        importlib.import_module(package)
    module = {"churnml": "ours", "churnml_tuned": "ours", "rfm": "rfm", "logistic": "linear"}
    importlib.import_module(HOME + module.get(name, "fight_churn"))


def explaining(learned: Learned, test: Rows, raw: FloatArray) -> float | None:
    """CPU microseconds that the parts of one row's score cost, in a batch; None where there are none.

    Raises: ValueError if the parts don't add up to the score.
    """
    if learned.explain is None:
        return None
    places = np.unique(np.linspace(0, len(test) - 1, min(EXPLAINED, len(test))).astype(int))
    rows = test.where(places)
    learned.explain(rows.where(np.arange(min(20, len(rows)))))
    taken = []
    for _ in range(REPEATS):
        begun = time.process_time()
        parts = learned.explain(rows)
        taken.append(time.process_time() - begun)
    gap = np.abs(parts.sum(axis=1) - raw[places]).max()
    if not gap < 1e-3:
        raise ValueError(f"contributions add up to something else than the score (by {gap:.2g})")
    return statistics.median(taken) / len(rows) * 1e6


def main() -> None:
    """Run the contender that the command line names, and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=list(CONTENDERS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--params", type=Path)
    arguments = parser.parse_args()
    print(json.dumps(run(arguments.contender, arguments.folder, arguments)))


if __name__ == "__main__":
    main()
