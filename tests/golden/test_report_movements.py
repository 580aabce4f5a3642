"""Every number of the movements, counted again day by day from the raw tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.golden.report_company import (
    AS_OF,
    GRACE_DAYS,
    SUBSCRIPTIONS,
    Row,
    write_company,
)

from churnml.report.data import ReportData
from churnml.report.movements import MOVES, Flow, Movements
from churnml.report.render import render
from churnml.stages.project import open_project
from churnml.stages.report import report_data

SQL = Path(__file__).parent / "report_sql"


class Days:
    """The company day by day, in a database of its own."""

    def __init__(self, project: Path, as_of: datetime = AS_OF):
        self.connection = duckdb.connect()
        self.connection.execute(
            f"set variable as_of = date '{as_of:%Y-%m-%d}'; set variable grace_days = {GRACE_DAYS}; "
            "create view raw_subscriptions as select * from "
            f"read_parquet('{project / 'data' / 'subscriptions.parquet'}') "
            "where started_at < getvariable('as_of')"
        )
        self.connection.execute((SQL / "days.sql").read_text())

    def ask(self, name: str, first: date | None = None, until: date | None = None) -> list[Any]:
        for variable, day in (("first", first), ("until", until)):
            if day:
                self.connection.execute(f"set variable {variable} = date '{day}'")
        text = (
            (SQL / f"{name}.sql").read_text() if name in ("period", "reasons", "cohorts") else name
        )
        found = self.connection.execute(text)
        columns = [column[0] for column in found.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]

    def moves(self, first: date, until: date) -> dict[str, tuple[int, int]]:
        rows = self.ask(
            f"select kind, sum(amount) as amount, count(*) as times from moves where day >= '{first}' "
            f"and day < '{until}' group by kind"
        )
        return {row["kind"]: (row["amount"], row["times"]) for row in rows}


def told_of(project: Path, as_of: datetime = AS_OF) -> ReportData:
    return report_data(open_project(project), "en", as_of=as_of)


def compare(flow: Flow, days: Days) -> None:
    until = flow.last + timedelta(days=1)
    moves = days.moves(flow.first, until)
    assert dict(flow.moves) == {kind: amount for kind, (amount, _) in moves.items()}
    assert dict(flow.times) == {kind: times for kind, (_, times) in moves.items()}
    (told,) = days.ask("period", flow.first, until)
    for name in (
        "start",
        "end",
        "accounts",
        "churned_accounts",
        "churned_mrr",
        "grace_accounts",
        "grace_mrr",
    ):
        assert getattr(flow, name) == told[name], name
    assert flow.mrr_churn == (told["churned_mrr"] / told["start"] if told["start"] else None)
    for name in ("grr", "nrr"):
        assert getattr(flow, name) == (None if told[name] is None else pytest.approx(told[name]))
    assert {item.reason: (item.mrr, item.accounts) for item in flow.reasons} == {
        row["reason"]: (row["mrr"], row["accounts"]) for row in days.ask("reasons")
    }


def compare_all(told: Movements, days: Days) -> None:
    for flow in (told.to_date, told.before, told.year, *told.quarters):
        if flow is not None:
            compare(flow, days)
    for month in told.months:
        until = min(_next(month.month), AS_OF.date())
        moves = days.moves(month.month, until)
        assert {name: month.move(name) for name in MOVES if month.move(name)} == {
            kind: amount for kind, (amount, _) in moves.items() if amount
        }
        (told_month,) = days.ask("period", month.month, until)
        for name in ("start", "end", "accounts", "churned_accounts", "churned_mrr"):
            assert getattr(month, name) == told_month[name], (month.month, name)


def _next(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("company"))


@pytest.fixture(scope="module")
def data(project: Path) -> ReportData:
    return told_of(project)


def test_every_movement_share_and_reason_is_what_the_days_say(
    project: Path, data: ReportData
) -> None:
    told = data.movements
    assert told.to_date is not None
    assert told.before is not None
    assert told.year is not None
    assert (told.to_date.first, told.to_date.last) == (date(2025, 4, 1), date(2025, 5, 18))
    assert (told.before.first, told.before.last) == (date(2025, 1, 1), date(2025, 2, 17))
    assert len(told.quarters) == 6
    assert len(told.months) == 18
    compare_all(told, Days(project))


def test_the_company_has_every_kind_of_movement(data: ReportData) -> None:
    now = data.movements.to_date
    assert now is not None
    assert set(now.times) == set(MOVES)
    assert all(amount % 100 for amount in now.moves.values())
    assert None in {reason.reason for reason in now.reasons}


def test_every_cohort_is_what_the_days_say(project: Path, data: ReportData) -> None:
    cohorts = data.movements.cohorts
    assert not cohorts.yearly
    found = [
        {"cohort": row.first, "quarters": cell.quarters, "accounts": cell.accounts,
         "kept": cell.kept, "mrr": cell.mrr, "kept_mrr": cell.kept_mrr}
        for row in cohorts.rows for cell in row.cells
    ]  # fmt: skip
    assert found == Days(project).ask("cohorts")
    assert [cell.over for row in cohorts.rows for cell in row.cells[-1:]] == [False] * 10
    assert all(cell.over for row in cohorts.rows for cell in row.cells[:-1])


@pytest.mark.parametrize(
    "as_of", [datetime(2025, 4, 1), datetime(2025, 1, 2), datetime(2023, 3, 4)]
)
def test_at_other_dates_nothing_that_came_after_is_told(project: Path, as_of: datetime) -> None:
    told = told_of(project, as_of).movements
    days = Days(project, as_of)
    for flow in (told.to_date, told.before, told.year, *told.quarters):
        if flow is not None:
            compare(flow, days)
    assert told.to_date is not None
    assert told.to_date.last == as_of.date() - timedelta(days=1)


@pytest.mark.parametrize(
    "names",
    [("free_then_pays",), ("gap_within",), ("merged",), ("cuts", "left_long_ago", "merged")],
)
def test_books_of_one_and_three_accounts(
    tmp_path: Path, names: tuple[str, ...], subset: Callable[..., list[Row]]
) -> None:
    project = write_company(tmp_path, subset(names))
    data = told_of(project)
    compare_all(data.movements, Days(project))
    assert "movements-title" in render(data)


def test_a_company_in_which_nobody_ever_paid(tmp_path: Path) -> None:
    project = write_company(tmp_path, [("free", "core", "2024-01-01", None, 0, 0, None, None)])
    data = told_of(project)
    now = data.movements.to_date
    assert now is not None
    assert (now.start, now.end, now.accounts, now.grr) == (0, 0, 0, None)
    assert data.movements.cohorts.rows == ()
    assert "No MRR was recorded" in render(data)


def test_without_end_reasons_one_line_says_what_it_would_need(tmp_path: Path) -> None:
    data = told_of(write_company(tmp_path, with_reasons=False))
    assert data.movements.to_date is not None
    assert data.movements.to_date.reasons == ()
    assert "needs the column end_reason in the table subscriptions" in render(data)


@pytest.fixture
def subset() -> Callable[..., list[Row]]:
    return lambda names: [row for row in SUBSCRIPTIONS if row[0] in names]
