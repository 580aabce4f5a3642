"""What drives churn, in money: the parts sum to the whole, and the base rate is nobody's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from math import fsum

import pytest

from churnml.config import LANGUAGES
from churnml.report.data import ReportData
from churnml.report.drivers import (
    BASE,
    DriversThen,
    Told,
    build_drivers,
    periods_of,
    share_out,
)
from churnml.report.render import render
from churnml.store.rows import Book, ScoreRow

ReportOf = Callable[..., ReportData]
ScoreOf = Callable[..., ScoreRow]


def reason(
    driver: str, pull: float, feature: str = "f", value: float | None = 1.0
) -> dict[str, object]:
    return {
        "driver": driver, "feature": feature, "value": value, "unit": "", "contribution": pull,
        "text": f"because {driver}", "protective": pull < 0,
    }  # fmt: skip


def test_what_is_above_the_base_rate_is_shared_by_contribution(score_of: ScoreOf) -> None:
    row = replace(
        score_of("a", 0.5, 100.0),
        reasons=[reason("support", 3.0), reason("key_users", 1.0), reason("breadth", -2.0)],
    )
    shares = share_out(row, 0.1)
    assert shares[BASE] == pytest.approx(1_000)
    assert shares["support"] == pytest.approx(3_000)
    assert shares["key_users"] == pytest.approx(1_000)
    assert "breadth" not in shares


def test_an_account_at_the_base_rate_or_without_a_reason_has_no_driver(score_of: ScoreOf) -> None:
    assert share_out(score_of("a", 0.1, 100.0), 0.1) == {BASE: pytest.approx(1_000)}
    assert share_out(score_of("a", 0.9, 100.0, None), 0.1) == {BASE: pytest.approx(9_000)}
    assert share_out(score_of("a", 0.0, 100.0), 0.0) == {BASE: 0.0}


def test_all_mrr_at_risk_is_shared_out_and_nothing_twice(
    report_of: ReportOf, score_of: ScoreOf
) -> None:
    rows = [
        score_of("a", 0.5, 100.0, "key_users", tier="critical"),
        score_of("b", 0.1, 100.0, "key_users", tier="medium"),
        score_of("c", 0.6, 333.33, "support"),
        score_of("d", 0.9, 500.0, None, tier="critical"),
    ]
    data = report_of(rows)
    outlook = data.quarter.outlook("churn")
    assert outlook is not None
    drivers = data.drivers
    assert drivers.base_rate == pytest.approx(2.1 / 4)
    assert [item.driver for item in drivers.risks] == ["support", BASE]
    assert fsum(item.mrr_at_risk for item in drivers.risks) == pytest.approx(
        outlook.expected_mrr, abs=1e-6
    )
    assert drivers.risks[0].mrr_at_risk == pytest.approx((0.6 - 0.525) * 33_333)
    assert drivers.risks[1].accounts == 2
    assert drivers.risks[1].high_mrr_at_risk == pytest.approx(5_000 + 45_000 + 0.525 * 33_333)


def test_each_driver_opens_to_its_features_and_accounts(score_of: ScoreOf) -> None:
    rows = [
        replace(score_of("a", 0.5, 100.0), reasons=[reason("support", 1.0, "open_tickets", 5.0)]),
        replace(score_of("b", 0.6, 100.0), reasons=[reason("support", 1.0, "open_tickets", 9.0)]),
        replace(score_of("c", 0.7, 10.0), reasons=[reason("support", 1.0, "csat", None)]),
        replace(score_of("z", 0.0, 100.0), reasons=[]),
    ]
    book = Book(None, tuple(rows))  # type: ignore[arg-type]
    told = Told(typical={"open_tickets": 2.0}, tell_voice=lambda name, value: f"{name}: {value}")
    support = build_drivers(book, "churn", told).risks[0]
    assert [(v.feature, v.accounts, v.median, v.typical, v.text) for v in support.voices] == [
        ("open_tickets", 2, 7.0, 2.0, "open_tickets: 7.0"),
        ("csat", 1, None, None, "csat: None"),
    ]
    assert [item.account_id for item in support.first] == ["b", "a", "c"]
    assert support.first[0].reason == "because support"
    assert fsum(item.mrr_at_risk for item in support.first) == pytest.approx(support.mrr_at_risk)


def test_segments_share_out_the_same_sum_and_those_beyond_six_are_one(score_of: ScoreOf) -> None:
    rows = [score_of(f"a{n}", 0.05 * (n + 1), 100.0) for n in range(9)]
    book = Book(None, tuple(rows))  # type: ignore[arg-type]
    told = Told(segments={row.account_id: f"s{row.account_id}" for row in rows})
    drivers = build_drivers(book, "churn", told)
    assert [item.segment for item in drivers.segments] == [
        "sa8",
        "sa7",
        "sa6",
        "sa5",
        "sa4",
        "sa3",
        None,
    ]
    assert drivers.segments[-1].folded == 3
    assert sum(item.accounts for item in drivers.segments) == 9
    assert fsum(item.mrr_at_risk for item in drivers.segments) == pytest.approx(drivers.mrr_at_risk)


def test_a_trend_takes_the_newest_book_of_each_quarter_or_of_each_month() -> None:
    days = [
        date(2024, 1, 8),
        date(2024, 3, 4),
        date(2024, 3, 25),
        date(2024, 5, 6),
        date(2024, 9, 2),
    ]
    assert periods_of(days, 6) == [date(2024, 3, 25), date(2024, 5, 6), date(2024, 9, 2)]
    assert periods_of(days[:4], 6) == [
        date(2024, 1, 8), date(2024, 3, 25), date(2024, 5, 6),
    ]  # fmt: skip
    assert periods_of(days, 2) == [date(2024, 5, 6), date(2024, 9, 2)]
    assert periods_of([], 6) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_trend_says_which_books_were_scored_when_the_outcome_was_known(
    report_of: ReportOf, language: str
) -> None:
    data = report_of(language=language)
    then = DriversThen(date(2023, 12, 4), 0.2, 5_000.0, {"usage_trend": 100.0}, "v0", True)
    shown = render(replace(data, drivers=replace(data.drivers, then=(then,))))
    assert 'class="late"' in shown
    assert 'class="late"' not in render(
        replace(data, drivers=replace(data.drivers, then=(replace(then, afterwards=False),)))
    )
