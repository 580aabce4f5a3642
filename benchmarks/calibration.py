"""Are the probabilities true? Simulated companies whose true probabilities are known, over seeds.

Each seed is a company of its own: simulated, trained and tested out of time. The slope is of the true
log-odds on the told ones (1: neither too bold nor too shy); inside: how many test rows lie in a bin (fifty
of equal size) whose mean true probability is inside the mean interval told."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from churnml.scoring.predict import intervals, raw_scores, sigmoid
from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.init import init_project
from churnml.stages.project import open_project
from churnml.stages.simulate import simulate_company
from churnml.stages.train import settings_of
from churnml.training.train import train_target

BINS = 50
MIN_ROWS = 200  # of a segment, to fit a slope on


def slope_of(told: np.ndarray, true: np.ndarray) -> float:
    """The slope of a logistic regression of true probabilities on told log-odds."""
    x = np.log(told) - np.log1p(-told)
    slope, level = 1.0, 0.0
    for _ in range(50):
        p = sigmoid(slope * x + level)
        weight = p * (1 - p)
        gradient = np.array([((p - true) * x).sum(), (p - true).sum()])
        hessian = np.array(
            [[(weight * x * x).sum(), (weight * x).sum()], [(weight * x).sum(), weight.sum()]]
        )
        step = np.linalg.solve(hessian, gradient)
        slope, level = slope - step[0], level - step[1]
        if np.abs(step).max() < 1e-9:
            break
    return float(slope)


def inside_share(told: np.ndarray, low: np.ndarray, high: np.ndarray, true: np.ndarray) -> float:
    """Share of rows in bins of told probability whose mean true probability is inside the interval."""
    order = np.argsort(told, kind="stable")
    inside = 0
    for part in np.array_split(order, BINS):
        inside += len(part) * bool(low[part].mean() <= true[part].mean() <= high[part].mean())
    return inside / len(told)


def one_company(folder: Path, accounts: int, weeks: int, seed: int) -> list[dict[str, Any]]:
    """The figures of one simulated company, a row per target."""
    simulate_company(folder / "data", accounts, weeks, seed)
    init_project(folder / "project", str(folder / "data"))
    project = open_project(folder / "project")
    truth = pd.read_parquet(folder / "data" / "truth" / "probabilities.parquet")
    truth["as_of"] = pd.to_datetime(truth["as_of"])
    found = []
    with open_tables(project) as workspace:
        built = build(workspace, project.config, calendar_dates(workspace, project.config))
        for target, declared in project.config.targets.items():
            labels = label_frame(workspace, project.config, target)
            settings = settings_of(workspace, project.config, target)
            trained = train_target(
                built.frame, labels, built.features, target, declared,
                replace(settings, training=settings.training.model_copy(update={"seed": seed})),
                workspace.data_through,
            )  # fmt: skip
            raw = raw_scores(trained.bundle, trained.test.x)
            low, high = intervals(trained.bundle, raw)
            rows = trained.predictions.assign(low=low, high=high)
            rows["account_id"] = rows["account_id"].astype(str)
            context = built.context[["account_id", "as_of", "segment"]]
            rows = rows.merge(context, on=["account_id", "as_of"])
            rows = rows.merge(truth[truth["target"] == target], on=["account_id", "as_of"])
            found.append({"seed": seed, "target": target, **_figures(rows, trained)})
    return found


def _figures(rows: pd.DataFrame, trained: Any) -> dict[str, Any]:
    told, true = rows["probability"].to_numpy(), rows["true_probability"].to_numpy()
    segments = {
        str(name): slope_of(part["probability"].to_numpy(), part["true_probability"].to_numpy())
        for name, part in rows.groupby("segment")
        if len(part) >= MIN_ROWS
    }
    model = trained.evaluation.model
    return {
        "rows": len(rows),
        "outcomes": trained.evaluation.outcomes,
        "roc_auc": model["roc_auc"].value,
        "slope": slope_of(told, true),
        "segments": segments,
        "inside": inside_share(told, rows["low"].to_numpy(), rows["high"].to_numpy(), true),
        "told": float(told.mean()),
        "true": float(true.mean()),
        "width": float((rows["high"] - rows["low"]).mean()),
    }


def main() -> None:
    """Print a table, a row per company and target, and write all figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=3000)
    parser.add_argument("--weeks", type=int, default=130)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory(prefix="churnml-calibration-") as name:
            found += one_company(Path(name), asked.accounts, asked.weeks, seed)
    shown = Table(title=f"{asked.accounts:,} accounts, {asked.weeks} weeks", box=None)
    for column in ("seed", "target", "rows", "outcomes", "ROC AUC", "slope", "by segment", "inside",
                   "told", "true", "width"):  # fmt: skip
        shown.add_column(column, justify="left" if column in ("target", "by segment") else "right")
    for row in found:
        shown.add_row(
            str(row["seed"]), row["target"], f"{row['rows']:,}", str(row["outcomes"]),
            f"{row['roc_auc']:.3f}", f"{row['slope']:.2f}",
            " ".join(f"{value:.2f}" for value in row["segments"].values()),
            f"{row['inside']:.0%}", f"{row['told']:.3f}", f"{row['true']:.3f}",
            f"{row['width']:.3f}",
        )  # fmt: skip
    Console(width=130).print(shown)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
