"""When a carry stands for the earlier log, and what is told when it cannot. Nothing here builds features."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from churnml.config import parse_config
from churnml.errors import ContractError
from churnml.sources.workspace import Workspace
from churnml.stages.carry import NAME, WHOLE_EVERY_DAYS, Reading, open_newest
from churnml.stages.project import Project

NOW = datetime(2025, 1, 1)
DAYS = 300
EVENTS = """
select 'A' || (i % 3) as account_id, timestamp '2024-01-01' + interval (i) hour as occurred_at,
    case i % 4 when 0 then 'login' else 'save' end as event, 'u' || (i % 7) as user_id,
    i % 5 = 0 as is_automated, timestamp '2024-01-01' + interval (i) hour as known_at
from range({start}, {stop}) as t (i)
"""


def write(sql: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    duckdb.sql(sql).write_parquet(str(path))


def add_days(folder: Path, start: int, stop: int) -> None:
    """One file for each hundred days or rest of them."""
    sql = EVENTS.format(start=24 * start, stop=24 * stop)
    write(sql, folder / f"data/events/{start:03d}.parquet")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write(
        "select 'A' || i as account_id, date '2024-01-01' as created_at from range(3) as t (i)",
        tmp_path / "data/accounts.parquet",
    )
    write(
        "select 'A' || i as account_id, date '2024-01-01' as started_at, 100 as mrr "
        "from range(3) as t (i)",
        tmp_path / "data/subscriptions.parquet",
    )
    for start in (0, 100, 200):
        add_days(tmp_path, start, start + 100)
    return Project(tmp_path, parse_config("[source]\npath = 'data'"), {}, NOW)


def read(
    project: Project,
    as_of: datetime | None = None,
    whole: bool = False,
    look: Callable[[Workspace], object] = lambda workspace: None,
) -> Reading:
    with open_newest(project, as_of, whole) as (workspace, reading):
        look(workspace)
    return reading


def test_the_second_run_reads_what_is_new_and_leaves_the_old_files_shut(project: Project) -> None:
    assert read(project).why == "no earlier run has left a carry"
    add_days(project.folder, DAYS, DAYS + 1)
    # As large and as old as before, and no Parquet any more: whoever opens it falls over it.
    old = project.folder / "data/events/000.parquet"
    at = old.stat()
    old.write_bytes(b"x" * at.st_size)
    os.utime(old, ns=(at.st_atime_ns, at.st_mtime_ns))
    reading = read(project)
    assert reading.why is None
    assert reading.of == 24 * (DAYS + 1)
    assert 24 * 90 < reading.read < 24 * 150
    assert reading.sentence() == f"Read {reading.read:,} of 7,224 events; the others were carried."
    with pytest.raises(ContractError, match="events"):
        read(project, whole=True)


def test_of_a_file_that_is_opened_old_row_groups_are_passed_over(
    tmp_path: Path, project: Project
) -> None:
    for path in (tmp_path / "data/events").iterdir():
        path.unlink()
    sql = EVENTS.format(start=0, stop=24 * DAYS).strip()
    duckdb.execute(
        f"copy ({sql}) to '{tmp_path}/data/events/all.parquet' (format parquet, row_group_size 2048)"
    )
    read(project)
    told: list[str] = []

    def look(workspace: Workspace) -> None:
        told.append(workspace.query("explain analyze select count(event) from raw_events")[0][1])

    assert read(project, look=look).why is None
    scans = re.findall(r"Row Groups Scanned: (\d+) / (\d+)", told[0])
    assert len(scans) == 2  # of what occurred since, and of what was known late
    assert all(there == "4" and int(scanned) < 4 for scanned, there in scans)


def test_a_duckdb_file_gives_its_newest_rows_only(tmp_path: Path, project: Project) -> None:
    database = tmp_path / "log.duckdb"
    with duckdb.connect(str(database)) as connection:
        for name in ("accounts", "subscriptions"):
            connection.execute(f"create table {name} as from '{tmp_path}/data/{name}.parquet'")
        connection.execute(f"create table events as {EVENTS.format(start=0, stop=24 * DAYS)}")
    config = parse_config("[source]\nkind = 'duckdb'\npath = 'log.duckdb'")
    project = dataclasses.replace(project, config=config)
    read(project)
    reading = read(project)
    assert reading.why is None
    assert reading.read < reading.of == 24 * DAYS
    with duckdb.connect(str(database)) as connection:
        connection.execute("delete from events where occurred_at = timestamp '2024-01-02'")
    why = read(project).why
    assert why is not None
    assert "events are as old as those that are carried, were" in why
    assert read(project).why is None


def test_csv_files_whose_moments_carry_a_zone(project: Project) -> None:
    folder = project.folder / "data/events"
    for path in folder.iterdir():
        path.unlink()

    def deliver(start: int, stop: int, zone: str = "Z") -> None:
        moment = f"strftime(occurred_at, '%Y-%m-%dT%H:%M:%S{zone}')"
        sql = EVENTS.format(start=24 * start, stop=24 * stop)
        duckdb.sql(
            f"select * replace ({moment} as occurred_at, {moment} as known_at) from ({sql})"
        ).write_csv(str(folder / f"{start:03d}.csv"))

    deliver(0, 100)
    deliver(100, DAYS)
    read(project)
    deliver(DAYS, DAYS + 1)
    reading = read(project)
    assert reading.why is None
    assert reading.read < 24 * 150 < reading.of == 24 * (DAYS + 1)
    deliver(DAYS + 1, DAYS + 2, zone="")
    with pytest.raises(ContractError, match="carry a time zone"):
        read(project)


def test_the_carry_holds_first_and_last_days_and_no_id_of_a_user(project: Project) -> None:
    read(project)
    carry = str(project.artifacts / NAME)
    rows = duckdb.sql(
        f"select account_id, user_id, event, is_automated, count(*), min(occurred_at) from '{carry}' "
        "group by all"
    ).fetchall()
    assert max(times for *_, times, _ in rows) == 2
    assert min(first for *_, first in rows) == datetime(2024, 1, 1)
    assert all(user.startswith("~") and len(user) == 33 for _, user, *_ in rows)
    seen: list[set[str]] = []
    read(
        project,
        look=lambda w: seen.append({u for (u,) in w.query("select distinct user_id from events")}),
    )
    assert seen == [{f"u{i}" for i in range(7)}]


def rewrite(project: Project) -> Project:
    add_days(project.folder, 0, 99)
    return project


def remove(project: Project) -> Project:
    (project.folder / "data/events/000.parquet").unlink()
    return project


def backfill(project: Project) -> Project:
    write(EVENTS.format(start=0, stop=5), project.folder / "data/events/more.parquet")
    return project


def another_type(project: Project) -> Project:
    sql = EVENTS.format(start=24 * DAYS, stop=24 * DAYS + 9)
    write(
        f"select * replace ('yes' as is_automated) from ({sql})",
        project.folder / "data/events/new.parquet",
    )
    return project


def new_column(project: Project) -> Project:
    sql = EVENTS.format(start=24 * DAYS, stop=24 * DAYS + 9)
    write(f"select *, 1.5 as quantity from ({sql})", project.folder / "data/events/new.parquet")
    return project


def torn(project: Project) -> Project:
    (project.artifacts / NAME).write_bytes(b"PAR1 half a file")
    return project


def another_source(project: Project) -> Project:
    config = parse_config("[source]\npath = 'data'\n[tables.events]\nfile = 'events/*.parquet'")
    return dataclasses.replace(project, config=config)


def weeks_later(project: Project) -> Project:
    return dataclasses.replace(project, now=NOW + timedelta(days=WHOLE_EVERY_DAYS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rewrite, "events/000.parquet has changed, and holds events that were carried"),
        (remove, "events/000.parquet is gone from the log"),
        (backfill, "5 events of events/more.parquet are as old as those that are carried, were 0"),
        (another_type, "the column is_automated of the log reads as VARCHAR, was BOOLEAN"),
        (new_column, "the column quantity of the log is new"),
        (torn, "the carry cannot be read"),
        (
            another_source,
            "[source], [tables.events] or [privacy], or how churnml reads, has changed",
        ),
        (weeks_later, "the last time was 28 days ago or more"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_does_not_fit_is_read_whole_and_told_in_a_sentence(
    project: Project, change: Callable[[Project], Project], said: str
) -> None:
    read(project)
    changed = change(project)
    reading = read(changed)
    assert reading.why == said
    assert reading.read == reading.of
    assert read(changed).why is None  # the whole reading has left a new carry


def test_a_date_before_the_carry_is_read_whole(project: Project) -> None:
    read(project)
    why = read(project, as_of=datetime(2024, 8, 1)).why
    assert why == "the carry is of 2024-10-26, the snapshot of 2024-08-01"
    assert read(project, as_of=datetime(2024, 10, 26)).why is None


def test_an_account_that_is_gone_is_the_fault_that_the_whole_log_shows(project: Project) -> None:
    read(project)
    write(
        "select 'A' || i as account_id, date '2024-01-01' as created_at from range(2) as t (i)",
        project.folder / "data/accounts.parquet",
    )
    with pytest.raises(ContractError, match="accounts that the table accounts does not have"):
        read(project)


def test_a_wrong_new_row_is_told_as_ever_and_leaves_the_carry(project: Project) -> None:
    read(project)
    before = (project.artifacts / NAME).read_bytes()
    sql = EVENTS.format(start=24 * DAYS, stop=24 * DAYS + 9)
    write(f"select *, 'seen' as stage from ({sql})", project.folder / "data/events/new.parquet")
    with pytest.raises(ContractError, match="one of view, start, complete"):
        read(project)
    assert (project.artifacts / NAME).read_bytes() == before


def test_a_place_that_cannot_be_written_to_costs_the_carry_alone(project: Project) -> None:
    project.artifacts.write_text("a file where the folder should be")
    reading = read(project)
    assert reading.not_kept is not None
    assert "The next run reads all again" in reading.sentence()
    assert reading.read == reading.of == 24 * DAYS


def test_a_run_that_dies_while_it_writes_leaves_the_carry_as_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(project)
    before = (project.artifacts / NAME).read_bytes()
    add_days(project.folder, DAYS, DAYS + 1)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("churnml.stages.project.os.replace", die)
        with pytest.raises(KeyboardInterrupt):
            read(project)
    assert (project.artifacts / NAME).read_bytes() == before
    assert read(project).why is None


def test_two_runs_at_once_each_keep_to_the_carry_that_they_began_with(project: Project) -> None:
    read(project)
    add_days(project.folder, DAYS, DAYS + 20)
    counts: list[list[object]] = []

    def look(workspace: Workspace) -> None:
        count = "select count(*), min(occurred_at), max(occurred_at) from events"
        counts.append([workspace.query(count), None])
        read(project)  # another run replaces the carry meanwhile
        counts[-1][1] = workspace.query(count)

    assert read(project, look=look).why is None
    assert counts[0][0] == counts[0][1]
    assert not list(project.artifacts.glob(".*part"))
