"""Every number of the health of the base, counted again row by row from the raw tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.golden import report_company
from tests.golden.base_company import AS_OF, FIRST, without, write_company

from churnml.config import LANGUAGES
from churnml.report.base import Base
from churnml.report.data import ReportData
from churnml.report.render import render
from churnml.stages.project import open_project
from churnml.stages.report import report_data

SQL = Path(__file__).parent / "report_sql" / "base.sql"


class Rows:
    """The raw tables in a database of their own."""

    def __init__(self, project: Path):
        self.connection = duckdb.connect()
        self.connection.execute(f"set variable as_of = timestamp '{AS_OF}'")
        for file in (project / "data").glob("*.parquet"):
            self.connection.execute(f"create view raw_{file.stem} as from '{file}'")
        self.connection.execute(SQL.read_text())

    def ask(self, what: str, at: datetime | None = None) -> list[dict[str, Any]]:
        told = what if at is None else f"{what}(timestamp '{at}')"
        found = self.connection.execute(f"select * from {told}")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def told_of(project: Path, as_of: datetime = AS_OF) -> ReportData:
    return report_data(open_project(project), "en", as_of=as_of)


def base_of(project: Path) -> Base:
    told = told_of(project).base
    assert told is not None
    return told


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("base") / "company")


@pytest.fixture(scope="module")
def data(project: Path) -> ReportData:
    return told_of(project)


@pytest.fixture(scope="module")
def base(data: ReportData) -> Base:
    assert data.base is not None
    return data.base


@pytest.fixture(scope="module")
def rows(project: Path) -> Rows:
    return Rows(project)


def test_every_four_weeks_are_those_of_the_log(base: Base, rows: Rows) -> None:
    assert len(base.months) == 13
    names = ("accounts", "active", "completing", "people", "seated", "events", "seats", "visits")
    for ago, month in enumerate(reversed(base.months)):
        at = AS_OF - timedelta(days=28 * ago)
        assert month.last == (at - timedelta(days=1)).date()
        (told,) = rows.ask("four_weeks", at)
        assert {name: getattr(month, name) for name in names} == told, ago
    now = base.months[-1]
    assert base.paying == now.accounts
    assert 0 < now.active < now.accounts
    assert now.seated < now.people
    assert now.per_account(now.events) == now.events / now.accounts


def test_modules_count_accounts_by_the_furthest_they_came(base: Base, rows: Rows) -> None:
    told = {row["module"]: row for row in rows.ask("modules")}
    assert base.modules is not None
    assert {item.module for item in base.modules} == {"core", "reports"} == set(told)
    for item in base.modules:
        assert vars(item) == told[item.module]
        assert item.viewed >= item.started >= item.completed >= item.lately > 0


def test_key_users_are_who_holds_the_role_left_it_or_fell_silent(base: Base, rows: Rows) -> None:
    told = rows.ask("key_users")
    assert base.key_users is not None
    assert [vars(item) for item in base.key_users] == told
    assert any(row["left"] for row in told)
    assert any(row["silent"] for row in told)


def test_activation_is_by_milestones_where_there_are(base: Base, rows: Rows) -> None:
    assert base.activation is not None
    assert base.activation.by == "milestones"
    compare_cohorts(base, rows, "by_milestones")


def compare_cohorts(base: Base, rows: Rows, view: str) -> None:
    told = sorted(rows.ask(view), key=lambda row: row["quarter"])[-6:]
    assert base.activation is not None
    assert [(item.quarter, item.accounts) for item in base.activation.cohorts] == [
        (row["quarter"], row["accounts"]) for row in told
    ]
    for item, row in zip(base.activation.cohorts, told, strict=True):
        month = item.quarter.year * 12 + item.quarter.month + 2
        old = (AS_OF - datetime(month // 12, month % 12 + 1, 1)).days
        for days, within in zip((30, 60, 90), item.within, strict=True):
            assert within == (row[f"d{days}"] if old >= days else None)
    assert any(item.within[2] for item in base.activation.cohorts)


def test_nps_referrals_and_trials_are_those_of_their_tables(base: Base, rows: Rows) -> None:
    assert base.nps is not None
    names = ("respondents", "accounts", "promoters", "detractors")
    for number, item in enumerate(base.nps):
        (told,) = rows.ask("nps", AS_OF - timedelta(days=90 * number))
        assert item is not None
        assert {name: getattr(item, name) for name in names} == told
        assert item.score == pytest.approx(
            100 * (told["promoters"] - told["detractors"]) / told["respondents"]
        )
    assert base.referrals is not None
    for number, made in enumerate(base.referrals):
        (told,) = rows.ask("referrals", AS_OF - timedelta(days=365 * number))
        assert vars(made) == told
    (told,) = rows.ask("trials")
    assert base.trials is not None
    assert vars(base.trials) == {**told, "median_days": pytest.approx(told["median_days"])}
    assert told["fresh"]
    assert told["converted"] < told["started"]


def test_success_and_nrr_are_of_the_same_quarters(data: ReportData, rows: Rows) -> None:
    assert data.base is not None
    points, quarters = data.base.balance.points, data.movements.quarters
    assert [(p.first, p.nrr) for p in points] == [(flow.first, flow.nrr) for flow in quarters]
    assert len(points) > 3
    for point, flow in zip(points, quarters, strict=True):
        end = datetime(flow.last.year, flow.last.month, flow.last.day) + timedelta(days=1)
        if end - timedelta(days=28) < FIRST:
            assert point.success is None
            continue
        (told,) = rows.ask("four_weeks", end)
        assert point.completing_share == told["completing"] / told["accounts"]
        assert point.seat_share == told["seated"] / told["seats"]
        assert point.success == pytest.approx(
            (point.completing_share + min(1.0, point.seat_share)) / 2
        )


def test_without_milestones_activation_is_the_first_completed_action(tmp_path: Path) -> None:
    project = write_company(tmp_path / "company")
    without(project, "milestones")
    base = base_of(project)
    assert base.activation is not None
    assert base.activation.by == "completed"
    assert base.needs == ("milestones",)
    rows = Rows(write_company(tmp_path / "again"))
    compare_cohorts(base, rows, "by_completed")


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_tables_do_not_tell_is_a_line_and_never_a_zero(
    tmp_path: Path, language: str
) -> None:
    project = write_company(tmp_path / "company")
    for table in ("users", "surveys", "milestones", "referrals"):
        without(project, table)
    without(
        project, "events", "user_id", "session_id", "module", "stage", "is_automated", "known_at"
    )
    without(project, "accounts", "trial_started_at", "converted_at")
    without(project, "subscriptions", "seats")
    data = report_data(open_project(project), language, as_of=AS_OF)
    base = data.base
    assert base is not None
    assert (base.modules, base.key_users, base.nps, base.referrals, base.trials) == (None,) * 5
    assert base.activation is None
    month = base.months[-1]
    assert (month.completing, month.people, month.seated, month.seats, month.visits) == (None,) * 5
    assert base.balance.verdict == "unknown"
    assert len(base.needs) == 9
    html = render(data)
    for name in ("modules", "key_users", "activation", "nps", "referrals"):
        assert f'id="base-{name}"' not in html


@pytest.mark.parametrize("accounts", [2, 3])
def test_a_company_of_a_few_accounts_is_told_as_exactly(tmp_path: Path, accounts: int) -> None:
    project = write_company(tmp_path / "company", accounts, seed=accounts)
    base, rows = base_of(project), Rows(project)
    for ago, month in enumerate(reversed(base.months)):
        (told,) = rows.ask("four_weeks", AS_OF - timedelta(days=28 * ago))
        assert (month.accounts, month.events, month.visits) == (
            told["accounts"], told["events"], told["visits"]
        )  # fmt: skip


@pytest.mark.parametrize("kept", [0, 1])
def test_where_nobody_or_one_pays_there_is_no_share_of_nothing(tmp_path: Path, kept: int) -> None:
    rows = [("only", "core", "2024-01-10", None, 10_000, 10_000, None, None),
            ("left", "core", "2023-03-01", "2024-02-01", 10_000, 10_000, None, None)]  # fmt: skip
    project = report_company.write_company(tmp_path, [*rows[:kept], rows[1]])
    data = report_data(open_project(project), "en", as_of=report_company.AS_OF)
    assert data.base is not None
    assert data.base.paying == kept
    assert data.base.months[-1].accounts == kept
    assert ('id="base-company"' in render(data)) == bool(kept)
