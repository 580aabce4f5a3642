"""Renewals by month, and forecasts beside what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from churnml.config import LANGUAGES
from churnml.report.data import ReportData
from churnml.report.forecasts import build_forecasts, make_forecasts, naive_rate
from churnml.report.movements import LedgerMonth
from churnml.report.render import render
from churnml.report.renewals import Todo, Window, build_renewals, left_by, months_on, renewal_places
from churnml.report.simulation import UNKNOWN
from churnml.store.rows import AccountRow, Book, ForecastRow, Member, ScoreRow, ScoringRun

MONDAY = datetime(2024, 3, 4)
WINDOW = Window(MONDAY, datetime(2024, 3, 18), datetime(2024, 6, 16))
ReportOf = Callable[..., ReportData]
ScoreOf = Callable[..., ScoreRow]


def account(renews: datetime | None, billed: float | None = None, name: str = "a") -> AccountRow:
    features: dict[str, float | str | None] = {"billing_months": billed}
    return AccountRow(name, MONDAY, None, None, None, 100.0, "USD", features, renews_at=renews)


def test_a_window_touches_its_months_and_no_other() -> None:
    assert [f"{month:%m}" for month in WINDOW.months] == ["03", "04", "05", "06"]
    to_the_first = Window(MONDAY, datetime(2024, 3, 3), datetime(2024, 6, 1))
    assert [f"{month:%m}" for month in to_the_first.months] == ["03", "04", "05"]
    assert to_the_first.place(datetime(2024, 6, 1)) == 2
    assert WINDOW.part(0) == (datetime(2024, 3, 18), datetime(2024, 4, 1))
    assert WINDOW.part(3) == (datetime(2024, 6, 1), datetime(2024, 6, 16))


@pytest.mark.parametrize(
    ("renews", "billed", "places"),
    [
        (None, 1.0, []),
        (datetime(2024, 4, 10), None, [1]),
        (datetime(2024, 4, 10), 12.0, [1]),
        (datetime(2024, 4, 10), 1.0, [1, 2, 3]),
        (datetime(2024, 3, 31), 1.0, [0, 1, 2]),
        (datetime(2024, 3, 5), 3.0, [0, 3]),
        (datetime(2024, 6, 16), 12.0, [3]),
        (datetime(2024, 6, 17), 12.0, []),
        (datetime(2024, 4, 10), float("nan"), [1]),
    ],
)
def test_an_account_renews_on_from_its_next_date(
    renews: datetime | None, billed: float | None, places: list[int]
) -> None:
    assert renewal_places(account(renews, billed), WINDOW) == places


def test_a_month_later_than_the_31st_is_the_months_last_day() -> None:
    assert months_on(datetime(2024, 1, 31), 1) == datetime(2024, 2, 29)
    assert months_on(datetime(2024, 1, 31), 2) == datetime(2024, 3, 31)
    assert months_on(datetime(2024, 1, 31), -2) == datetime(2023, 11, 30)


def test_the_chance_by_a_day_goes_along_the_shorter_windows(score_of: ScoreOf) -> None:
    row = replace(score_of("a", 0.3), outlook={"within_days": {"60": 0.2, "90": 0.3, "30": 0.05}})
    days = np.array([0.0, 14.0, 29.0, 44.0, 74.0, 104.0, 400.0])
    assert list(left_by(row, days)) == pytest.approx([0, 0, 0.025, 0.05, 0.2, 0.3, 0.3])
    bare = left_by(score_of("a", 0.3), days)
    assert list(bare) == pytest.approx([0, 0, 0.05, 0.1, 0.2, 0.3, 0.3])


def renewals(score_of: ScoreOf, accounts: list[AccountRow]):  # type: ignore[no-untyped-def]
    scores = tuple(score_of(row.account_id, 0.3, 100.0) for row in accounts)
    book = Book(ScoringRun("r", MONDAY, MONDAY, MONDAY, "champion", {}), scores)
    return build_renewals(book, accounts, lambda row: "why", lambda row: Todo("do"), UNKNOWN)


def test_what_is_left_after_the_last_renewal_counts_in_its_month(score_of: ScoreOf) -> None:
    told = renewals(score_of, [account(datetime(2024, 4, 10), 12.0)])
    assert [month.risk.expected for month in told.months] == pytest.approx([0, 3_000, 0, 0])
    assert [month.risk.mrr for month in told.months] == [0, 10_000, 0, 0]
    monthly = renewals(score_of, [account(datetime(2024, 3, 20), 1.0)])
    assert sum(month.risk.expected for month in monthly.months) == pytest.approx(3_000)
    assert all(month.risk.expected > 0 for month in monthly.months[:3])
    assert (monthly.renewing.accounts, monthly.renewing.mrr) == (1, 10_000)


def test_without_churn_there_is_nothing_to_renew(score_of: ScoreOf) -> None:
    book = Book(
        ScoringRun("r", MONDAY, MONDAY, MONDAY, "champion", {}),
        (score_of("a", 0.3, target="expansion"), score_of("b", None)),
    )
    assert build_renewals(book, [], lambda row: "", lambda row: Todo("")) is None
    assert build_renewals(None, [], lambda row: "", lambda row: Todo("")) is None
    assert make_forecasts(book, [], (), UNKNOWN, MONDAY) == []


def test_no_more_than_25_accounts_are_named(score_of: ScoreOf) -> None:
    told = renewals(score_of, [account(None, name=f"a{number:03}") for number in range(100)])
    assert [line.account_id for line in told.named] == [f"a{number:03}" for number in range(25)]
    assert told.named_share == pytest.approx(0.25)
    few = renewals(score_of, [account(None, name=f"a{number}") for number in range(10)])
    assert len(few.named) == 8


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_nobody_is_called_for_the_names_are_folded(
    report_of: ReportOf, language: str
) -> None:
    data = report_of(language=language)
    assert data.renewals is not None
    line = replace(data.renewals.named[0], tier="low", play="leave_alone", todo=Todo(""))
    calm = replace(data, renewals=replace(data.renewals, named=(line,)))
    told = {"en": "No account stands out", "zh": "没有突出的客户", "ja": "突出した顧客はいません"}
    assert told[language] in render(calm)
    for change in ({"tier": "medium"}, {"play": "call"}, {"todo": Todo("", held_out=True)}):
        called = replace(data.renewals, named=(line, replace(line, account_id="b", **change)))
        assert told[language] not in render(replace(data, renewals=called))


def test_an_account_stands_once_on_the_page(report_of: ReportOf, score_of: ScoreOf) -> None:
    scores = [score_of(f"acc-{number:02}", 0.3, 100.0) for number in range(25)]
    html = render(report_of(scores=scores))
    section = html[html.index('<section id="first"') : html.index('<section id="drivers"')]
    assert "acc-00" not in section
    named = html[html.index('<section id="renewals"') : html.index('<section id="trust"')]
    assert [named.count(f">acc-{number:02}<") for number in range(20)] == [1] * 20
    assert "10 more accounts" in named


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("has_column", [True, False])
def test_the_section_says_what_it_needs(
    report_of: ReportOf, language: str, has_column: bool
) -> None:
    html = render(report_of(language=language, has_column=has_column))
    assert ("subscriptions" in html) is True
    data = report_of(language=language, has_column=has_column)
    assert data.renewals is not None
    assert data.renewals.months[0].risk.accounts == 0
    assert data.renewals.unknown.expected == pytest.approx(data.renewals.total.expected)


@pytest.mark.parametrize("language", LANGUAGES)
def test_todos_are_told_as_what_they_are(report_of: ReportOf, language: str) -> None:
    data = report_of(language=language)
    assert data.renewals is not None
    line = data.renewals.named[0]
    opened = replace(
        line, todo=Todo("Ring <them>", date(2024, 3, 9), opened=True), renews_on=date(2024, 4, 1)
    )
    held = replace(line, account_id="other", todo=Todo("", held_out=True))
    html = render(replace(data, renewals=replace(data.renewals, named=(opened, held))))
    assert "Ring &lt;them&gt;" in html
    words = {"en": "Left alone on purpose", "zh": "有意不介入", "ja": "あえて介入しません"}
    assert words[language] in html


def a_forecast(**other: object) -> ForecastRow:
    row = ForecastRow(
        MONDAY, "churn", "window", datetime(2024, 3, 18), datetime(2024, 6, 16), "v1", 90, 14, "r",
        MONDAY, 2, 300, 60, 0, 200, 0.9, 100,
    )  # fmt: skip
    return replace(row, **other)  # type: ignore[arg-type]


MEMBERS = {("r", "churn", 90): [Member("a", 100, datetime(2024, 4, 2)), Member("b", 200, None)]}
OVER = datetime(2024, 6, 16) + timedelta(days=30)


def test_a_forecast_waits_until_its_time_and_the_grace_are_over() -> None:
    early = build_forecasts([a_forecast()], MEMBERS, {}, OVER - timedelta(days=1), 30)
    assert (early.came, early.waiting, early.next_on) == ((), 1, OVER.date())
    over = build_forecasts([a_forecast()], MEMBERS, {}, OVER, 30)
    assert (over.waiting, over.next_on, over.came[0].came) == (0, None, 0)


@pytest.mark.parametrize(
    ("moment", "came"),
    [
        (datetime(2024, 3, 18), 0),  # the window is open at its left end
        (datetime(2024, 3, 19), 200),
        (datetime(2024, 6, 16), 200),
        (datetime(2024, 6, 17), 0),
    ],
)
def test_what_ended_inside_the_window_came(moment: datetime, came: int) -> None:
    found = build_forecasts([a_forecast()], MEMBERS, {"churn": [("b", moment)]}, OVER, 30)
    assert found.came[0].came == came
    assert found.came[0].inside


def test_a_month_speaks_of_those_who_renew_and_of_its_days_in_the_calendar() -> None:
    april = a_forecast(
        span="month", accounts=1, from_at=datetime(2024, 4, 1), until_at=datetime(2024, 5, 1)
    )
    for moment, came in ((datetime(2024, 4, 1), 100), (datetime(2024, 5, 1), 0)):
        ends = {"churn": [("a", moment), ("b", moment)]}
        assert build_forecasts([april], MEMBERS, ends, OVER, 30).came[0].came == came


def test_forecasts_of_accounts_that_were_erased_are_not_told() -> None:
    found = build_forecasts([a_forecast(accounts=3)], MEMBERS, {}, OVER, 30)
    assert (found.came, found.lost, found.judged) == ((), 1, ())
    assert build_forecasts([a_forecast()], {}, {}, OVER, 30).lost == 1


def test_all_forecasts_together_are_held_against_their_level_and_the_naive_one() -> None:
    rows = [
        a_forecast(),
        a_forecast(as_of=MONDAY, model_version="v2", high_minor=90, naive_minor=250),
    ]
    (judged,) = build_forecasts(
        rows, MEMBERS, {"churn": [("a", datetime(2024, 4, 2))]}, OVER, 30
    ).judged
    assert (judged.forecasts, judged.as_ofs, judged.inside) == (2, 1, 0.5)
    assert (judged.expected, judged.came, judged.bias) == (120, 200, -0.4)
    assert (judged.error, judged.naive_error) == (40, 75)
    (bare,) = build_forecasts([a_forecast(naive_minor=None)], MEMBERS, {}, OVER, 30).judged
    assert (bare.bias, bare.naive_error) == (None, None)


def test_the_naive_rate_is_that_of_the_last_three_full_months() -> None:
    months = [LedgerMonth(date(2024, m, 1), 1_000, 900, churn=-100 * m) for m in (1, 2, 3, 4)]
    months.append(LedgerMonth(date(2024, 5, 1), 1_000, 0, churn=-1_000, partial=True))
    assert naive_rate(months) == pytest.approx(0.3)
    assert naive_rate([]) is None
