"""A table as it stood at a date, rows made late, and when a label's outcome came."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from churnml.config import CohortConfig, LedgerConfig, TargetConfig, parse_config
from churnml.snapshots.cohort import build_spine
from churnml.snapshots.labels import build_outcome_ledger, labels
from churnml.snapshots.late import late_and_absent
from churnml.snapshots.views import AsOfView
from churnml.sources.workspace import Workspace, altered, open_workspace

AS_OF = datetime(2024, 3, 1)
TABLES = {
    "accounts": [{"account_id": "A", "created_at": "2024-01-01"}],
    "events": [
        {"account_id": "A", "occurred_at": f"2024-0{month}-{day}", "event": "login"}
        for month in (1, 2, 3, 6)
        for day in range(11, 26)
    ],
    "subscriptions": [
        # Known on 20 February to end on 10 March: a cancellation in notice.
        ("core", "2024-01-01", "2024-03-10", "2024-02-20", None, 100),
        # Booked on 20 February, to start on 10 March.
        ("plus", "2024-03-10", None, None, "2024-02-20", 60),
        # Nobody knew of it before it began.
        ("late", "2024-04-01", "2024-05-01", None, None, 10),
    ],
    "tickets": [
        {"ticket_id": "T1", "opened_at": "2024-02-01", "closed_at": "2024-02-10", "csat": 5},
        {"ticket_id": "T2", "opened_at": "2024-02-25", "closed_at": "2024-03-05", "csat": 1},
        {"ticket_id": "T3", "opened_at": "2024-03-02", "closed_at": None, "csat": None},
    ],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    frames = {name: pd.DataFrame(rows) for name, rows in TABLES.items()}
    frames["tickets"]["account_id"] = "A"
    frames["subscriptions"] = pd.DataFrame(
        TABLES["subscriptions"],
        columns=["product", "started_at", "ended_at", "end_known_at", "known_at", "mrr"],
    ).assign(account_id="A")
    for name, frame in frames.items():
        for column in frame:
            if str(column).endswith("_at"):
                frame[column] = pd.to_datetime(frame[column])
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
    return open_workspace(parse_config('[source]\npath = "."'), tmp_path, {}, datetime(2026, 1, 1))


def stood(workspace: Workspace, table: str, wanted: str) -> list[tuple[object, ...]]:
    sql = AsOfView().stood_at(table, AS_OF)
    return workspace.query(f"select {wanted} from ({sql}) order by all")


def test_rows_and_values_that_had_not_come_are_gone(workspace: Workspace) -> None:
    assert stood(workspace, "events", "count(*)") == [(30,)]
    closed = datetime(2024, 2, 10)
    assert stood(
        workspace, "tickets", "ticket_id, closed_at, csat is null, closed_at_visible_at"
    ) == [
        ("T1", closed, False, closed),
        ("T2", None, True, None),
    ]


def test_what_was_booked_by_then_stays(workspace: Workspace) -> None:
    assert stood(workspace, "subscriptions", "product, ended_at") == [
        ("core", datetime(2024, 3, 10)),
        ("plus", None),
    ]


def test_a_table_that_stood_has_the_tables_own_columns(workspace: Workspace) -> None:
    for table in workspace.columns:
        told = workspace.connection.execute(f"describe {table}").fetchall()
        for sql in (AsOfView().stood_at(table, AS_OF), *late_and_absent(table, AS_OF)):
            assert workspace.connection.execute(f"describe {sql}").fetchall() == told


def test_late_rows_are_unseen_at_the_date_and_are_those_that_the_other_version_lacks(
    workspace: Workspace,
) -> None:
    late, absent = late_and_absent("events", AS_OF)
    seen = f"where greatest(occurred_at, known_at) <= timestamp '{AS_OF}' order by all"
    left = workspace.query(f"select occurred_at from ({absent}) {seen}")
    assert 10 < len(left) < 30
    assert workspace.query(f"select occurred_at from ({late}) {seen}") == left
    assert workspace.query(f"select count(*) from ({late})") == [(60,)]


def test_inside_altered_the_names_mean_other_rows_and_afterwards_their_own(
    workspace: Workspace,
) -> None:
    workspace.connection.execute("create table spine as select 1 as n")
    with altered(workspace, {"tickets": "select * from main.tickets where ticket_id = 'T1'"}):
        assert workspace.query("select count(*) from tickets") == [(1,)]
        assert workspace.query("select count(*) from events") == [(60,)]
        workspace.connection.execute("create or replace table spine as select 2 as n")
    assert workspace.query("select count(*) from tickets") == [(3,)]
    assert workspace.query("select n from spine") == [(1,)]


@pytest.mark.parametrize(
    ("target", "mode", "came"),
    [
        ("churn", "window_end", None),
        ("contraction", "window_end", datetime(2024, 3, 10)),  # it rose since, and is lower still
        ("contraction", "any_time", datetime(2024, 3, 10)),
        ("expansion", "any_time", datetime(2024, 4, 1)),
    ],
)
def test_a_label_says_when_its_outcome_came(
    workspace: Workspace, target: str, mode: str, came: datetime | None
) -> None:
    ledger = LedgerConfig(grace_days=0)
    connection = workspace.connection
    assert build_spine(connection, [AS_OF], ledger, CohortConfig(min_age_days=0)) == 1
    build_outcome_ledger(connection, workspace.data_through, ledger)
    declared = TargetConfig(lead_days=0, horizon_days=45, mode=mode)  # type: ignore[arg-type]
    row = labels(connection, target, declared, ledger, "net", workspace.data_through).iloc[0]
    assert row["label"] == (0.0 if came is None else 1.0)
    assert pd.isna(row["outcome_at"]) if came is None else row["outcome_at"] == came
