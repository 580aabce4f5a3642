"""One more day of events gives the snapshot that reading the whole log gives: bit for bit, day after day,
and without a look at what is older."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from churnml.config import parse_config
from churnml.features.spec import FAMILIES
from churnml.sources.workspace import Workspace
from churnml.stages.build import Built, build, open_tables
from churnml.stages.carry import Reading, open_newest
from churnml.stages.project import Project

sys.path.insert(0, str(Path(__file__).parents[1] / "oracle"))
import company

FIRST = pd.Timestamp("2024-07-01")
DAYS = (1, 3, 13)
ONE_DAY = pd.Timedelta(days=1)


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

    def newest(self) -> tuple[Built, Reading]:
        with open_newest(self.project) as (workspace, reading):
            return self.built(workspace), reading

    def read_whole(self) -> Built:
        with open_tables(self.project) as workspace:
            return self.built(workspace)

    def built(self, workspace: Workspace) -> Built:
        return build(workspace, self.project.config, (workspace.data_through,), FAMILIES)


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


@pytest.fixture(params=sorted(KINDS))
def grown(request: pytest.FixtureRequest, tmp_path: Path) -> Company:
    """A company on its first day, with the carry that this day's run has left."""
    made = make(tmp_path, request.param)
    made.until(FIRST)
    first, reading = made.newest()
    assert reading.why == "no earlier run has left a carry"
    assert reading.read == reading.of
    assert len(first.frame) > 5
    return made


def test_each_new_day_equals_the_full_build_bit_for_bit(grown: Company) -> None:
    before = FIRST
    for days in DAYS:
        day = FIRST + days * ONE_DAY
        grown.until(day, before)
        incremental, reading = grown.newest()
        assert reading.why is None, reading.sentence()
        assert reading.read < reading.of
        assert_same(incremental, grown.read_whole())
        before = day
    assert reading.of == (grown.tables["events"]["known_at"] < before).sum()
