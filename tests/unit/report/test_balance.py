"""Success and revenue apart: which way both went, and what is called unsustainable."""

from __future__ import annotations

from datetime import date

import pytest

from churnml.config import LANGUAGES
from churnml.report.balance import BalancePoint, balance_of
from churnml.report.balance_view import balance_view
from churnml.report.words import Words

QUARTERS = [date(2024, 1, 1), date(2024, 4, 1), date(2024, 7, 1), date(2024, 10, 1)]


def points(nrr: list[float | None], success: list[float | None]) -> list[BalancePoint]:
    return [
        BalancePoint(first, kept, share, share)
        for first, kept, share in zip(QUARTERS[-len(nrr) :], nrr, success, strict=True)
    ]


@pytest.mark.parametrize(
    ("nrr", "success", "verdict"),
    [
        ([1.00, 1.5, 1.03], [0.80, 0.1, 0.75], "unsustainable"),
        ([1.00, 0.5, 1.03], [0.75, 0.9, 0.80], "together"),
        ([1.03, 1.5, 1.00], [0.75, 0.1, 0.80], "ahead"),
        ([1.03, 0.5, 1.00], [0.80, 0.9, 0.75], "falling"),
        # On the thresholds it is a move, a hair below none.
        ([1.00, 1.0, 1.01], [0.80, 0.8, 0.78], "unsustainable"),
        ([1.00, 1.0, 1.0099], [0.80, 0.8, 0.78], "steady"),
        ([1.00, 1.0, 1.01], [0.80, 0.8, 0.7801], "steady"),
        ([1.00, 1.0, 1.00], [0.80, 0.8, 0.60], "steady"),
    ],
)
def test_the_last_full_quarter_is_held_against_the_one_two_before(
    nrr: list[float | None], success: list[float | None], verdict: str
) -> None:
    told = balance_of(points(nrr, success))
    assert told.verdict == verdict
    assert told.nrr_change == pytest.approx(nrr[-1] - nrr[0])  # type: ignore[operator]
    assert told.success_change == pytest.approx(success[-1] - success[0])  # type: ignore[operator]


def test_what_came_before_these_three_quarters_does_not_matter() -> None:
    told = balance_of(points([9.0, 1.00, 1.5, 1.03], [0.0, 0.80, 0.1, 0.75]))
    assert told.verdict == "unsustainable"


@pytest.mark.parametrize(
    ("nrr", "success", "verdict"),
    [
        ([], [], "unknown"),
        ([1.0, 1.0, 1.1], [None, None, None], "unknown"),
        ([1.0, 1.1], [0.8, 0.7], "too_short"),
        ([None, 1.0, 1.1], [0.8, 0.8, 0.7], "too_short"),
        ([1.0, 1.0, 1.1], [None, 0.8, 0.7], "too_short"),
    ],
)
def test_what_is_missing_is_never_a_verdict(
    nrr: list[float | None], success: list[float | None], verdict: str
) -> None:
    told = balance_of(points(nrr, success) if nrr else [])
    assert (told.verdict, told.nrr_change, told.success_change) == (verdict, None, None)


def test_the_index_is_the_mean_of_what_is_told_and_a_full_company_is_no_more_than_full() -> None:
    day = QUARTERS[0]
    assert BalancePoint(day, 1.0, 0.9, 0.5).success == pytest.approx(0.7)
    assert BalancePoint(day, 1.0, 0.9, None).success == 0.9
    assert BalancePoint(day, 1.0, None, 0.5).success == 0.5
    assert BalancePoint(day, 1.0, 0.8, 1.4).success == 0.9
    assert BalancePoint(day, 1.0, None, None).success is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_only_growth_on_falling_success_is_flagged_with_both_changes(language: str) -> None:
    words = Words(language, "USD")
    bad = balance_view(balance_of(points([1.0, 1.0, 1.034], [0.8, 0.8, 0.75])), words)
    assert bad.flag
    assert "+3.4" in bad.says
    assert "−5.0" in bad.says
    good = balance_view(balance_of(points([1.0, 1.0, 1.034], [0.8, 0.8, 0.85])), words)
    assert not good.flag
    assert good.says != bad.says
