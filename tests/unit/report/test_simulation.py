"""Sums over accounts that share causes, against what theory says of them."""

from __future__ import annotations

import math
import time
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from churnml.report.simulation import (
    PRIOR_RHO,
    both,
    estimate_shared,
    money_range,
    shared_range,
    simulate,
    spread_of,
)
from churnml.store.rows import ScoreRow


def book(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mrr = np.floor(np.exp(rng.normal(10, 1, count)))
    chance = rng.beta(0.7, 8, count)
    return mrr, chance, rng.uniform(0.05, 0.3, count)


@pytest.mark.parametrize("rho", [0.02, 0.1, 0.3])
def test_equal_accounts_have_the_quantiles_of_vasicek(rho: float) -> None:
    count, chance = 5_000, 0.08
    totals = simulate(np.ones(count), np.full((count, 1), chance), np.zeros(count), rho)[:, 0]
    for level in (0.05, 0.5, 0.95):
        closed = ndtr((ndtri(chance) + math.sqrt(rho) * ndtri(level)) / math.sqrt(1 - rho))
        # A book of 5,000 is not endless: a few accounts more or less remain.
        assert np.quantile(totals, level) / count == pytest.approx(closed, rel=0.05, abs=1e-3)


def test_a_shared_error_of_the_model_widens_as_a_shared_cause_of_the_same_size() -> None:
    count, chance, spread = 5_000, 0.08, 0.25
    totals = simulate(np.ones(count), np.full((count, 1), chance), np.full(count, spread), 0.0)
    rho = spread**2 / (1 + spread**2)
    for level in (0.05, 0.95):
        closed = ndtr((ndtri(chance) + math.sqrt(rho) * ndtri(level)) / math.sqrt(1 - rho))
        # A book of 5,000 is not endless: a few accounts more or less remain.
        assert np.quantile(totals, level) / count == pytest.approx(closed, rel=0.05, abs=1e-3)


def test_without_anything_shared_accounts_are_independent() -> None:
    mrr, chance, _ = book(800)
    totals = simulate(mrr, chance[:, None], np.zeros(800), 0.0)[:, 0]
    rng = np.random.default_rng(1)
    apart = (rng.random((20_000, 800)) < chance) @ mrr
    for level in (0.05, 0.5, 0.95):
        assert np.quantile(totals, level) == pytest.approx(np.quantile(apart, level), rel=0.03)
    assert totals.std() == pytest.approx(
        math.sqrt((mrr**2 * chance * (1 - chance)).sum()), rel=0.05
    )


@settings(max_examples=15, deadline=None)
@given(rho=st.floats(0, 0.4), seed=st.integers(0, 50), wide=st.floats(0, 1))
def test_the_mean_is_the_models_own(rho: float, seed: int, wide: float) -> None:
    mrr, chance, spread = book(400, seed)
    halves = np.column_stack([chance * 0.4, chance])
    totals = simulate(mrr, halves, spread * wide, rho)
    noise = 5 * totals.std(axis=0) / math.sqrt(len(totals))
    assert abs(totals[:, 0].mean() - 0.4 * (chance @ mrr)) <= noise[0]
    assert abs(totals.sum(axis=1).mean() - chance @ mrr) <= noise.sum()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50))
def test_the_more_is_shared_the_wider_the_range(seed: int) -> None:
    mrr, chance, spread = book(500, seed)
    ranges = [shared_range(chance, mrr, spread, rho) for rho in (0.0, 0.05, 0.15, 0.4)]
    widths = [high - low for low, high in ranges]
    assert widths == sorted(widths)
    assert all(0 <= low <= high <= mrr.sum() for low, high in ranges)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 50), rho=st.floats(0, 0.4))
def test_order_and_parts_change_nothing(seed: int, rho: float) -> None:
    mrr, chance, spread = book(600, seed)
    whole = simulate(mrr, chance[:, None], spread, rho)[:, 0]
    parts = simulate(mrr, np.column_stack([chance * 0, chance / 3, chance]), spread, rho)
    assert (parts.sum(axis=1) == whole).all()
    assert not parts[:, 0].any()
    mixed = np.random.default_rng(seed).permutation(600)
    again = simulate(mrr[mixed], chance[mixed][:, None], spread[mixed], rho)[:, 0]
    assert (again == whole).all()


@pytest.mark.parametrize(
    ("mrr", "chance", "least", "most"),
    [([], [], 0, 0), ([100], [0.0], 0, 0), ([100], [1.0], 100, 100), ([100], [0.5], 0, 100)],
)
def test_tiny_books(mrr: list[float], chance: list[float], least: int, most: int) -> None:
    found = shared_range(np.array(chance), np.array(mrr, dtype=float), np.zeros(len(mrr)), 0.1)
    assert found == (least, most)


def test_ten_thousand_accounts_of_a_dozen_months_take_two_seconds_of_work() -> None:
    mrr, chance, spread = book(10_000)
    chances = chance[:, None] * np.linspace(1 / 12, 1, 12)
    began = time.process_time()
    totals = simulate(mrr, chances, spread, 0.05)
    assert time.process_time() - began < 4  # twice as long: other work slows a core down
    assert money_range(totals.sum(axis=1))[1] > chance @ mrr


@pytest.mark.parametrize("rho", [0.0, 0.05, 0.15])
def test_what_is_shared_is_found_in_many_months(rho: float) -> None:
    rng = np.random.default_rng(11)
    cause = rng.standard_normal(600)
    given = ndtr((ndtri(0.03) - math.sqrt(rho) * cause) / math.sqrt(1 - rho))
    shared = estimate_shared([(1_000, int(rng.binomial(1_000, chance))) for chance in given])
    assert shared.months == 600
    assert shared.found == pytest.approx(rho, abs=0.015)


def test_where_there_are_no_months_the_prior_speaks_and_few_months_lean_on_it() -> None:
    assert estimate_shared([]).rho == PRIOR_RHO
    assert estimate_shared([(100, 0), (1, 1)]) == estimate_shared([])
    one = estimate_shared([(100, 4)])
    assert one.months == 1
    assert one.rho == pytest.approx((one.found or 0) / 13 + PRIOR_RHO * 12 / 13)
    calm = estimate_shared([(1_000, 30)] * 24)
    assert calm.found == 0.0
    assert calm.rho == pytest.approx(PRIOR_RHO / 3)


def test_two_accounts_leave_together_by_chance_alone_where_nothing_is_shared() -> None:
    assert both(0.1, 0.0) == pytest.approx(0.01)
    assert both(0.1, 0.3) > both(0.1, 0.1) > 0.01


def test_no_interval_is_no_spread() -> None:
    day = datetime(2024, 3, 4)
    bare = ScoreRow("a", day, "churn", 90, 14, 0.2, "medium", "ok", [], "p", 1.0, "USD", "v", day)
    told = ScoreRow(
        "b", day, "churn", 90, 14, 0.2, "medium", "ok", [], "p", 1.0, "USD", "v", day,
        {"low": float(ndtr(-1.0)), "high": float(ndtr(-0.5))},
    )  # fmt: skip
    assert list(spread_of([bare, told])) == pytest.approx([0, 0.5 / 3.92], rel=1e-3)
