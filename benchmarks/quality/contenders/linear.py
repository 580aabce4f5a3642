"""Logistic regression as churnml's baseline does it, with its coefficients. Owns that copy.

churnml's own gives probabilities alone; here its reasons are timed too. A test holds both equal."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.contenders.learned import Learned, Size
from benchmarks.quality.rows import FloatArray, Rows

CLIP = 5.0
C = 0.1


def fit(train: Rows) -> Learned:
    """Medians for what is missing, a column that says so, standard deviations, one-hot categories."""
    wide = widener(train)
    model = LogisticRegression(C=C, max_iter=1000, solver="newton-cholesky")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(wide(train), train.y)
    weights, base = model.coef_[0], float(model.intercept_[0])

    def explain(rows: Rows) -> FloatArray:
        x = wide(rows)
        return np.column_stack([x * weights, np.full(len(x), base)])

    text = json.dumps([base, *weights.tolist()])
    return Learned(
        raw=lambda rows: np.asarray(model.decision_function(wide(rows))),
        explain=explain,
        size=Size(0, len(weights) + 1, len(text)),
    )


def widener(train: Rows) -> Callable[[Rows], FloatArray]:
    """Rows -> what a linear model reads; all figures are the training rows' own."""
    plans = []
    for place, name in enumerate(train.columns):
        column = train.x[:, place]
        if name in train.categories:
            plans.append((place, len(train.categories[name]), 0.0, 0.0, 1.0))
            continue
        known = column[np.isfinite(column)]
        middle = float(np.median(known)) if len(known) else 0.0
        filled = np.where(np.isfinite(column), column, middle)
        plans.append((place, 0, middle, float(filled.mean()), float(filled.std()) or 1.0))

    def wide(rows: Rows) -> FloatArray:
        pieces: list[FloatArray] = []
        for place, size, middle, mean, spread in plans:
            column = rows.x[:, place]
            if size:
                identity = np.vstack([np.eye(size), np.zeros((1, size))])
                pieces.append(identity[np.where(np.isnan(column), size, column).astype(np.int64)])
                continue
            missing = ~np.isfinite(column)
            value = np.clip((np.where(missing, middle, column) - mean) / spread, -CLIP, CLIP)
            pieces.append(np.column_stack([value, missing.astype(float)]))
        return np.hstack(pieces)

    return wide
