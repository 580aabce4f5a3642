"""shap's pictures of what a model's scores are made of. Owns their drawing; explains nothing.

The values are the bundle's own contributions, put into `shap.Explanation`: nothing is explained twice, and
shap's explainer isn't needed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churnml.features.spec import Feature
from churnml.scoring.bundle import Bundle
from churnml.scoring.contributions import Explained
from churnml.scoring.predict import FloatArray
from churnml.training.drawing import plt, save

SHOWN_FEATURES = 14  # of the beeswarm
SHOWN_PARTS = 9  # of a waterfall, the rest in one
DEPENDENCE = 6  # features, in a grid of three across
ACROSS = 3
NAME_WIDTH = 36  # characters a line
NAME_LINES = 2
LOG_ODDS = "contribution (log-odds)"


def draw_beeswarm(
    bundle: Bundle, features: Sequence[Feature], explained: Explained, path: Path
) -> Path:
    """A point per row and feature: how much it added, coloured by how large its value was."""
    import shap  # seconds to import, and only these pictures need it

    plt.figure()
    with _same_jitter():
        axes = shap.plots.beeswarm(
            _explanation(bundle, features, explained),
            max_display=SHOWN_FEATURES, show=False, group_remaining_features=False,
            plot_size=(11, 0.55 * min(SHOWN_FEATURES, len(bundle.features)) + 1.6),
        )  # fmt: skip
    axes.tick_params("y", labelsize=10)
    axes.set_xlabel(
        f"{LOG_ODDS}; to the right, {bundle.target} is likelier. Grey: the value is missing",
        fontsize=11,
    )
    axes.set_title(
        f"{bundle.target}: what moved {len(explained.raw):,} test rows most, a point each",
        fontsize=12,
    )
    return save(axes.get_figure(), path)


def draw_dependence(
    bundle: Bundle, features: Sequence[Feature], explained: Explained, path: Path
) -> Path:
    """The features that move scores most: contribution over value, a point per row."""
    import shap

    shown = _ranked(explained)[:DEPENDENCE]
    down = -(-len(shown) // ACROSS)
    figure, grid = plt.subplots(
        down, ACROSS, figsize=(4.4 * ACROSS, 3.7 * down + 0.5), squeeze=False, layout="constrained"
    )
    values = _explanation(bundle, features, explained)
    values.display_data = None  # words instead of numbers would be a tick each
    units = {feature.name: feature.unit for feature in features}
    for axes, place in zip(grid.flat, shown, strict=False):
        name = bundle.features[place]
        known = bundle.categories.get(name)
        column = explained.matrix[:, place]
        low, high = (None, None) if known else _ends(column)
        with _same_jitter():
            shap.plots.scatter(
                values[:, place], ax=axes, show=False, color="#1e88e5", alpha=0.6, dot_size=14,
                xmin=low, xmax=high,
            )  # fmt: skip
        axes.axhline(0, color="0.7", linewidth=1, zorder=0)
        axes.set_title(values.feature_names[place], fontsize=10)
        gone = np.isnan(column).mean()
        missing = f"; {gone:.0%} missing, at the left edge" if gone else ""
        axes.set_xlabel(("category" if known else units.get(name, "")) + missing, fontsize=9)
        axes.set_ylabel(LOG_ODDS, fontsize=9)
        axes.tick_params(labelsize=8)
        if known:
            axes.set_xticks(
                range(len(known)), known, rotation=30 if len(known) > 3 else 0, ha="center"
            )
    for axes in grid.flat[len(shown) :]:
        axes.set_visible(False)
    figure.suptitle(
        f"{bundle.target}: the {len(shown)} features that move scores most, {len(explained.raw):,} "
        "test rows",
        fontsize=12,
    )
    return save(figure, path)


def draw_waterfall(
    bundle: Bundle,
    features: Sequence[Feature],
    explained: Explained,
    row: int,
    title: str,
    path: Path,
) -> Path:
    """How one row comes from the mean score to its own, its largest parts one by one."""
    import shap

    plt.figure()
    axes = shap.plots.waterfall(
        _explanation(bundle, features, explained)[row], max_display=SHOWN_PARTS + 1, show=False
    )
    figure = axes.get_figure()
    figure.set_size_inches(11, 0.5 * (SHOWN_PARTS + 1) + 1.6)
    below = figure.axes[0]  # shap returns the axes above, which hold f(x)
    below.set_title(title, fontsize=13, pad=30)
    below.set_xlabel(
        f"score (log-odds); to the right, {bundle.target} is likelier. E[f(X)]: the mean of the "
        "training rows, f(x): this one",
        fontsize=10, labelpad=22,
    )  # fmt: skip
    for shown in figure.axes:
        shown.tick_params(labelsize=11)
    return save(figure, path)


@contextmanager
def _same_jitter() -> Iterator[None]:
    """shap jitters its points with the global generator and takes no other."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _ends(column: FloatArray) -> tuple[float, float]:
    """Where an axis of these values begins and ends: a few far ones would push all into a corner."""
    present = column[np.isfinite(column)]
    low, high = np.percentile(present, [1, 99]) if len(present) else (0.0, 0.0)
    room = 0.06 * (high - low) or 0.5  # the missing ones stand at the very edge
    return float(low - room), float(high + room)


def _ranked(explained: Explained) -> list[int]:
    """Features by the mean size of their contributions, the largest first."""
    sizes = np.abs(explained.contributions).mean(axis=0)
    return [int(place) for place in np.argsort(-sizes, kind="stable") if sizes[place] > 0]


def _explanation(bundle: Bundle, features: Sequence[Feature], explained: Explained) -> Any:
    import shap

    declared = {feature.name: feature for feature in features}
    return shap.Explanation(
        values=explained.contributions,
        base_values=np.full(len(explained.raw), explained.base),
        data=explained.matrix,
        display_data=_shown(bundle, explained.matrix),
        feature_names=[_title(name, declared) for name in bundle.features],
    )


def _title(name: str, declared: Mapping[str, Feature]) -> str:
    """What the feature measures, in lines that fit beside a picture."""
    what = declared[name].what if name in declared else name.replace("_", " ")
    lines = textwrap.wrap(
        what, NAME_WIDTH, max_lines=NAME_LINES, placeholder=" …", break_long_words=False
    )
    return "\n".join(lines)


def _shown(bundle: Bundle, matrix: FloatArray) -> Any:
    """The values as people write them."""
    shown = np.empty(matrix.shape, dtype=object)
    for place, name in enumerate(bundle.features):
        known = bundle.categories.get(name)
        for row, value in enumerate(matrix[:, place]):
            if np.isnan(value):
                shown[row, place] = "missing"
            elif known is not None:
                shown[row, place] = known[int(value)]
            else:
                shown[row, place] = _number(float(value))
    return shown


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def top_rows(accounts: Any, as_of: Any, probability: Any, count: int) -> list[int]:
    """The likeliest rows of the last date, one per account: places, the likeliest first."""
    frame = pd.DataFrame({"account": accounts, "as_of": as_of, "probability": probability})
    last = frame[frame["as_of"] == frame["as_of"].max()]
    ranked = last.sort_values(["probability", "account"], ascending=[False, True])
    return [int(place) for place in ranked.drop_duplicates("account").index[:count]]
