"""The same company out of a folder, a partitioned folder or a DuckDB file is the same company."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from churnml.config import parse_config
from churnml.errors import ConfigError, ContractError, SourceError
from churnml.sources.workspace import Workspace, open_workspace
from churnml.stages.init import init_project

NOW = datetime(2025, 1, 1)
TABLES = {
    "accounts": "select * from (values ('A', date '2024-01-01'), ('B', date '2024-01-02')) "
    "as t (account_id, created_at)",
    "events": "select * from (values ('A', timestamp '2024-02-01 10:00:00', 'login', 60.5), "
    "('B', timestamp '2024-02-02 11:00:00', 'save', 1), "
    "('B', timestamp '2024-03-01 09:00:00', 'login', null)) "
    "as t (account_id, occurred_at, event, duration_s)",
    "subscriptions": "select * from (values ('A', date '2024-01-01', 100.25), "
    "('B', date '2024-01-02', 50)) as t (account_id, started_at, mrr)",
}


def rows(workspace: Workspace) -> dict[str, list[tuple[object, ...]]]:
    try:
        return {name: workspace.query(f"select * from {name} order by all") for name in TABLES}
    finally:
        workspace.close()


def opened(config: str, folder: Path, environment: Mapping[str, str] | None = None) -> Workspace:
    return open_workspace(parse_config(config), folder, environment or {}, NOW)


@pytest.fixture
def expected(tmp_path: Path) -> dict[str, list[tuple[object, ...]]]:
    folder = tmp_path / "plain"
    folder.mkdir()
    for name, sql in TABLES.items():
        duckdb.sql(sql).write_parquet(str(folder / f"{name}.parquet"))
    found = rows(opened("[source]\npath = 'plain'", tmp_path))
    assert found["events"][0][:2] == ("A", datetime(2024, 2, 1, 10))
    return found


def database(path: Path, schema: str = "main", tables: Mapping[str, str] = TABLES) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create schema if not exists {schema}")
        for name, sql in tables.items():
            connection.execute(f"create table {schema}.{name} as {sql}")
    return path


def test_a_log_partitioned_by_date_reads_as_one_table(
    tmp_path: Path, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    folder = tmp_path / "parted"
    folder.mkdir()
    for name, sql in TABLES.items():
        if name == "events":
            duckdb.sql(f"select *, cast(occurred_at as date) as day from ({sql})").write_parquet(
                str(folder / name), partition_by=["day"]
            )
        else:
            duckdb.sql(sql).write_csv(str(folder / f"{name}.csv"))
    assert len(list(folder.glob("events/day=*/*.parquet"))) == 3
    assert rows(opened("[source]\npath = 'parted'", tmp_path)) == expected


@pytest.mark.parametrize("schema", ["main", "mart"])
def test_a_duckdb_file(
    tmp_path: Path, expected: dict[str, list[tuple[object, ...]]], schema: str
) -> None:
    database(tmp_path / "w.duckdb", schema)
    config = f"[source]\nkind = 'duckdb'\npath = '${{WAREHOUSE}}'\nschema = '{schema}'"
    where = {"WAREHOUSE": str(tmp_path / "w.duckdb")}
    assert rows(opened(config, tmp_path, where)) == expected


def test_sql_over_a_duckdb_file_names_the_files_own_tables(
    tmp_path: Path, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    # The file's own `events` has another shape than the contract's: the SQL must still mean it.
    odd = TABLES | {
        "events": f"select account_id as who, * exclude account_id from ({TABLES['events']})"
    }
    database(tmp_path / "w.duckdb", tables=odd)
    config = (
        "[source]\nkind = 'duckdb'\npath = 'w.duckdb'\n"
        "[tables.events]\nsql = 'select who as account_id, * exclude who from events;'"
    )
    assert rows(opened(config, tmp_path)) == expected


def test_sql_may_end_with_a_comment(
    tmp_path: Path, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    database(tmp_path / "w.duckdb")
    config = (
        "[source]\nkind = 'duckdb'\npath = 'w.duckdb'\n"
        "[tables.events]\nsql = 'from events -- all (of them'"
    )
    assert rows(opened(config, tmp_path)) == expected


def test_sql_that_fails_is_one_fault(tmp_path: Path) -> None:
    database(tmp_path / "w.duckdb")
    config = (
        "[source]\nkind = 'duckdb'\npath = 'w.duckdb'\n[tables.users]\nsql = 'select * from people'"
    )
    with pytest.raises(ContractError) as error:
        opened(config, tmp_path)
    (fault,) = error.value.faults
    assert fault.table == "users"
    assert "people does not exist" in fault.sentence()


def test_init_writes_a_project_that_works_with_a_duckdb_file(
    tmp_path: Path, expected: dict[str, list[tuple[object, ...]]]
) -> None:
    warehouse = database(tmp_path / "w.duckdb")
    written, found, missing = init_project(tmp_path / "acme", str(warehouse))
    assert (found, missing) == (["accounts", "events", "subscriptions"], [])
    assert rows(opened(written.read_text(encoding="utf-8"), tmp_path / "acme")) == expected
    (tmp_path / "notes.txt").write_text("no database")
    with pytest.raises(SourceError, match=r"notes\.txt: cannot be opened"):
        init_project(tmp_path / "other", str(tmp_path / "notes.txt"))
    assert not (tmp_path / "other").exists()


def test_no_file_no_database_no_schema(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"w\.duckdb: no such file"):
        opened("[source]\nkind = 'duckdb'\npath = 'w.duckdb'", tmp_path)
    (tmp_path / "w.duckdb").write_text("account_id,created_at\n" * 1000)
    with pytest.raises(SourceError, match="Expected a DuckDB file"):
        opened("[source]\nkind = 'duckdb'\npath = 'w.duckdb'", tmp_path)
    database(tmp_path / "good.duckdb")
    with pytest.raises(SourceError, match=r"no schema mart with tables\. Expected one of: main"):
        opened("[source]\nkind = 'duckdb'\npath = 'good.duckdb'\nschema = 'mart'", tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("[source]\nurl = 'postgresql://db'", "`url` is for"),
        ("[source]\nschema = 'mart'", "`schema` is for"),
        ("[source]\nkind = 'postgres'\nurl = 'postgresql://db'\npath = 'x'", "`path` is for"),
        ("[source]\nkind = 'oracle'", "source.kind"),
        ("[source]\nkind = 'duckdb'\n[tables.events]\nfile = 'e.csv'", "has no files"),
    ],
)
def test_keys_that_do_not_fit_the_kind(config: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(config)
