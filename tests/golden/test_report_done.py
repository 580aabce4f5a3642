"""Every number of what was done, from the store's own tables and the raw subscriptions by SQL of its own."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from tests.golden.base_company import AS_OF, write_company

from churnml.actions.record import ActionEvent, ActionRow, Change
from churnml.report.done import Done
from churnml.stages.actions import export_interventions
from churnml.stages.project import open_project
from churnml.stages.report import report_data
from churnml.store.store import open_store, sqlite_url

SQL = Path(__file__).parent / "report_sql" / "done.sql"
COUNTS = ("opened", "taken", "done", "dismissed", "escalated", "recovered")
ACCOUNTS = 60


def _changes() -> list[Change]:
    """Some actions of each account, and what became of them; every third account is held out."""
    rng = np.random.default_rng(11)
    changes: list[Change] = []
    for number in range(ACCOUNTS):
        held = number % 3 == 0
        opened = AS_OF - timedelta(days=float(rng.integers(300, 420)))
        for turn in range(6):
            play = ("fading_usage", "renewal_ahead", "seat_saturation_upsell", "get_data")[
                rng.integers(4)
            ]
            target = "expansion" if play.startswith("seat") else "churn"
            tells = target == "churn"
            row = ActionRow(
                f"{number:02d}-{turn}", f"a{number:02d}", play, f"time {turn}", target, "open",
                "held_out" if held else "treated", 1.0 if number % 10 == 9 else 0.7, "csm", "ana",
                opened, opened + timedelta(days=7), opened + timedelta(days=60) if tells else None,
                opened, 0.3, "high", (),
            )  # fmt: skip
            changes += _story(rng, row, held)
            opened += timedelta(days=float(rng.integers(50, 90)), hours=float(rng.integers(0, 24)))
            if opened > AS_OF + timedelta(days=10):
                break
    return changes


def _story(rng: np.random.Generator, row: ActionRow, held: bool) -> list[Change]:
    def at(days: float) -> datetime:
        return row.opened_at + timedelta(days=days)

    story = [
        Change(row, ActionEvent(row.action_id, row.account_id, "opened", "", row.opened_at, ""))
    ]

    def then(days: float, kind: str, period: str = "", detail: str = "", **moved: Any) -> None:
        after = replace(story[-1].action, **moved)
        told = ActionEvent(row.action_id, row.account_id, kind, period, at(days), detail)
        story.append(Change(after, told))

    way = int(rng.integers(0, 7))
    if row.recover_by is not None and rng.random() < 0.5:
        then(25, "recovered", recovery="recovered", recovered_at=at(25))
    if held:
        then(49, "closed", detail="observed", state="closed", closed_at=at(49), outcome="observed")
    elif way < 2:
        then(3 + way / 4, "judged", detail="high", judgement="high")
        then(9, "closed", detail="renewed", state="closed", closed_at=at(9), outcome="renewed")
    elif way == 2:
        then(5, "closed", detail="talked", state="closed", closed_at=at(5), outcome="talked")
    elif way == 3:
        then(40, "closed", detail="lapsed", state="closed", closed_at=at(40), outcome="lapsed")
    elif way == 4:
        then(6, "dismissed", detail="no", state="dismissed", closed_at=at(6), outcome="dismissed")
    else:
        then(8, "escalated", "1", level=1, state="escalated")
        then(15, "escalated", "2", level=2)
        # Left open for as long as no later action of the same play may stand in its way.
        then(
            48, "closed", detail="left_book", state="closed", closed_at=at(48), outcome="left_book"
        )
    return story


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = write_company(tmp_path_factory.mktemp("done") / "company", ACCOUNTS)
    store = open_store(sqlite_url((project / "store.db").resolve()))
    with store.actions.changing() as pen:
        pen.write(_changes())
    store.close()
    return project


def told_of(project: Path) -> Done:
    told = report_data(open_project(project), "en", as_of=AS_OF).done
    assert told is not None
    return told


@pytest.fixture(scope="module")
def done(project: Path) -> Done:
    return told_of(project)


class Rows:
    """The store's actions and the raw subscriptions in a database of their own."""

    def __init__(self, project: Path):
        self.connection = duckdb.connect()
        self.connection.execute(f"set variable as_of = timestamp '{AS_OF}'")
        store = sqlite3.connect(project / "store.db")
        times = {"at", "opened_at", "due_at", "recover_by", "closed_at", "recovered_at"}
        kinds_of = {"propensity": "double"}
        for table in ("actions", "action_events"):
            found = store.execute(f"select * from {table}")
            names = [column[0] for column in found.description]
            kinds = ", ".join(
                f'"{name}" ' + ("timestamp" if name in times else kinds_of.get(name, "varchar"))
                for name in names
            )
            self.connection.execute(f"create table {table} ({kinds})")
            marks = ", ".join("?" for _ in names)
            self.connection.executemany(f"insert into {table} values ({marks})", found.fetchall())
        store.close()
        file = project / "data" / "subscriptions.parquet"
        self.connection.execute(f"create view raw_subscriptions as from '{file}'")
        self.connection.execute(SQL.read_text())

    def ask(self, what: str) -> list[dict[str, Any]]:
        found = self.connection.execute(f"select * from {what}")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


@pytest.fixture(scope="module")
def rows(project: Path) -> Rows:
    return Rows(project)


def test_the_quarter_and_the_one_before_count_the_same_days(done: Done, rows: Rows) -> None:
    # 1 April to 18 May, and the 48 days from 1 January on.
    assert done.before is not None
    for told, since, until in (
        (done.quarter, "2025-04-01", "2025-05-19"),
        (done.before, "2025-01-01", "2025-02-18"),
    ):
        (counted,) = rows.ask(f"counts(timestamp '{since}', timestamp '{until}')")
        assert {name: getattr(told, name) for name in COUNTS} == counted
        assert min(counted.values()) > 0


def test_each_play_stands_as_its_actions_do(done: Done, rows: Rows) -> None:
    counted = {row.pop("play"): row for row in rows.ask("plays")}
    assert {play.play for play in done.plays} == set(counted)
    for play in done.plays:
        row = counted[play.play]
        assert {name: getattr(play, name) for name in row} == {
            **row, "median_days": pytest.approx(row["median_days"])
        }  # fmt: skip
        assert (play.recovered is None) == (play.play == "seat_saturation_upsell")
    assert any(play.overdue for play in done.plays)


@pytest.mark.parametrize(("outcome", "view"), [("left", "arms"), ("recovered", "arms_recovered")])
def test_the_arms_are_those_of_each_accounts_first_draw(
    done: Done, rows: Rows, outcome: str, view: str
) -> None:
    counted = {row["arm"]: row for row in rows.ask(view)}
    (told,) = (one.found for one in done.compared if one.outcome == outcome and not one.play)
    for arm, name in ((told.treated, "treated"), (told.held_out, "held_out")):
        assert (arm.accounts, arm.happened) == (
            counted[name]["accounts"],
            counted[name]["happened"],
        )
        assert arm.share == pytest.approx(arm.happened / arm.accounts)
    assert told.difference == pytest.approx(told.held_out.share - told.treated.share)
    assert told.treated.happened


def test_the_log_fed_back_as_a_table_changes_no_number(done: Done, project: Path) -> None:
    file = project / "data" / "interventions.parquet"
    export_interventions(open_project(project), file)
    try:
        again = told_of(project)
    finally:
        file.unlink()
    assert again.quarter == replace(done.quarter, interventions=0)
    assert again.compared == done.compared
    assert again.still == done.still
