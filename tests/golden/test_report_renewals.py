"""Renewals, forecasts and what came of them, recomputed by SQL of its own from the store and the tables."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
from tests.golden.report_company import GRACE_DAYS, Row, paying_at, write_company

from churnml.report.data import ReportData
from churnml.stages.project import open_project
from churnml.stages.report import report_data, write_report
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

BEFORE, AS_OF = datetime(2024, 12, 30), datetime(2025, 5, 20)
PERIODS: list[float | None] = [1.0, 3.0, 12.0, None]
SQL = (Path(__file__).parent / "report_sql" / "renewals.sql").read_text()


def write(project: Path, as_of: datetime, accounts: dict[str, int]) -> None:
    store = open_store(sqlite_url((project / "store.db").resolve()))
    rows, scores = [], []
    for number, (name, cents) in enumerate(sorted(accounts.items())):
        renews = as_of + timedelta(days=1 + 37 * number % 150, hours=number)
        features: dict[str, Any] = {"billing_months": PERIODS[number % 4]}
        known = None if number % 7 == 6 else renews
        rows.append(
            AccountRow(
                name, as_of, "smb", None, "ana", cents / 100, "USD", features, renews_at=known
            )
        )
        chance: float | None = round(0.02 + 0.017 * (number * 11 % 19), 3)
        outlook = {
            "low": chance / 2, "high": chance * 1.5,
            "within_days": {"30": chance * 0.2, "60": chance * 0.5, "90": chance},
        }  # fmt: skip
        if number % 10 == 9:
            chance, outlook = None, {}
        scores.append(
            ScoreRow(name, as_of, "churn", 90, 14, chance, "medium" if chance else "unknown",
                     "ok" if chance else "too_little_data", [], "fading_usage", cents / 100, "USD",
                     "v1", as_of, outlook)
        )  # fmt: skip
    run = ScoringRun(f"run-{as_of:%Y%m%d}", as_of, as_of, as_of, "champion", {"churn": "v1"})
    store.write_book(run, scores, rows, names={name: (f"<b>{name}</b>", None) for name in accounts})
    store.close()


def told_at(project: Path, as_of: datetime) -> duckdb.DuckDBPyConnection:
    """The book as the store's own file has it, and the raw subscriptions, under SQL that knows no churnml."""
    connection = duckdb.connect()
    store = sqlite3.connect(project / "store.db")
    rows = store.execute(
        "select a.account_id, a.renews_at, a.features, s.probability, s.mrr_minor, s.outlook "
        "from account_rows a join score_rows s using (sequence, account_id) join scoring_runs r using "
        "(sequence) where r.as_of = ? and s.probability is not null",
        (f"{as_of:%Y-%m-%d %H:%M:%S}.000000",),
    ).fetchall()
    store.close()
    connection.execute(
        "create table book (account_id varchar, renews_at timestamp, period integer, chance double, "
        "mrr bigint, by_30 double, by_60 double)"
    )
    for name, renews, features, chance, mrr, outlook in rows:
        within = orjson.loads(outlook)["within_days"]
        period = orjson.loads(features)["billing_months"]
        connection.execute(
            "insert into book values (?, ?, ?, ?, ?, ?, ?)",
            [name, renews, period, chance, mrr, within["30"], within["60"]],
        )
    files = f"'{project}/data/subscriptions.parquet'"
    connection.execute(f"create view subscriptions as select * from {files}")
    connection.execute(f"set variable as_of = timestamp '{as_of}'")
    connection.execute(f"set variable through = timestamp '{AS_OF}'")
    connection.execute(f"set variable grace = {GRACE_DAYS}")
    connection.execute(SQL)
    return connection


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_company(tmp_path_factory.mktemp("renewals"))
    write(project, BEFORE, paying_at(BEFORE.date()))
    write(project, AS_OF, paying_at(AS_OF.date()))
    return project


@pytest.fixture(scope="module")
def data(project: Path) -> ReportData:
    return report_data(open_project(project), "en")


def test_months_add_up_to_the_headline_and_are_those_of_the_scores(
    project: Path, data: ReportData
) -> None:
    told, outlook = data.renewals, data.quarter.outlook("churn")
    assert told is not None
    assert outlook is not None
    assert (told.total.low, told.total.high) == (outlook.low_mrr, outlook.high_mrr)
    assert told.total.expected == pytest.approx(outlook.expected_mrr, abs=1e-6)
    apart = [*(month.risk for month in told.months), told.later, told.unknown]
    assert sum(part.expected for part in apart) == pytest.approx(told.total.expected, abs=1e-6)
    own = told_at(project, AS_OF)
    months = own.execute("select * from by_month order by month").fetchall()
    assert [(m.month, m.risk.accounts, m.risk.mrr) for m in told.months] == [
        (month.date(), accounts, mrr) for month, accounts, mrr, _ in months
    ]
    for mine, (*_, expected) in zip(told.months, months, strict=True):
        assert mine.risk.expected == pytest.approx(expected, abs=1e-6)
        assert mine.risk.low <= mine.risk.expected <= mine.risk.high
    for part, name in ((told.later, "later"), (told.unknown, "unknown")):
        row = own.execute("select accounts, mrr, expected from apart where part = ?", [name])
        accounts, mrr, expected = row.fetchall()[0]
        assert (part.accounts, part.mrr) == (accounts, mrr)
        assert part.expected == pytest.approx(expected, abs=1e-6)
        assert accounts > 0


def test_the_named_accounts_make_up_four_fifths(project: Path, data: ReportData) -> None:
    told = data.renewals
    assert told is not None
    named = told_at(project, AS_OF).execute("select account_id from named").fetchall()
    assert [line.account_id for line in told.named] == [name for (name,) in named]
    assert told.named_share >= 0.8
    assert told.named_from == told.named[-1].mrr_at_risk
    assert told.named_share - told.named_from / told.total.expected < 0.8
    assert {line.name for line in told.named} == {None}


def test_forecasts_are_kept_once_and_only_of_the_newest_book(project: Path, tmp_path: Path) -> None:
    opened = open_project(project)
    store = open_store(opened.store_url)
    write_report(opened, tmp_path / "then.html", as_of=BEFORE)
    assert store.forecasts.rows() == ()
    write_report(opened, tmp_path / "now.html")
    kept = store.forecasts.rows()
    assert [row.span for row in kept] == ["month"] * 3 + ["quarter", "window"]
    before = store.revision()
    write_report(opened, tmp_path / "again.html")
    assert store.forecasts.rows() == kept
    assert store.revision() == before
    store.close()
    own = told_at(project, AS_OF)
    months = own.execute("select expected from by_month order by month").fetchall()
    assert [row.expected_minor for row in kept[:3]] == [round(value) for (value,) in months]


def test_what_came_is_what_the_subscriptions_say(project: Path) -> None:
    from churnml.report.forecasts import make_forecasts
    from churnml.report.simulation import UNKNOWN
    from churnml.stages.report_renewals import forecasts_of
    from churnml.stages.report_sources import report_sources

    opened = open_project(project)
    with report_sources(opened, "en", as_of=BEFORE) as then:
        assert then.book is not None
        made = make_forecasts(then.book, then.accounts, (), UNKNOWN, BEFORE)
        assert then.store.forecasts.keep(made) == len(made)
        assert then.store.forecasts.keep(made) == 0
    with report_sources(opened, "en") as now:
        found = forecasts_of(now)
        held = {one.forecast.span: one for one in found.came if one.forecast.span != "month"}
        by_month = {
            one.forecast.from_at.date(): one.came
            for one in found.came
            if one.forecast.span == "month"
        }
    own = told_at(project, BEFORE)
    came = dict(own.execute("select span, came from came").fetchall())
    assert held.keys() == {"quarter", "window"}
    assert {span: one.came for span, one in held.items()} == came
    assert 0 < came["quarter"] < came["window"]
    months = own.execute("select month, came from came_by_month order by month").fetchall()
    assert by_month == {max(month, datetime(2025, 1, 13)).date(): mrr for month, mrr in months}
    assert sum(by_month.values()) > 0


FEW: dict[int, list[Row]] = {
    0: [("gone", "core", "2023-01-01", "2023-06-01", 5_000, 5_000, None, None)],
    1: [("only", "core", "2023-01-01", None, 5_001, 5_001, None, None)],
    3: [(name, "core", "2023-01-01", None, 3_333, 3_333, None, None) for name in ("a", "b", "c")],
}


@pytest.mark.parametrize("count", FEW)
def test_small_books(tmp_path: Path, count: int) -> None:
    project = write_company(tmp_path, FEW[count])
    write(project, AS_OF, {row[0]: row[4] for row in FEW[count] if row[3] is None})
    write_report(open_project(project), tmp_path / "report.html")
    told = report_data(open_project(project), "en").renewals
    store = open_store(sqlite_url((project / "store.db").resolve()))
    kept = store.forecasts.rows()
    store.close()
    if not count:
        assert told is None
        assert kept == ()
        assert "score of churn" in (tmp_path / "report.html").read_text()
        return
    assert told is not None
    own = told_at(project, AS_OF).execute("select sum(mrr * chance), sum(mrr) from book").fetchall()
    assert told.total.expected == pytest.approx(own[0][0])
    assert told.total.mrr == own[0][1]
    assert {row.span for row in kept} == {"month", "window", "quarter"}


def test_names_stand_in_the_file_only_if_they_were_asked_for(project: Path, tmp_path: Path) -> None:
    opened, out = open_project(project), tmp_path / "report.html"
    write_report(opened, out)
    assert "&lt;b&gt;" not in out.read_text()
    write_report(opened, out, with_names=True)
    told = report_data(opened, "en").renewals
    assert told is not None
    first = told.named[0].account_id
    assert f"&lt;b&gt;{first}&lt;/b&gt;" in out.read_text()
    assert f"<b>{first}" not in out.read_text()
