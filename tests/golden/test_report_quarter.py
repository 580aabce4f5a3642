"""Every number of the quarter, from the stored scores and the raw tables by SQL of its own."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

import orjson
import pytest
from tests.golden.report_company import QUARTER, score_company, write_company
from tests.golden.test_report_movements import SQL, Days, told_of

from churnml.report.data import ReportData
from churnml.report.render import render

DECLARED = 0.25  # [value] contraction_share and expansion_share: past moves are too few


def days_of(project: Path) -> Days:
    """The days, and beside them the scores as the store's own file has them."""
    days = Days(project)
    store = sqlite3.connect(project / "store.db")
    newest = store.execute("select max(as_of) from scoring_runs").fetchone()[0]
    rows = store.execute(
        "select r.as_of < ?, s.account_id, s.target, s.probability, s.mrr_minor, s.play, s.reasons "
        "from score_rows s join scoring_runs r on r.sequence = s.sequence",
        (newest,),
    ).fetchall()
    store.close()
    days.connection.execute(
        "create table scored (older boolean, account_id varchar, target varchar, chance double, "
        "mrr bigint, play varchar)"
    )
    days.connection.execute(
        "create table raised (older boolean, account_id varchar, target varchar, driver varchar, pull double)"
    )
    for *told, reasons in rows:
        days.connection.execute("insert into scored values (?, ?, ?, ?, ?, ?)", told)
        for reason in orjson.loads(reasons):
            pull = 0 if reason["protective"] else reason["contribution"]
            days.connection.execute(
                "insert into raised values (?, ?, ?, ?, ?)", [*told[:3], reason["driver"], pull]
            )
    days.connection.execute(f"set variable first = date '{QUARTER:%Y-%m-%d}'")
    days.connection.execute((SQL / "quarter.sql").read_text())
    return days


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_company(tmp_path_factory.mktemp("scored"))
    score_company(project)
    return project


@pytest.fixture(scope="module")
def data(project: Path) -> ReportData:
    return told_of(project)


@pytest.fixture(scope="module")
def days(project: Path) -> Days:
    return days_of(project)


def test_the_expected_churn_and_its_change_are_those_of_the_scores(
    data: ReportData, days: Days
) -> None:
    (told,) = days.ask("select * from change_parts")
    outlook, change = data.quarter.outlook("churn"), data.quarter.change
    assert outlook is not None
    assert change is not None
    assert outlook.expected_mrr == pytest.approx(told["expected"])
    assert change.expected == pytest.approx(told["expected"])
    assert change.expected_before == pytest.approx(told["expected_before"])
    assert change.mix == pytest.approx(told["mix"])
    assert change.behaviour == pytest.approx(told["moved"])
    assert change.model == 0
    assert sum(change.parts.values()) == pytest.approx(change.whole, abs=1e-6)
    assert (change.came, change.gone, change.stayed) == (told["came"], told["gone"], told["stayed"])
    assert min(change.came, change.gone, change.stayed) > 0


def test_contraction_and_expansion_are_chances_of_those_who_stay_times_the_size(
    data: ReportData, days: Days
) -> None:
    sizes = {row["target"]: row for row in days.ask("select * from own_sizes")}
    for target in ("contraction", "expansion"):
        move = data.quarter.move(target)
        assert move is not None
        told = {
            row["older"]: row
            for row in days.ask(f"select * from expected where target = '{target}'")
        }
        assert (move.size.moves, move.size.share) == (sizes[target]["moves"], DECLARED)
        assert move.size.assumed
        assert move.accounts == pytest.approx(told[False]["accounts"])
        assert move.change == pytest.approx(DECLARED * told[False]["mrr"])
        assert move.before == pytest.approx(DECLARED * told[True]["mrr"])
        assert move.low < move.change < move.high


def test_grr_and_nrr_are_expected_over_every_way_that_an_account_can_go(
    data: ReportData, days: Days
) -> None:
    (told,) = days.ask(f"select * from forecast({DECLARED}, {DECLARED})")
    ahead = data.quarter.retention
    assert ahead is not None
    assert ahead.until == date(2025, 8, 31)
    for name in ("mrr", "accounts", "unscored_accounts", "unscored_mrr"):
        assert getattr(ahead, name) == told[name], name
    assert ahead.grr == pytest.approx(told["grr"])
    assert ahead.nrr == pytest.approx(told["nrr"])
    assert ahead.grr_low < ahead.grr < ahead.grr_high
    assert ahead.nrr_low < ahead.nrr < ahead.nrr_high


def test_behind_each_number_stand_the_driver_and_the_play_with_most_of_it(
    data: ReportData, days: Days
) -> None:
    days.connection.execute((SQL / "behind.sql").read_text().format(share=DECLARED))
    for name, targets in (
        ("churn", "'churn'"),
        ("contraction", "'contraction'"),
        ("grr", "'churn', 'contraction'"),
        ("nrr", "'churn', 'contraction', 'expansion'"),
    ):
        told = data.quarter.behind[name]
        for column, found in (
            ("driver", (told.driver, told.driver_share)),
            ("play", (told.play, told.play_share)),
        ):
            (row,) = days.ask(
                f"select name, sum(part) / (select sum(weight) from weighed where target in ({targets})) as part "
                f"from behind_{column} where target in ({targets}) group by name order by part desc limit 1"
            )
            assert found == (row["name"], pytest.approx(row["part"])), (name, column)
        assert told.action


def test_the_quarter_and_the_drivers_give_one_driver_one_share(data: ReportData) -> None:
    told, (first, *_) = data.quarter.behind["churn"], data.drivers.risks
    assert (told.driver, told.driver_share) == (
        first.driver,
        pytest.approx(first.mrr_at_risk / data.drivers.mrr_at_risk),
    )


def test_the_churn_rate_costs_what_leaves_each_month_at_both_sizes(
    data: ReportData, days: Days
) -> None:
    (told,) = days.ask(
        "select sum(mrr) / 100 as mrr, 1 - pow(1 - sum(leaves * mrr) / sum(mrr), 365.25 / 12 / 90) as rate "
        "from chances where not older"
    )
    assert data.quarter.churn_rate == pytest.approx(told["rate"])
    for cost, times in zip(data.quarter.costs, (1, 10), strict=True):
        assert cost.mrr == pytest.approx(times * told["mrr"])
        assert cost.new_per_month == pytest.approx(cost.mrr * told["rate"])
        assert cost.lost_in_a_year == pytest.approx(cost.mrr * (1 - (1 - told["rate"]) ** 12))


def test_without_a_book_of_before_the_quarter_one_line_says_what_it_would_need(
    tmp_path: Path,
) -> None:
    project = write_company(tmp_path)
    score_company(project, older=False)
    data = told_of(project)
    assert data.quarter.change is None
    assert data.quarter.move("contraction").before is None  # type: ignore[union-attr]
    assert "Needs a book scored on 1 April 2025 or before" in render(data)


def test_a_model_that_cannot_score_the_older_book_leaves_two_parts_unsplit(
    tmp_path: Path,
) -> None:
    project = write_company(tmp_path)
    score_company(project, version="v2")
    data = told_of(project)
    change = data.quarter.change
    assert change is not None
    assert set(change.parts) == {"mix", "unsplit"}
    assert sum(change.parts.values()) == pytest.approx(change.whole, abs=1e-6)
    assert sum(change.shown().values()) == change.shown_whole
    assert "the two are not told apart" in render(data)
