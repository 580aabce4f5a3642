"""Moves between two rows: equal to Shapley's own formula over LightGBM's own scores."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations
from math import factorial

import lightgbm
import numpy as np
import pandas as pd
import pytest

from churnml.errors import ChurnmlError
from churnml.scoring.between import moves_between
from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.predict import design_matrix, log_odds_of

WILD = (np.nan, np.inf, -np.inf, 0.0, -3.0, 1e9)


def by_definition(bundle: Bundle, then: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Every mixture of the two rows scored by LightGBM, and Shapley's weights."""
    n = len(then)
    players = range(n)
    found = np.zeros(n)
    for player in players:
        others = [other for other in players if other != player]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for chosen in combinations(others, size):
                row = then.copy()
                row[list(chosen)] = now[list(chosen)]
                with_it = row.copy()
                with_it[player] = now[player]
                low, high = log_odds_of(bundle.booster, np.stack([row, with_it]))
                found[player] += weight * (high - low)
    return found


def test_moves_are_what_the_definition_says(bundle: Bundle, rows: pd.DataFrame) -> None:
    matrix = design_matrix(bundle, rows)
    for then, now in zip(matrix[:30], matrix[30:60], strict=True):
        expected = by_definition(bundle, then, now)
        assert moves_between(bundle, then, now) == pytest.approx(expected, abs=1e-12)


def test_missing_infinite_and_unseen_values_move_as_the_model_reads_them(bundle: Bundle) -> None:
    rng = np.random.default_rng(5)
    for _ in range(40):
        then, now = rng.choice([*WILD, 1.0, 2.0, 8.0, 30.0], (2, len(bundle.features)))
        expected = by_definition(bundle, then, now)
        assert moves_between(bundle, then, now) == pytest.approx(expected, abs=1e-12)


def test_where_zero_is_missing_it_moves_so() -> None:
    rng = np.random.default_rng(1)
    x = np.where(rng.random((500, 3)) < 0.4, 0.0, rng.normal(size=(500, 3)))
    y = ((x[:, 0] == 0) ^ (x[:, 1] > 0.2)).astype(float)
    settings = {"objective": "binary", "zero_as_missing": True, "num_leaves": 8, "verbosity": -1,
                "num_threads": 1}  # fmt: skip
    text = lightgbm.train(settings, lightgbm.Dataset(x, y), 15).model_to_string()
    bundle = a_bundle_of(text, ("a", "b", "c"))
    for then, now in zip(x[:40], x[40:80], strict=True):
        expected = by_definition(bundle, then, now)
        assert moves_between(bundle, then, now) == pytest.approx(expected, abs=1e-12)


def test_what_did_not_move_has_exactly_no_part(bundle: Bundle, rows: pd.DataFrame) -> None:
    matrix = design_matrix(bundle, rows)
    for then, now in zip(matrix[:40], matrix[40:80], strict=True):
        mixed = now.copy()
        mixed[1] = then[1]
        assert moves_between(bundle, then, mixed)[1] == 0.0
    assert not moves_between(bundle, matrix[0], matrix[0].copy()).any()


def test_a_model_without_a_split_moves_nothing() -> None:
    x = np.arange(40.0).reshape(20, 2)
    settings = {"objective": "binary", "min_data_in_leaf": 50, "verbosity": -1, "num_threads": 1}
    data = lightgbm.Dataset(x, np.tile([0.0, 1.0], 10))
    bundle = a_bundle_of(lightgbm.train(settings, data, 3).model_to_string(), ("a", "b"))
    assert moves_between(bundle, x[0], x[9]).tolist() == [0.0, 0.0]


def test_moves_that_do_not_add_up_are_refused(bundle: Bundle, rows: pd.DataFrame) -> None:
    then, now = design_matrix(bundle, rows)[:2]
    torn = replace(bundle, model_text=re.sub(r"leaf_value=\S+", "leaf_value=9", bundle.model_text))
    with pytest.raises(ChurnmlError, match="they add up to"):
        moves_between(torn, then, now)


def a_bundle_of(text: str, features: tuple[str, ...]) -> Bundle:
    return Bundle(
        "churn", 90, 14, 30, "window_end", None, "v1", "0123456789ab", features, {},
        {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0}, {}, {}, "2024-03-03T00:00:00", 500, 100,
        {}, text, booster_of(text),
    )  # fmt: skip
