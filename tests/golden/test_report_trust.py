"""What drives churn and what came of past books: each number from the store's own file and the raw tables."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime
from math import fsum
from pathlib import Path

import pytest
from tests.golden.report_company import AS_OF, write_company
from tests.golden.report_past import BOOKS, COUNTED, score_past
from tests.golden.test_report_movements import SQL, Days, told_of

from churnml.monitor.missed import CAUSES
from churnml.report.data import ReportData
from churnml.report.drivers import BASE
from churnml.report.render import render

# By SQLite over the store itself: nothing of the report's arithmetic is in it.
SHARES = """
with book as (select max(as_of) as as_of from scoring_runs where as_of <= :at),
run as (select max(sequence) as sequence from scoring_runs, book where scoring_runs.as_of = book.as_of),
told as (select s.account_id, s.probability as chance, s.mrr_minor as mrr, s.reasons from score_rows s, run
    where s.sequence = run.sequence and s.target = 'churn' and s.probability is not null),
base as (select avg(chance) as rate from told),
pulls as (select t.account_id, json_extract(r.value, '$.driver') as driver,
        sum(json_extract(r.value, '$.contribution')) as pull
    from told t, json_each(cast(t.reasons as text)) r
    where json_extract(r.value, '$.contribution') > 0 group by 1, 2),
parts as (select p.driver, p.account_id, (t.chance - base.rate) * t.mrr * p.pull /
        (select sum(q.pull) from pulls q where q.account_id = p.account_id) as amount
    from pulls p join told t on t.account_id = p.account_id, base where t.chance > base.rate)
select driver, count(*) as accounts, sum(amount) as amount from parts group by driver
union all
select '', null, (select coalesce(sum(chance * mrr), 0) from told) - coalesce((select sum(amount) from parts), 0)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_company(tmp_path_factory.mktemp("past"))
    score_past(project)
    return project


@pytest.fixture(scope="module")
def data(project: Path) -> ReportData:
    return told_of(project)


@pytest.fixture(scope="module")
def days(project: Path) -> Days:
    days = Days(project)
    counted = {(as_of.date(), version) for as_of, version, _ in COUNTED}
    days.connection.execute(
        "create table told (as_of date, account_id varchar, segment varchar, chance double, tier varchar, "
        "mrr bigint, counted boolean)"
    )
    store = sqlite3.connect(project / "store.db")
    for moment, version, *row in store.execute(
        "select r.as_of, s.model_version, s.account_id, a.segment, s.probability, s.tier, s.mrr_minor "
        "from score_rows s join scoring_runs r on r.sequence = s.sequence join account_rows a "
        "on a.sequence = s.sequence and a.account_id = s.account_id"
    ):
        day = date.fromisoformat(moment[:10])
        days.connection.execute(
            "insert into told values (?, ?, ?, ?, ?, ?, ?)", [day, *row, (day, version) in counted]
        )
    store.close()
    days.connection.execute((SQL / "record.sql").read_text())
    return days


def shares_of(project: Path, at: str) -> dict[str, tuple[int | None, float]]:
    store = sqlite3.connect(project / "store.db")
    found = {name: (n, amount) for name, n, amount in store.execute(SHARES, {"at": at})}
    store.close()
    return found


def compare_drivers(data: ReportData, project: Path, as_of: datetime = AS_OF) -> None:
    told = shares_of(project, f"{as_of:%Y-%m-%d %H:%M:%S}.000000")
    found = {risk.driver: risk for risk in data.drivers.risks}
    assert found.keys() == told.keys() or (not found and told == {BASE: (None, 0)})
    for name, risk in found.items():
        assert risk.mrr_at_risk == pytest.approx(told[name][1], abs=1e-6)
        if name != BASE:
            assert risk.accounts == told[name][0]
    outlook = data.quarter.outlook("churn")
    assert fsum(risk.mrr_at_risk for risk in data.drivers.risks) == pytest.approx(
        outlook.expected_mrr if outlook else 0.0, abs=1e-6
    )


def test_every_cent_at_risk_is_shared_out_as_the_stored_contributions_say(
    data: ReportData, project: Path
) -> None:
    assert len(data.drivers.risks) == 4
    compare_drivers(data, project)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_small_books_are_shared_out_too(tmp_path: Path, most: int) -> None:
    project = write_company(tmp_path)
    score_past(project, most)
    data = told_of(project)
    compare_drivers(data, project)
    assert "section" in render(data)


def test_the_trend_is_what_older_books_said(data: ReportData, project: Path) -> None:
    # The newest book of each quarter; of October the run that was written last.
    assert [(then.as_of, then.afterwards) for then in data.drivers.then] == [
        (date(2024, 6, 3), False),
        (date(2024, 9, 2), False),
        (date(2024, 12, 9), False),
        (date(2025, 1, 6), False),
    ]
    for then in data.drivers.then:
        told = shares_of(project, f"{then.as_of} 23:59:59")
        assert dict(then.shares) == {
            name: pytest.approx(amount, abs=1e-6) for name, (_, amount) in told.items()
        }


def test_segments_hold_the_same_cents(data: ReportData) -> None:
    drivers = data.drivers
    assert {item.segment for item in drivers.segments} == {"smb", "mid", "enterprise"}
    for risk in drivers.risks:
        told = fsum(item.shares.get(risk.driver, 0.0) for item in drivers.segments)
        assert told == pytest.approx(risk.mrr_at_risk, abs=1e-6)


def test_only_books_count_whose_model_had_seen_nothing_of_what_came(data: ReportData) -> None:
    record = data.trust.record("churn")
    assert record is not None
    assert [(book.as_of, book.version) for book in record.books] == [
        (as_of.date(), version) for as_of, version, _ in COUNTED
    ]
    assert [(item.as_of, item.why) for item in record.left_out] == [
        (BOOKS[2][0].date(), "saw_later"),
        (BOOKS[3][0].date(), "unknown_model"),
    ]
    assert record.open_books == 2  # of January, and the newest: its model's data end before it


def test_each_book_is_held_against_the_ledger(data: ReportData, days: Days) -> None:
    record = data.trust.record("churn")
    assert record is not None
    rows = days.ask("select * from books order by as_of")
    assert len(rows) == len(record.books) == 4
    assert sum(row["came_accounts"] for row in rows) == 3
    for book, row in zip(record.books, rows, strict=True):
        for name in ("accounts", "came_accounts", "came_mrr", "handled", "hits", "flagged",
                     "flagged_came", "flagged_mrr", "lead_days"):  # fmt: skip
            assert getattr(book, name) == row[name], (row["as_of"], name)
        assert book.expected_accounts == pytest.approx(row["expected_accounts"])
        assert book.expected_mrr == pytest.approx(row["expected_mrr"])


def test_all_books_together_are_their_sums(data: ReportData, days: Days) -> None:
    record = data.trust.record("churn")
    assert record is not None
    (told,) = days.ask(
        "select sum(hits) as hits, sum(handled) as handled, sum(came_mrr) as came, sum(flagged_mrr) as flagged, "
        "sum(came_accounts) / sum(accounts) as share from books"
    )
    assert record.precision is not None
    assert record.flagged_mrr is not None
    assert (record.precision.hits, record.precision.of) == (told["hits"], told["handled"])
    assert (record.flagged_mrr.hits, record.flagged_mrr.of) == (told["flagged"], told["came"])
    assert record.base_share == pytest.approx(told["share"])
    (lead,) = days.ask(
        "select median(days) as days, count(*) as n from (select left_on - min(as_of) as days from known "
        "where came and tier in ('high', 'critical') group by account_id, left_on)"
    )
    assert (record.lead_days, record.alerts) == (lead["days"], lead["n"])
    assert sum(item.rows for item in record.bins) == sum(book.accounts for book in record.books)
    for segment in record.segments:
        (row,) = days.ask(
            "select count(*) as rows, count(distinct account_id) as accounts, avg(chance) as told, "
            f"avg(came::int) as came from known where segment = '{segment.segment}'"
        )
        assert (segment.rows, segment.accounts) == (row["rows"], row["accounts"])
        assert (segment.told, segment.came) == pytest.approx((row["told"], row["came"]))
        assert segment.weak is None  # far too few


def test_every_churn_in_a_window_has_one_cause(data: ReportData, days: Days) -> None:
    missed = data.trust.missed
    assert missed is not None
    rows = days.ask("select * from causes order by account_id")
    assert (missed.churns, missed.lost) == (len(rows), sum(row["lost"] for row in rows))
    told = {item.miss.account_id: item.miss for item in missed.first}
    for row in rows:
        cause = told[row["account_id"]].cause
        if row["cause"] == "flagged":
            done = row["account_id"] == "left_in_summer"
            assert cause == ("nothing_could_be_done" if done else "ignored")
        else:
            assert cause == row["cause"]
        assert told[row["account_id"]].lost == row["lost"]
    assert [item.cause for item in missed.causes] == list(CAUSES)
    assert sum(item.lost for item in missed.causes) == missed.lost
    assert sum(item.churns for item in missed.causes) == missed.churns
    found = {item.cause for item in missed.causes if item.churns}
    assert {"nothing_could_be_done", "ignored", "no_signal"} <= found


def test_a_report_of_then_tells_nothing_that_came_later(project: Path) -> None:
    data = told_of(project, datetime(2024, 12, 9))
    record = data.trust.record("churn")
    assert record is not None
    # The book of July is over on 19 November; that of October is not.
    assert [book.as_of for book in record.books] == [date(2024, 6, 3), date(2024, 7, 8)]
    assert data.trust.missed is not None
    assert all(item.miss.churned_at < datetime(2024, 12, 9) for item in data.trust.missed.first)
