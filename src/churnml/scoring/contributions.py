"""What each feature added to a score. Owns the SHAP values of a bundle; words are not its business.

Contributions are log-odds of the raw score; the calibrated log-odds are slope * raw + intercept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from churnml.errors import ChurnmlError
from churnml.scoring.bundle import Bundle
from churnml.scoring.explainer import parts_of
from churnml.scoring.predict import (
    RENEWAL,
    FloatArray,
    contract_shift,
    design_matrix,
    log_odds_of,
    probabilities,
)

TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Explained:
    """Scores and their parts: raw = base + contributions.sum(axis=1).

    matrix: (rows, features), the model's input. raw, probability: (rows,). contributions: (rows,
    features), log-odds. base: the mean raw score of the training rows.
    """

    matrix: FloatArray
    raw: FloatArray
    probability: FloatArray
    contributions: FloatArray
    base: float


def explain_rows(bundle: Bundle, frame: pd.DataFrame) -> Explained:
    """Scores and contributions of the frame's rows, in its order.

    Raises: ChurnmlError as `design_matrix` does, and if contributions don't add up to the score.
    """
    return explain_matrix(bundle, design_matrix(bundle, frame))


def explain_matrix(bundle: Bundle, matrix: FloatArray) -> Explained:
    """The same for the model's input matrix (see `design_matrix`).

    Raises: ChurnmlError if the contributions don't add up to the raw score.
    """
    if not len(matrix):
        empty = np.empty(0)
        return Explained(matrix, empty, empty, np.empty((0, len(bundle.features))), 0.0)
    # LightGBM's own score of the same rows is the independent check of the sums, always.
    raw = log_odds_of(bundle.booster, matrix)
    contributions, base = parts_of(bundle, matrix)
    gap = np.abs(base + contributions.sum(axis=1) - raw)
    if not (gap <= TOLERANCE * np.maximum(1.0, np.abs(raw))).all():
        raise ChurnmlError(
            f"contributions of {bundle.model_version} ({bundle.target}): row {int(gap.argmax()) + 1} "
            f"adds up to {gap.max():.3g} beside its score. Expected the sum to be the score. Train "
            "the model again with the LightGBM version that serves it."
        )
    shift = contract_shift(bundle, matrix, raw)
    if shift.any():
        # The contract speaks through the feature that knows it: the sum stays the score.
        contributions = contributions.copy()
        contributions[:, bundle.features.index(RENEWAL)] += shift
        raw = raw + shift
    return Explained(matrix, raw, probabilities(bundle, raw), contributions, base)
