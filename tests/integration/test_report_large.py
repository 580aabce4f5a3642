"""The report of a company of 10,000 accounts: its money by SQL of its own, and its size.

The golden tests look up each day of a small company; here SQL that scales does, at the periods' ends."""

from __future__ import annotations

import shutil
import sqlite3
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.golden.test_report_movements import SQL
from tests.golden.test_report_trust import compare_drivers
from tests.integration.conftest import QUICKER

from churnml.report.data import ReportData
from churnml.report.movements import Flow
from churnml.report.render import render
from churnml.stages.project import open_project
from churnml.stages.report import report_data

pytestmark = pytest.mark.integration
ACCOUNTS, GRACE_DAYS, MOST_BYTES = 10_000, 30, 2_000_000


@pytest.fixture(scope="module")
def project(churnml: Any, walked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scored company, by the models of the small one."""
    folder = tmp_path_factory.mktemp("large")
    told = ("--accounts", ACCOUNTS, "--rollouts", 0, "--seed", 2)
    churnml("simulate", "--out", "data", *told, cwd=folder)
    churnml("init", ".", "--data", "data", cwd=folder)
    with (folder / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write(QUICKER)
    shutil.copytree(walked / "bundles", folder / "bundles")
    churnml("score", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def data(project: Path) -> ReportData:
    return report_data(open_project(project), "en")


def midnight(day: date | None) -> datetime:
    assert day is not None
    return datetime(day.year, day.month, day.day)


def test_every_period_begins_and_ends_with_what_the_subscriptions_say(
    project: Path, data: ReportData
) -> None:
    raw = duckdb.connect()
    raw.execute(
        f"set variable as_of = timestamp '{data.as_of}'; set variable grace_days = {GRACE_DAYS}; "
        f"create view raw_subscriptions as from '{project}/data/subscriptions.parquet'"
    )
    raw.execute((SQL / "large.sql").read_text())

    def paid(day: date) -> tuple[int, int]:
        found = raw.execute(
            "select coalesce(sum(mrr), 0), count(*) filter (where mrr > 0) from paid_on(?::timestamp)",
            [day],
        ).fetchall()
        mrr, accounts = found[0]
        return mrr, accounts

    told = data.movements
    flows: list[Flow] = [
        flow for flow in (told.to_date, told.before, told.year, *told.quarters) if flow is not None
    ]
    assert len(flows) == 9
    for flow in flows:
        assert (flow.start, flow.accounts) == paid(flow.first - timedelta(days=1)), flow.first
        assert flow.end == paid(flow.last)[0], flow.last
        assert flow.start + sum(flow.moves.values()) == flow.end
    assert flows[0].accounts > ACCOUNTS / 2


def test_what_is_at_risk_is_what_the_store_holds(project: Path, data: ReportData) -> None:
    store = sqlite3.connect(project / "store.db")
    rows = store.execute(
        "select count(*), sum(probability * mrr_minor), sum(probability), sum(mrr_minor) from score_rows "
        "where target = 'churn' and probability is not null"
    ).fetchall()
    store.close()
    accounts, at_risk, leaving, mrr = rows[0]
    outlook = data.quarter.outlook("churn")
    assert outlook is not None
    assert (outlook.accounts, outlook.mrr) == (accounts, mrr)
    assert outlook.expected_mrr == pytest.approx(at_risk, abs=0.5)  # half a cent
    assert outlook.expected_accounts == pytest.approx(leaving)
    assert accounts > ACCOUNTS / 2
    compare_drivers(data, project, midnight(data.as_of))


def test_the_page_stays_small(data: ReportData) -> None:
    assert len(render(data).encode()) < MOST_BYTES
