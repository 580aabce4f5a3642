"""One more day of events gives the snapshot that reading the whole log gives: bit for bit, day after day,
and without a look at what is older."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from churnml.config import parse_config
from churnml.features.engine_evidence import account_evidence
from churnml.features.evidence import Evidence
from churnml.features.horizon import kept_columns
from churnml.features.spec import FAMILIES
from churnml.snapshots.carry import read_papers
from churnml.sources.workspace import Workspace
from churnml.stages.build import Built, build, open_tables
from churnml.stages.carry import NAME, Reading, open_newest
from churnml.stages.project import Project

sys.path.insert(0, str(Path(__file__).parents[1] / "oracle"))
import company

FIRST = pd.Timestamp("2024-07-01")
ONE_DAY = pd.Timedelta(days=1)
Look = Callable[[Workspace], Any]


@dataclass
class Company:
    """A project whose tables grow. `deliver` adds the rows that were known in [since, until)."""

    project: Project
    tables: dict[str, pd.DataFrame]
    deliver: Callable[[Path, pd.DataFrame, pd.Timestamp], None]

    def until(self, day: pd.Timestamp, since: pd.Timestamp | None = None) -> None:
        events = self.tables["events"]
        known = events["known_at"]
        new = events[(known < day) & ((known >= since) if since is not None else True)]
        self.deliver(self.project.folder, new, day)

    def newest(self, look: Look) -> tuple[Any, Reading]:
        with open_newest(self.project) as (workspace, reading):
            return look(workspace), reading

    def read_whole(self, look: Look) -> Any:
        with open_tables(self.project) as workspace:
            return look(workspace)

    def built(self, workspace: Workspace) -> Built:
        return build(workspace, self.project.config, (workspace.data_through,), FAMILIES)

    def log(self, workspace: Workspace) -> dict[str, object]:
        """All that features can see of the log: since the cut each event, of the rest the edges."""
        cut = f"timestamp '{read_papers(self.project.artifacts / NAME).cut}'"
        through = f"timestamp '{workspace.data_through}'"
        kept = ", ".join(kept_columns())
        return {
            "since": workspace.query(f"from events where occurred_at > {cut} order by all"),
            "edges": workspace.query(
                f"select {kept}, min(occurred_at), max(occurred_at) from events "
                f"where occurred_at <= {cut} and known_at <= {through} group by all order by all"
            ),
            "unknown": workspace.query(f"from events where known_at > {through} order by all"),
            "times": (workspace.data_through, workspace.first_event_at),
            "columns": workspace.columns,
            "meanings": workspace.meanings,
        }

    def evidence(self, workspace: Workspace) -> dict[str, Evidence]:
        self.built(workspace)
        return account_evidence(workspace.connection, workspace.columns, workspace.meanings)


def tables(seed: int) -> dict[str, pd.DataFrame]:
    found = company.tables(seed, accounts=12)
    events = found["events"]
    rng = np.random.default_rng(seed)
    # Known half a year late, in the days that follow; nobody of A03 came for months; A05 is new.
    old = events.index[events["occurred_at"] < FIRST - pd.Timedelta(days=110)]
    late = rng.choice(old, 40, replace=False)
    hours = pd.to_timedelta(rng.integers(1, 24 * 12, 40), unit="h")
    events.loc[late, "known_at"] = FIRST + hours
    events = events[
        (events.account_id != "A03") | (events.occurred_at < pd.Timestamp("2024-02-20"))
    ]
    began = FIRST + pd.Timedelta(days=2)
    events = events[(events.account_id != "A05") | (events.occurred_at >= began)]
    found["events"] = events
    accounts = found["accounts"]
    accounts.loc[accounts.account_id == "A05", "created_at"] = FIRST
    return found


def to_parquet(folder: Path, new: pd.DataFrame, day: pd.Timestamp) -> None:
    for month, rows in new.groupby(new["occurred_at"].dt.strftime("%Y-%m")):
        part = folder / f"data/events/month={month}"
        part.mkdir(parents=True, exist_ok=True)
        rows.to_parquet(part / f"{day:%Y-%m-%d}.parquet", index=False)


def to_csv(folder: Path, new: pd.DataFrame, day: pd.Timestamp) -> None:
    (folder / "data/events").mkdir(exist_ok=True)
    for month, rows in new.groupby(new["occurred_at"].dt.strftime("%Y-%m")):
        rows.to_csv(folder / f"data/events/{month}-{day:%Y-%m-%d}.csv", index=False)


def to_duckdb(folder: Path, new: pd.DataFrame, day: pd.Timestamp) -> None:
    with duckdb.connect(str(folder / "company.duckdb")) as connection:
        connection.execute("create table if not exists events as from new limit 0")
        connection.execute("insert into events from new")


KINDS = {"parquet": to_parquet, "csv": to_csv, "duckdb": to_duckdb}


def make(folder: Path, kind: str, seed: int = 1) -> Company:
    found = tables(seed)
    small = {name: table for name, table in found.items() if name != "events"}
    source = "[source]\npath = 'data'\n"
    if kind == "duckdb":
        source = "[source]\nkind = 'duckdb'\npath = 'company.duckdb'\n"
        folder.mkdir(exist_ok=True)
        with duckdb.connect(str(folder / "company.duckdb")) as connection:
            for name, table in small.items():
                connection.register("given", table)
                connection.execute(f"create table {name} as from given")
                connection.unregister("given")
    else:
        company.write(small, folder / "data")
    config = parse_config(source + "[cohort]\nmin_age_days = 0\n")
    return Company(Project(folder, config, {}, datetime(2025, 1, 1)), found, KINDS[kind])


def assert_same(left: Built, right: Built) -> None:
    assert left.features == right.features
    assert left.dates == right.dates
    for mine, theirs in ((left.frame, right.frame), (left.context, right.context)):
        pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        for name in mine.select_dtypes("float64"):
            assert np.array_equal(
                mine[name].to_numpy().view(np.int64), theirs[name].to_numpy().view(np.int64)
            ), f"{name} differs in its bits"


def begun(folder: Path, kind: str) -> Company:
    """A company on its first day, with the carry that this day's run has left."""
    made = make(folder, kind)
    made.until(FIRST)
    _, reading = made.newest(lambda workspace: None)
    assert reading.why == "no earlier run has left a carry"
    assert reading.read == reading.of
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_each_new_day_shows_the_log_that_reading_all_shows(tmp_path: Path, kind: str) -> None:
    made, before = begun(tmp_path, kind), FIRST
    for days in (1, 2, 6, 13):
        day = FIRST + days * ONE_DAY
        made.until(day, before)
        seen, reading = made.newest(made.log)
        assert reading.why is None, reading.sentence()
        assert reading.read < reading.of
        whole = made.read_whole(made.log)
        assert len(whole["edges"]) > 50
        assert seen == whole
        before = day
    assert reading.of == (made.tables["events"]["known_at"] < before).sum()


def test_every_feature_is_that_of_the_full_build_bit_for_bit_day_after_day(tmp_path: Path) -> None:
    made, before = begun(tmp_path, "parquet"), FIRST
    for days in (1, 13):
        day = FIRST + days * ONE_DAY
        made.until(day, before)
        incremental, reading = made.newest(made.built)
        assert reading.why is None, reading.sentence()
        assert len(incremental.frame) > 5
        assert_same(incremental, made.read_whole(made.built))
        before = day


def test_evidence_is_that_of_the_full_build_day_after_day(tmp_path: Path) -> None:
    made, before = begun(tmp_path, "parquet"), FIRST
    for days in (1, 6, 13):
        day = FIRST + days * ONE_DAY
        made.until(day, before)
        incremental, reading = made.newest(made.evidence)
        assert reading.why is None, reading.sentence()
        assert incremental == made.read_whole(made.evidence)
        never = [one for one in incremental.values() if "never" in one.get("modules", {})]
        silent = [role for one in incremental.values() for role in one.get("roles", {}).values()]
        assert never
        assert any(role.get("silent_days") is not None for role in silent)
        before = day
