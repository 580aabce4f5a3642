"""The ledger sums to the difference, whatever moved: in log-odds, and in points of probability."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.errors import ChurnmlError
from churnml.explain.change import (
    Calibrated,
    Ledger,
    log_odds_of,
    mean_slope,
    moved_ledger,
    weighed_ledger,
)
from churnml.features.catalog import CATALOG

NAMES = ("events_28d_per_week", "logins_28d_per_week", "days_to_renewal", "nps_last", "seats")
THEN = {"events_28d_per_week": 200.0, "logins_28d_per_week": 20.0, "days_to_renewal": 90.0,
        "nps_last": None, "seats": 12.0}  # fmt: skip
NOW = {**THEN, "events_28d_per_week": 100.0, "nps_last": 3.0, "days_to_renewal": 27.0}
ROWS = (THEN, NOW)
OPEN = (False, False)

numbers = st.floats(-6, 6, allow_nan=False)
slopes = st.floats(0.05, 4)


def chance(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def check(ledger: Ledger) -> None:
    difference = ledger.log_odds_now - ledger.log_odds_then
    assert math.fsum(part.log_odds for part in ledger.parts) == pytest.approx(difference, abs=1e-9)
    points = 100 * (chance(ledger.log_odds_now) - chance(ledger.log_odds_then))
    assert math.fsum(part.points for part in ledger.parts) == pytest.approx(points, abs=1e-9)
    for part in ledger.parts:
        assert math.isfinite(part.points)
        assert part.points * part.log_odds >= 0
        if part.driver is not None:
            total = math.fsum(move.log_odds for move in part.moves)
            assert total == pytest.approx(part.log_odds, abs=1e-9)
            shown = math.fsum(move.points for move in part.moves)
            assert shown == pytest.approx(part.points, abs=1e-9)


def kinds(ledger: Ledger) -> list[str]:
    return [part.kind for part in ledger.parts]


calibrations = st.builds(Calibrated, numbers, slopes, numbers)


@given(
    then=st.one_of(calibrations, numbers),
    now=calibrations,
    parts=st.lists(numbers, min_size=len(NAMES), max_size=len(NAMES)),
    bound=st.tuples(st.booleans(), st.booleans()),
)
def test_another_models_ledger_sums_whatever_the_values(
    then: Calibrated | float,
    now: Calibrated,
    parts: list[float],
    bound: tuple[bool, bool],
) -> None:
    if bound == (False, False):
        crossed = now.raw - math.fsum(parts)
    elif bound == (True, True):
        crossed = now.raw  # the contract's own score, on both rows
    else:
        crossed = -4.0
    moved = dict(zip(NAMES, parts, strict=True))
    ledger = moved_ledger(then, now, crossed, moved, bound, ROWS, same_model=False)
    check(ledger)
    start = then if isinstance(then, float) else then.log_odds
    assert (ledger.log_odds_then, ledger.log_odds_now) == (start, now.log_odds)


@given(start=numbers, slope=slopes, intercept=numbers, parts=st.lists(numbers, min_size=5, max_size=5))  # fmt: skip
def test_one_models_ledger_holds_its_features_alone(
    start: float, slope: float, intercept: float, parts: list[float]
) -> None:
    then = Calibrated(start, slope, intercept)
    now = Calibrated(start + math.fsum(parts), slope, intercept)
    moved = dict(zip(NAMES, parts, strict=True))
    ledger = moved_ledger(then, now, start, moved, OPEN, ROWS, same_model=True)
    check(ledger)
    assert set(kinds(ledger)) <= {"driver"}


@given(
    then=calibrations, now=calibrations, mine=st.lists(numbers, min_size=5, max_size=5),
    other=st.lists(numbers, min_size=5, max_size=5),
)  # fmt: skip
def test_two_models_on_one_row_sum_too(
    then: Calibrated, now: Calibrated, mine: list[float], other: list[float]
) -> None:
    bases = (then.raw - math.fsum(mine), now.raw - math.fsum(other))
    ledger = weighed_ledger(
        then, now, dict(zip(NAMES, mine, strict=True)), dict(zip(NAMES, other, strict=True)),
        bases, NOW,
    )  # fmt: skip
    check(ledger)
    assert set(kinds(ledger)) <= {"weight", "base", "calibration"}


def test_a_driver_holds_its_features_with_both_values_the_strongest_first() -> None:
    then, now = Calibrated(-2.0, 0.5, 0.1), Calibrated(-0.5, 0.5, 0.1)
    moved = {"logins_28d_per_week": 0.3, "events_28d_per_week": 0.9, "days_to_renewal": 0.3}
    ledger = moved_ledger(then, now, -2.0, moved, OPEN, ROWS, same_model=True)
    level, renewal = ledger.parts
    assert (level.driver, renewal.driver) == ("usage_level", "renewal")
    assert [move.feature for move in level.moves] == ["events_28d_per_week", "logins_28d_per_week"]
    assert (level.moves[0].before, level.moves[0].after) == (200.0, 100.0)
    assert level.log_odds == pytest.approx(0.5 * 1.2)


def test_what_did_not_move_has_no_line() -> None:
    then, now = Calibrated(-2.0, 1.0, 0.0), Calibrated(-1.0, 1.0, 0.0)
    moved = {"events_28d_per_week": 1.0, "nps_last": 0.0}
    (part,) = moved_ledger(then, now, -2.0, moved, OPEN, ROWS, same_model=True).parts
    assert [move.feature for move in part.moves] == ["events_28d_per_week"]


def test_a_changed_calibration_alone_is_its_own_line_and_all_there_is() -> None:
    then, now = Calibrated(-2.0, 1.0, 0.0), Calibrated(-2.0, 0.8, 0.3)
    ledger = moved_ledger(then, now, -2.0, {}, OPEN, ROWS, same_model=False)
    check(ledger)
    assert kinds(ledger) == ["calibration"]
    assert ledger.parts[0].log_odds == pytest.approx(0.7)


def test_a_changed_model_is_measured_on_the_older_row() -> None:
    then, now = Calibrated(-2.0, 1.0, 0.0), Calibrated(-1.0, 1.0, 0.0)
    ledger = moved_ledger(then, now, -1.6, {"seats": 0.6}, OPEN, ROWS, same_model=False)
    assert kinds(ledger) == ["driver", "model"]
    assert [part.log_odds for part in ledger.parts] == pytest.approx([0.6, 0.4])


def test_where_only_the_older_probability_is_kept_model_and_calibration_are_one_line() -> None:
    now = Calibrated(-1.0, 1.0, 0.0)
    start = log_odds_of(0.1)
    ledger = moved_ledger(start, now, -1.6, {"seats": 0.6}, OPEN, ROWS, same_model=False)
    check(ledger)
    assert kinds(ledger) == ["driver", "model_and_calibration"]


def test_a_contract_that_comes_to_bind_is_the_whole_move() -> None:
    then, now = Calibrated(-1.0, 1.0, 0.0), Calibrated(-5.0, 1.0, 0.0)
    moved = {"events_28d_per_week": 0.8, "days_to_renewal": -0.3}
    ledger = moved_ledger(then, now, -1.0, moved, (False, True), ROWS, same_model=True)
    check(ledger)
    (part,) = ledger.parts
    assert (part.kind, part.binds, part.log_odds) == ("contract", True, -4.0)


def test_a_contract_that_ceases_to_bind_frees_the_features_too() -> None:
    then, now = Calibrated(-5.0, 1.0, 0.0), Calibrated(-1.0, 1.0, 0.0)
    moved = {"events_28d_per_week": 0.8, "days_to_renewal": 0.3}
    ledger = moved_ledger(then, now, -5.0, moved, (True, False), ROWS, same_model=True)
    check(ledger)
    assert kinds(ledger) == ["driver", "driver", "contract"]
    assert ledger.parts[-1].binds is False
    assert ledger.parts[-1].log_odds == pytest.approx(2.9)


def test_under_a_contract_that_binds_at_both_dates_nothing_counts() -> None:
    score = Calibrated(-5.0, 1.0, 0.0)
    ledger = moved_ledger(score, score, -5.0, {"seats": 1.0}, (True, True), ROWS, same_model=True)
    check(ledger)
    assert ledger.parts == ()


def test_equal_scores_whose_parts_cancel_have_finite_points_of_both_signs() -> None:
    score = Calibrated(-1.0, 1.0, 0.0)
    moved = {"events_28d_per_week": 2.0, "nps_last": -2.0}
    ledger = moved_ledger(score, score, -1.0, moved, OPEN, ROWS, same_model=True)
    check(ledger)
    # 2 log-odds at 27 %, where one is worth 19.7 points
    assert sorted(part.points for part in ledger.parts) == pytest.approx([-39.32, 39.32], abs=0.01)


def test_parts_that_do_not_sum_are_refused() -> None:
    then, now = Calibrated(-2.0, 1.0, 0.0), Calibrated(-1.0, 1.0, 0.0)
    with pytest.raises(ChurnmlError, match=r"add up to 0\.1 beside"):
        moved_ledger(then, now, -2.0, {"seats": 0.9}, OPEN, ROWS, same_model=True)
    with pytest.raises(ChurnmlError, match="beside the difference"):
        weighed_ledger(then, now, {"seats": 0.1}, {"seats": 0.2}, (0.0, 0.0), NOW)


@given(start=st.floats(-40, 40), step=st.one_of(st.floats(-60, 60), st.floats(-1e-6, 1e-6)))
def test_points_are_the_mean_slope_along_the_way(start: float, step: float) -> None:
    end = start + step
    with localcontext() as context:
        context.prec = 60

        def exactly(log_odds: float) -> Decimal:
            return 1 / (1 + Decimal(-log_odds).exp())

        gap = Decimal(end) - Decimal(start)
        here = exactly(start)
        expected = (exactly(end) - here) / gap if abs(gap) > 1e-15 else here * (1 - here)
    assert mean_slope(start, end) == pytest.approx(float(expected), rel=1e-9)


def test_log_odds_come_back_from_their_probability() -> None:
    for log_odds in (-12.0, -0.3, 0.0, 4.0):
        assert log_odds_of(chance(log_odds)) == pytest.approx(log_odds, abs=1e-9)
    assert (log_odds_of(0.0), log_odds_of(1.0)) == (-math.inf, math.inf)


def test_every_feature_of_the_catalogue_can_stand_in_a_ledger() -> None:
    moved = {feature.name: 0.01 for feature in CATALOG}
    then, now = Calibrated(0.0, 1.0, 0.0), Calibrated(0.01 * len(CATALOG), 1.0, 0.0)
    check(moved_ledger(then, now, 0.0, moved, OPEN, ({}, {}), same_model=True))
