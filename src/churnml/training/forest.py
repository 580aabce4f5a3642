"""The picture of a comparison: every difference with its interval. Owns the drawing; computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: a notebook's own backend stays as it is
from matplotlib.lines import Line2D

from churnml.training.card import IN_WORDS
from churnml.training.compare import CANNOT_TELL, A, B, Comparison

DPI = 110
COLOURS = {A: "#2b6cb0", B: "#c05621", CANNOT_TELL: "0.5", "": "0.25"}
MOST_SEGMENTS = 24


@dataclass(frozen=True)
class _Line:
    """One difference. scale: the size that fills the panel."""

    words: str
    value: float
    low: float
    high: float
    better: str
    scale: float


def draw_forest(comparison: Comparison, title: str, path: Path) -> Path:
    """Draw A minus B: every metric on a scale of its own, log loss by segment on one; returns `path`.

    Segments that tell nothing are left out. The figures stand beside the lines.
    """
    metrics, segments = _metric_lines(comparison.metrics), _segment_lines(comparison.segments)
    wide = bool(segments)
    height = 0.34 * max(len(metrics), len(segments)) + 1.6
    figure = Figure(figsize=(7.5 * (1 + wide), height), layout="constrained")
    panels = figure.subplots(1, 1 + wide, squeeze=False)
    _panel(panels[0, 0], metrics, "every metric, each on its own scale")
    panels[0, 0].set_xticks([0])
    if wide:
        _panel(panels[0, 1], segments, "log loss by segment, one scale; below 0 A is better")
        scale = segments[0].scale
        panels[0, 1].set_xticks([-1, 0, 1], [f"{-scale:+.3g}", "0", f"{scale:+.3g}"])
    interval = f"{comparison.evaluation.interval:.0%}"
    handles = [
        Line2D([], [], color=COLOURS[name], marker="o", label=words)
        for name, words in (
            (A, "A is better"),
            (B, "B is better"),
            (CANNOT_TELL, "cannot tell"),
            ("", "neither way is better"),
        )
    ]
    figure.suptitle(f"{title}\nA minus B, {interval} intervals from paired resamples of accounts")
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    figure.savefig(path, dpi=DPI, format="png")  # whatever the file is called while it is written
    return path


def _metric_lines(metrics: pd.DataFrame) -> list[_Line]:
    return [
        _line(IN_WORDS[row["metric"]], row, "", _size([row["low"], row["high"]]))
        for row in metrics.to_dict("records")
    ]


def _segment_lines(segments: pd.DataFrame) -> list[_Line]:
    told = segments[segments["log_loss_low"].notna()].head(MOST_SEGMENTS)
    scale = _size([*told["log_loss_low"], *told["log_loss_high"]])
    return [
        _line(f"{row['cut'].replace('_', ' ')}: {row['value']}", row, "log_loss", scale)
        for row in told.to_dict("records")
    ]


def _line(words: str, row: Any, prefix: str, scale: float) -> _Line:
    value = row[prefix or "difference"]
    joint = f"{prefix}_" if prefix else ""
    low, high = row[f"{joint}low"], row[f"{joint}high"]
    return _Line(words, value, low, high, row[f"{joint}better"], scale)


def _size(values: Sequence[float]) -> float:
    return max((abs(value) for value in values if value == value), default=0.0) or 1.0


def _panel(axes: Axes, lines: Sequence[_Line], title: str) -> None:
    for place, line in enumerate(lines):
        y = len(lines) - place
        colour = COLOURS[line.better]
        text = "undefined"
        if line.value == line.value:
            text = f"{line.value:+.4f}"
            axes.plot([line.value / line.scale], [y], "o", color=colour, markersize=5)
        if line.low == line.low:
            text += f" [{line.low:+.4f}, {line.high:+.4f}]"
            ends = [line.low / line.scale, line.high / line.scale]
            axes.plot(ends, [y, y], color=colour, linewidth=2)
        axes.text(1.15, y, text, va="center", fontsize=8.5, color=colour)
    axes.axvline(0, color="0.3", linewidth=1)
    axes.set_yticks(range(len(lines), 0, -1), [line.words for line in lines], fontsize=9)
    axes.set(xlim=(-1.1, 2.35), ylim=(0.3, len(lines) + 0.7))
    axes.set_title(title, fontsize=10, loc="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
