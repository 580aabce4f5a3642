"""Pictures of a trained target for its MLflow run. Owns which, and those of its metrics; computes no
metric anew. What shap draws stands in `shap_plots.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from churnml.features.spec import Feature
from churnml.scoring.contributions import Explained, explain_matrix
from churnml.scoring.predict import FloatArray
from churnml.training.card import figure as figure_of
from churnml.training.drawing import plt, save
from churnml.training.evaluate import MODEL, CalibrationBin, Segment
from churnml.training.segments import name_of
from churnml.training.shap_plots import draw_beeswarm, draw_dependence, draw_waterfall, top_rows
from churnml.training.train import TrainedTarget

SAMPLE_ROWS = 500  # more points than that hide each other
TOP_ACCOUNTS = 3
SHOWN_DRIVERS = 12
SHOWN_SEGMENTS = 20  # those with most outcomes
ACROSS = 4  # segments side by side


def draw_plots(
    trained: TrainedTarget,
    features: Sequence[Feature],
    folder: Path,
    seed: int,
    by_shap: bool = True,
) -> list[Path]:
    """Draw reliability, ROC and precision-recall, gains and drivers as PNGs, reliability by segment
    where a segment could be judged, and by shap a beeswarm, the dependence of the top features and a
    waterfall for each of the accounts at the top of the last date.

    features: the declared features, for their drivers and words. seed: of the sample of rows that are
    explained. by_shap: False spares shap's import (it takes seconds). Returns the files written to
    `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    size = min(SAMPLE_ROWS, len(trained.test))
    sample = np.sort(rng.choice(len(trained.test), size, replace=False))
    matrix = trained.test.x[sample]
    explained = explain_matrix(trained.bundle, matrix)
    written = [
        _reliability(trained, folder / "reliability.png"),
        _curves(trained, folder / "curves.png"),
        _gains(trained, folder / "gains.png"),
        _drivers(trained, features, explained, folder / "drivers.png"),
    ]
    judged = [segment for segment in trained.evaluation.segments if segment.calibration]
    if judged:
        written.append(_segments(trained.target, judged, folder / "segments.png"))
    if by_shap:
        written.extend(_by_shap(trained, features, explained, folder))
    return written


def _reliability(trained: TrainedTarget, path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(5, 5))
    bins = trained.evaluation.calibration
    _told_and_seen(axes, bins)
    _scale(axes, bins)
    axes.set(xlabel=TOLD, ylabel=SEEN)
    axes.set_title(f"{trained.target}: reliability, {len(bins)} bins of the test rows")
    return save(figure, path)


TOLD, SEEN = "told (mean probability)", "seen (share)"


def _told_and_seen(axes: plt.Axes, bins: Sequence[CalibrationBin]) -> None:
    told, seen = [b.predicted for b in bins], [b.observed for b in bins]
    axes.axline((0, 0), slope=1, color="0.7", linewidth=1)
    axes.vlines(told, [b.low for b in bins], [b.high for b in bins], color="C0", alpha=0.4)
    axes.plot(told, seen, marker="o", markersize=4)


def _scale(axes: plt.Axes, bins: Sequence[CalibrationBin]) -> None:
    """Room for all of these bins; an undefined interval needs none."""
    seen = max(0.05, *(float(np.nanmax([b.observed, b.high])) for b in bins))
    axes.set(xlim=(0, 1.05 * max(0.05, *(b.predicted for b in bins))), ylim=(0, 1.05 * seen))


def _segments(target: str, judged: Sequence[Segment], path: Path) -> Path:
    """Reliability of each segment, on one scale, so that they can be compared."""
    shown = sorted(judged, key=lambda s: -s.outcomes)[:SHOWN_SEGMENTS]
    shown = [segment for segment in judged if segment in shown]
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    figure, grid = plt.subplots(
        down, across, figsize=(2.9 * across, 2.9 * down + 0.5), squeeze=False, layout="constrained",
        sharex=True, sharey=True,
    )  # fmt: skip
    for axes, segment in zip(grid.flat, shown, strict=False):
        _told_and_seen(axes, segment.calibration)
        slope = figure_of(segment.metrics["calibration_slope"], 2)
        with_it = f"{segment.outcomes:,} accounts with the outcome"
        axes.set_title(f"{name_of(segment)}\n{with_it}\nslope {slope}", fontsize=8)
    _scale(grid[0, 0], [part for segment in shown for part in segment.calibration])
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    left_out = f", the {len(shown)} with most outcomes" if len(shown) < len(judged) else ""
    figure.suptitle(f"{target}: reliability by segment{left_out}", fontsize=10)
    figure.supxlabel(TOLD, fontsize=9)
    figure.supylabel(SEEN, fontsize=9)
    return save(figure, path)


def _probabilities(trained: TrainedTarget) -> dict[str, FloatArray]:
    rivals = {baseline.name: baseline.probability for baseline in trained.baselines}
    return {MODEL: trained.probability, **rivals}


def _curves(trained: TrainedTarget, path: Path) -> Path:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5))
    for name, probability in _probabilities(trained).items():
        auc = trained.evaluation.metrics[name]["roc_auc"].value
        pr_auc = trained.evaluation.metrics[name]["pr_auc"].value
        false, true, _ = roc_curve(trained.test.y, probability)
        precision, recall, _ = precision_recall_curve(trained.test.y, probability)
        words = name.replace("_", " ")
        left.plot(false, true, label=f"{words} {auc:.3f}")
        right.plot(recall, precision, label=f"{words} {pr_auc:.3f}")
    left.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    right.set(xlabel="recall", ylabel="precision", title="precision and recall")
    # A named place: "best" takes long on many points, and matplotlib warns of the time it took.
    left.legend(loc="lower right", fontsize=8)
    right.legend(loc="upper right", fontsize=8)
    return save(figure, path)


def _gains(trained: TrainedTarget, path: Path) -> Path:
    figure, axes = plt.subplots(figsize=(5, 4.5))
    y = trained.test.y
    share = np.arange(1, len(y) + 1) / len(y)
    for name, probability in _probabilities(trained).items():
        found = np.cumsum(y[np.argsort(-probability, kind="stable")]) / y.sum()
        axes.plot(share, found, label=name.replace("_", " "))
    axes.set(xlabel="share of accounts looked at", ylabel="share of outcomes found", title="gains")
    axes.legend(loc="lower right", fontsize=8)
    return save(figure, path)


def _drivers(
    trained: TrainedTarget, features: Sequence[Feature], explained: Explained, path: Path
) -> Path:
    driver_of: dict[str, str] = {feature.name: feature.driver for feature in features}
    sums: dict[str, FloatArray] = defaultdict(lambda: np.zeros(len(explained.raw)))
    for place, name in enumerate(trained.bundle.features):
        sums[driver_of[name]] = sums[driver_of[name]] + explained.contributions[:, place]
    means = {driver: float(np.abs(total).mean()) for driver, total in sums.items()}
    ranked = sorted(means.items(), key=lambda item: item[1])[-SHOWN_DRIVERS:]
    figure, axes = plt.subplots(figsize=(6, 0.4 * len(ranked) + 1))
    axes.barh([driver.replace("_", " ") for driver, _ in ranked], [mean for _, mean in ranked])
    axes.set(xlabel="mean size of the contribution (log-odds)", title=f"{trained.target}: drivers")
    return save(figure, path)


def _by_shap(
    trained: TrainedTarget, features: Sequence[Feature], explained: Explained, folder: Path
) -> list[Path]:
    bundle, test = trained.bundle, trained.test
    written = [
        draw_beeswarm(bundle, features, explained, folder / "beeswarm.png"),
        draw_dependence(bundle, features, explained, folder / "dependence.png"),
    ]
    top = top_rows(test.accounts, test.as_of, trained.probability, TOP_ACCOUNTS)
    those = explain_matrix(bundle, test.x[top])
    for row, place in enumerate(top):
        title = (
            f"{test.accounts[place]} on {np.datetime_as_string(test.as_of[place], 'D')}: "
            f"{trained.target} at {those.probability[row]:.0%} within {bundle.horizon_days} days"
        )
        path = folder / f"waterfall_{row + 1}.png"
        written.append(draw_waterfall(bundle, features, those, row, title, path))
    return written
