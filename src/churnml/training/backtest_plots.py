"""Pictures of a backtest for its MLflow run. Owns the drawing; computes no metric anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from churnml.training.backtest import Backtest
from churnml.training.drawing import plt, save
from churnml.training.evaluate import MODEL, Evaluation

SHOWN = (("roc_auc", "ROC AUC"), ("pr_auc", "PR AUC"), ("log_loss", "log loss"))


def draw_backtest(found: Backtest, folder: Path) -> list[Path]:
    """Draw the metrics of each fold, and the reliability of all of them, as PNGs into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_folds(found, folder / "folds.png"), _reliability(found, folder / "reliability.png")]


def _folds(found: Backtest, path: Path) -> Path:
    figure, panels = plt.subplots(
        1, len(SHOWN), figsize=(4.2 * len(SHOWN), 4), layout="constrained"
    )
    names = list(found.folds[0].evaluation.metrics)
    places = np.arange(len(found.folds))
    for axes, (metric, title) in zip(panels, SHOWN, strict=True):
        shifts = np.linspace(-0.3, 0.3, len(names))
        for number, (shift, name) in enumerate(zip(shifts, names, strict=True)):
            estimates = [_of(fold.evaluation, name, metric) for fold in found.folds]
            value, low, high = np.array(estimates).T
            main = name == MODEL
            axes.errorbar(
                places + shift, value, yerr=np.maximum(0.0, [value - low, high - value]),
                fmt="o" if main else ".", capsize=2, label=name.replace("_", " "),
                color=f"C{number}", elinewidth=1.6 if main else 0.8,
                zorder=3 if main else 2,
            )  # fmt: skip
        axes.set_xticks(places, [f"{fold.split.test.first:%Y-%m-%d}" for fold in found.folds])
        axes.tick_params(axis="x", labelrotation=30)
        axes.set_title(f"{title}, tested from")
        axes.grid(axis="y", alpha=0.3)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(names), fontsize=8)
    figure.suptitle(f"{found.target}: {len(found.folds)} origins")
    return save(figure, path)


def _of(evaluation: Evaluation, name: str, metric: str) -> tuple[float, float, float]:
    estimates = evaluation.metrics.get(name)
    if estimates is None:  # a baseline that this fold's columns do not allow
        return np.nan, np.nan, np.nan
    estimate = estimates[metric]
    return estimate.value, estimate.low, estimate.high


def _reliability(found: Backtest, path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(5, 5))
    bins = found.pooled.calibration
    predicted = np.array([b.predicted for b in bins])
    seen, low, high = np.array([(b.observed, b.low, b.high) for b in bins]).T
    top = 1.05 * max(0.05, float(np.nanmax([predicted, seen, high])))
    axes.plot([0, top], [0, top], color="0.7", linewidth=1)
    error = np.maximum(0.0, np.nan_to_num([seen - low, high - seen]))
    axes.errorbar(predicted, seen, yerr=error, marker="o", capsize=2)
    axes.set(xlabel="told (mean probability)", ylabel="seen (share)")
    axes.set_title(f"{found.target}: reliability over all origins")
    return save(figure, path)
