"""The exact parts of a score: churnml's TreeSHAP beside LightGBM's own and shap's, on one thread.

`python -m benchmarks.explain.run` trains two models on made rows with missing values and categories, lets
each contender explain the same rows in turns, and prints medians of CPU seconds, because a busy machine
stretches the clock's. Every value of every contender is compared with LightGBM's; one that differs by more
than 1e-9 is printed as WRONG, and the run exits with 1."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import lightgbm
import numpy as np
import numpy.typing as npt
import shap
from rich.console import Console
from rich.table import Table

from churnml.scoring.trees import read_trees
from churnml.scoring.treeshap import Forest
from churnml.training.params import FitParams

Floats = npt.NDArray[np.float64]
Explain = Callable[[Floats], Floats]
ORACLE = "LightGBM, pred_contrib"
OURS = "churnml"
TOLERANCE = 1e-9
DEFAULT = FitParams()
MODELS = {
    "churnml's default parameters": {
        "num_leaves": DEFAULT.num_leaves,
        "max_depth": DEFAULT.max_depth,
        "extra_trees": DEFAULT.extra_trees,
        "feature_fraction": DEFAULT.feature_fraction,
        "lambda_l2": DEFAULT.lambda_l2,
        "max_bin": DEFAULT.max_bin,
        "cat_smooth": DEFAULT.cat_smooth,
        "min_data_per_group": DEFAULT.min_data_per_group,
        "learning_rate": DEFAULT.learning_rate,
    },
    "large": {"num_leaves": 63, "learning_rate": 0.05},
}
TREES = {"churnml's default parameters": 250, "large": 400}
CATEGORIES = 6

# What a process of its own needs before its first contribution; the model's text is read from a file.
START = """
import sys, time
import numpy, lightgbm
from churnml.scoring.trees import read_trees
text = open(sys.argv[1]).read()
began = time.perf_counter()
from churnml.scoring.treeshap import Forest
forest = Forest(read_trees(text))
built = time.perf_counter()
from churnml.scoring.treeshap_compiled import compiled
compiled(forest)
print(built - began, time.perf_counter() - built)
"""


@dataclass
class Contender:
    """What explains, and the CPU seconds that it took each time: in a batch, and a row alone."""

    name: str
    explain: Explain
    batch: list[float]
    single: list[float]
    gap: float = 0.0


def made_rows(rows: int, features: int, seed: int) -> tuple[Floats, Floats]:
    """Rows with missing values, zeros and categories, and an outcome that depends on them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    x[:, :CATEGORIES] = rng.integers(0, 12, (rows, CATEGORIES))
    half = x[:, features // 2 :]
    half[rng.random(half.shape) < 0.3] = 0.0
    x[rng.random(x.shape) < 0.05] = np.nan
    known = np.nan_to_num(x)
    weight = np.random.default_rng(0).normal(size=features - CATEGORIES) * 0.3
    odds = known[:, CATEGORIES:] @ weight + (known[:, 0] % 3 == 1) - 1.0
    return x, (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(float)


def train(name: str, features: int, rows: int) -> lightgbm.Booster:
    """The model, as it is loaded from its text."""
    settings = {
        "objective": "binary", "num_threads": 1, "verbosity": -1, "seed": 1, "deterministic": True,
        "force_row_wise": True, **MODELS[name],
    }  # fmt: skip
    x, y = made_rows(rows, features, 1)
    data = lightgbm.Dataset(x, y, categorical_feature=list(range(CATEGORIES)))
    booster = lightgbm.train(settings, data, num_boost_round=TREES[name])
    return lightgbm.Booster(model_str=booster.model_to_string())


def contenders(booster: lightgbm.Booster) -> list[Contender]:
    """LightGBM first: the others are compared with it."""
    from churnml.scoring.treeshap_compiled import compiled

    forest = Forest(read_trees(booster.model_to_string()))
    explainer = shap.TreeExplainer(booster)
    ways: dict[str, Explain] = {
        ORACLE: lambda x: np.asarray(booster.predict(x, pred_contrib=True, num_threads=1))[:, :-1],
        f"shap.TreeExplainer {shap.__version__}": lambda x: np.asarray(explainer.shap_values(x)),
        OURS: compiled(forest).contributions,
        "churnml without numba": forest.contributions,
    }
    return [Contender(name, explain, [], []) for name, explain in ways.items()]


def measure(found: list[Contender], x: Floats, rounds: int, singles: int) -> None:
    """Let them explain in turns: what disturbs the machine disturbs all."""
    truth = found[0].explain(x)
    for contender in found:
        contender.gap = float(np.abs(contender.explain(x) - truth).max())
    for _ in range(rounds):
        for contender in found:
            began = time.process_time()
            contender.explain(x)
            contender.batch.append((time.process_time() - began) / len(x))
            for row in range(singles):
                one = x[row % len(x) :][:1]
                began = time.process_time()
                contender.explain(one)
                contender.single.append(time.process_time() - began)


def starts(booster: lightgbm.Booster) -> tuple[float, float, float]:
    """Seconds of fresh processes: to read the model, to compile, to take it from numba's cache."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.txt"
        path.write_text(booster.model_to_string(), encoding="utf-8")
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(Path(scratch) / "cache")}
        told = [
            subprocess.run(
                [sys.executable, "-c", START, str(path)],
                check=True, capture_output=True, text=True, env=environment,
            ).stdout.split()
            for _ in range(2)
        ]  # fmt: skip
    return float(told[0][0]), float(told[0][1]), float(told[1][1])


def main() -> None:
    """Print the table; exit with 1 where a contender is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=120)
    parser.add_argument("--train-rows", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=512, help="explained in a batch")
    parser.add_argument("--singles", type=int, default=20, help="explained alone, in each round")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    console, wrong = Console(width=140), False
    x, _ = made_rows(asked.rows, asked.features, 2)
    for name in MODELS:
        booster = train(name, asked.features, asked.train_rows)
        found = contenders(booster)
        measure(found, x, asked.rounds, asked.singles)
        trees = read_trees(booster.model_to_string())
        table = Table(
            title=f"{name}: {booster.num_trees()} trees, {len(trees.leaves):,} leaves, "
            f"{asked.features} features; {asked.rounds} rounds of {asked.rows} rows"
        )
        for head in ("", "batch, µs/row", "times", "one row, µs", "times", "largest difference"):
            table.add_column(head, justify="right" if head else "left")
        batch, single = median(found[0].batch), median(found[0].single)
        for contender in found:
            own_batch, own_single = median(contender.batch), median(contender.single)
            is_wrong = not contender.gap <= TOLERANCE
            wrong = wrong or is_wrong
            table.add_row(
                contender.name, f"{own_batch * 1e6:,.1f}", f"{batch / own_batch:.1f}",
                f"{own_single * 1e6:,.1f}", f"{single / own_single:.1f}",
                f"{contender.gap:.0e}" + (" WRONG" if is_wrong else ""),
            )  # fmt: skip
        console.print(table)
        read, cold, cached = starts(booster)
        console.print(
            f"A fresh process reads the model in {read:.2f} s; with numba's import it compiles in "
            f"{cold:.1f} s, or takes the loops from the cache in {cached:.2f} s."
        )
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    console.print(f"{os.cpu_count()} cores, load averages at the end: {load}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
