"""From feature rows to calibrated probabilities. Owns the model's input matrix; explains nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.errors import ChurnmlError
from churnml.scoring.bundle import Bundle

if TYPE_CHECKING:
    import lightgbm

FloatArray = npt.NDArray[np.float64]
RENEWAL = "days_to_renewal"  # the feature that tells when a contract can end


def design_matrix(bundle: Bundle, frame: pd.DataFrame) -> FloatArray:
    """The model's input: (rows of `frame`, features of the bundle), NaN where missing.

    Categories become their code; unseen and missing ones NaN. Further columns are ignored.
    Raises: ChurnmlError naming the features that the frame lacks, or a column that is no number.
    """
    _refuse_absent(bundle, frame.columns)
    matrix = np.empty((len(frame), len(bundle.features)), dtype=np.float64)
    for place, name in enumerate(bundle.features):
        known = bundle.categories.get(name)
        values = frame[name]
        matrix[:, place] = numbers_of(values) if known is None else codes_of(values, known)
    return matrix


def matrix_of_rows(bundle: Bundle, rows: Sequence[Mapping[str, object]]) -> FloatArray:
    """The same matrix from plain dicts, without a DataFrame: the way of single requests.

    Every feature must be a key; None is missing.
    Raises: ChurnmlError naming the features that a row lacks, or a value that is no number.
    """
    codes = {
        name: {value: float(code) for code, value in enumerate(known)}
        for name, known in bundle.categories.items()
    }
    matrix = np.full((len(rows), len(bundle.features)), np.nan)
    for number, row in enumerate(rows):
        _refuse_absent(bundle, row)
        for place, name in enumerate(bundle.features):
            value = row[name]
            if value is None:
                continue
            if name in codes:
                matrix[number, place] = codes[name].get(str(value), np.nan)
            elif isinstance(value, (int, float)):
                matrix[number, place] = value
            else:
                raise _no_number(name, value)
    return matrix


def _refuse_absent(bundle: Bundle, present: object) -> None:
    absent = [name for name in bundle.features if name not in present]  # type: ignore[operator]
    if absent:
        raise ChurnmlError(
            f"features: {', '.join(absent)} absent. The model {bundle.model_version} "
            f"({bundle.target}) expects {len(bundle.features)} features. Build the features from "
            "the same tables that it was trained on, or train a new model."
        )


def codes_of(values: pd.Series, known: Sequence[str]) -> FloatArray:
    """Category codes as float64: the place in `known`; NaN for unseen and missing values."""
    codes = pd.Index(list(known), dtype=object).get_indexer(values.astype(object))
    return np.where(codes < 0, np.nan, codes.astype(np.float64))


def numbers_of(values: pd.Series) -> FloatArray:
    """A numeric column as float64, NaN where missing. Raises: ChurnmlError for text in it."""
    try:
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        texts = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()]
        raise _no_number(str(values.name), texts.iloc[0] if len(texts) else values.dtype) from None


def _no_number(name: str, found: object) -> ChurnmlError:
    return ChurnmlError(
        f"features.{name}: found {found!r}. Expected a number, or nothing where it is missing. "
        "Correct the value."
    )


def raw_scores(bundle: Bundle, matrix: FloatArray) -> FloatArray:
    """The log-odds before calibration, (rows,): the model's, or the contract's where it rules."""
    raw = log_odds_of(bundle.booster, matrix)
    return raw + contract_shift(bundle, matrix, raw)


def contract_shift(bundle: Bundle, matrix: FloatArray, raw: FloatArray) -> FloatArray:
    """What a contract that cannot end inside the window adds to the model's log-odds, (rows,).

    0 where it can, and in a bundle whose company's contracts don't bind.
    """
    shift = np.zeros(len(raw))
    held = contract_binds(bundle, matrix)
    if held.any():
        shift[held] = bundle.papers["contract_lock"]["log_odds"] - raw[held]
    return shift


def contract_binds(bundle: Bundle, matrix: FloatArray) -> npt.NDArray[np.bool_]:
    """Rows whose contract cannot end inside the window, (rows,)."""
    lock: Mapping[str, float] | None = bundle.papers.get("contract_lock")
    if lock is None or RENEWAL not in bundle.features:
        return np.zeros(len(matrix), dtype=bool)
    with np.errstate(invalid="ignore"):
        held: npt.NDArray[np.bool_] = (
            matrix[:, bundle.features.index(RENEWAL)] > lock["beyond_days"]
        )
    return held


def log_odds_of(booster: lightgbm.Booster, matrix: FloatArray) -> FloatArray:
    """A booster's log-odds, (rows,)."""
    if not len(matrix):
        return np.empty(0)
    scores = booster.predict(matrix, raw_score=True, num_threads=1)
    return np.asarray(scores, dtype=np.float64)


def probabilities(bundle: Bundle, raw: FloatArray) -> FloatArray:
    """Calibrated probabilities of raw scores, (rows,)."""
    calibrator = bundle.calibrator
    return sigmoid(calibrator["slope"] * raw + calibrator["intercept"])


def intervals(bundle: Bundle, raw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both ends of each probability's interval, (rows,) each.

    A bundle of before there were intervals knows none: NaN.
    """
    band = bundle.calibrator.get("band")
    if band is None:
        unknown = np.full(len(raw), np.nan)
        return unknown, unknown
    told = probabilities(bundle, raw)
    low = np.interp(raw, band["scores"], band["low"])
    high = np.interp(raw, band["scores"], band["high"])
    # Between two knots, and beyond the last, the straight line may miss the curve by a hair.
    return np.minimum(low, told), np.maximum(high, told)


def sigmoid(log_odds: FloatArray) -> FloatArray:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, 1.0, small) / (1.0 + small)


def predict(bundle: Bundle, frame: pd.DataFrame) -> FloatArray:
    """Calibrated probabilities of the frame's rows, (rows,), in its order.

    Raises: ChurnmlError as `design_matrix` does.
    """
    return predict_matrix(bundle, design_matrix(bundle, frame))


def predict_matrix(bundle: Bundle, matrix: FloatArray) -> FloatArray:
    """The same for the model's input matrix (see `design_matrix`)."""
    return probabilities(bundle, raw_scores(bundle, matrix))
