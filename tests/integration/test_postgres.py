"""A real PostgreSQL server as the source: the same tables as from files, and errors for people."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from adbc_driver_postgresql import dbapi
from tests.integration.postgres import Postgres

from churnml.config import parse_config
from churnml.errors import ContractError, SourceError
from churnml.features.catalog import CATALOG
from churnml.features.horizon import horizon_days
from churnml.serve.launch import free_port
from churnml.sources.workspace import Workspace, open_workspace
from churnml.stages.carry import open_newest
from churnml.stages.project import Project

NOW = datetime(2025, 1, 1)
EVENTS = 3_000
STATEMENTS = (
    "create table accounts (account_id text primary key, created_at date, employee_count int)",
    "insert into accounts select 'A' || i, date '2024-01-01' + i, 10 * i "
    "from generate_series(1, 5) i",
    "create table events (account_id text, occurred_at timestamptz, event text, duration_s "
    "numeric(10, 3), user_id uuid, is_automated boolean)",
    f"insert into events select 'A' || (i % 5 + 1), timestamptz '2024-02-01 10:00+09' + i * "
    "interval '7 minutes', case i % 3 when 0 then 'login' else 'save' end, "
    "case when i % 10 > 0 then i / 8.0 end, md5((i % 40)::text)::uuid, i % 50 = 0 "
    f"from generate_series(1, {EVENTS}) i",
    "create schema billing",
    "create table billing.contracts (customer text, start date, cents bigint, plan varchar(20))",
    "insert into billing.contracts select 'A' || i, date '2024-01-01' + i, 9999 * i, 'team' "
    "from generate_series(1, 5) i",
    "create schema grown",
    "create table grown.accounts as select * from accounts",
    "create table grown.subscriptions as select 'A' || i as account_id, date '2024-01-01' as "
    "started_at, 100 as mrr from generate_series(1, 5) i",
    "create table grown.events as select 'A' || (i % 5 + 1) as account_id, timestamptz "
    "'2024-01-01+00' + i * interval '1 hour' as occurred_at, 'login' as event, timestamptz "
    "'2024-01-01+00' + i * interval '1 hour' as known_at from generate_series(0, 7199) i",
)
CONFIG = '''
[source]
kind = "postgres"
url = "postgresql://churnml:${DATABASE_PASSWORD}@127.0.0.1:{port}/warehouse"
[tables.subscriptions]
sql = """
select customer as account_id, start as started_at, cents / 100.0 as mrr, plan as product
from billing.contracts
"""
'''


@pytest.fixture(scope="module")
def port(postgres: Postgres) -> int:
    postgres.make("warehouse")
    url = f"postgresql://churnml:told-to-nobody@127.0.0.1:{postgres.port}/warehouse"
    with dbapi.connect(url) as database, database.cursor() as cursor:
        for statement in STATEMENTS:
            cursor.execute(statement)
        database.commit()
    return postgres.port


def opened(port: int, config: str = CONFIG, password: str = "told-to-nobody") -> Workspace:
    declared = parse_config(config.replace("{port}", str(port)))
    return open_workspace(declared, Path(), {"DATABASE_PASSWORD": password}, NOW)


def test_tables_read_as_the_contract_says(port: int) -> None:
    workspace = opened(port)
    try:
        assert workspace.query("select count(*) from events") == [(EVENTS,)]
        # 10:07 in Tokyo is 01:07 in UTC; numerics are exact; a uuid is a text; null stays null.
        assert workspace.query(
            "select account_id, occurred_at, event, duration_s, user_id, is_automated "
            "from events order by occurred_at limit 1"
        ) == [("A2", datetime(2024, 2, 1, 1, 7), "save", 125, _uuid(1), False)]
        assert workspace.query("select count(*) from events where duration_s is null") == [
            (EVENTS // 10,)
        ]
        assert workspace.query("select account_id, mrr from subscriptions order by 1") == [
            (f"A{i}", 9_999 * i) for i in range(1, 6)
        ]
        assert workspace.columns["accounts"] == {"account_id", "created_at", "employee_count"}
    finally:
        workspace.close()


def test_a_second_run_fetches_the_newest_and_the_late_rows_only(port: int, tmp_path: Path) -> None:
    config = parse_config(
        CONFIG.split("[tables")[0].replace("{port}", str(port)) + 'schema = "grown"\n'
    )
    project = Project(tmp_path, config, {"DATABASE_PASSWORD": "told-to-nobody"}, NOW)
    with open_newest(project) as (workspace, reading):
        assert reading.why == "no earlier run has left a carry"
        first = workspace.first_event_at
    url = f"postgresql://churnml:told-to-nobody@127.0.0.1:{port}/warehouse"
    with dbapi.connect(url) as database, database.cursor() as cursor:
        cursor.execute(
            "insert into grown.events values ('A1', '2024-01-05 06:00+00', 'login', "
            "'2024-10-27 12:00+00'), ('A2', '2024-10-28 13:00+00', 'login', '2024-10-28 13:00+00')"
        )
        database.commit()
    with open_newest(project) as (workspace, reading):
        assert reading.why is None, reading.sentence()
        (fetched,) = workspace.query("select count(*) from read_events")[0]
        newest = 24 * (horizon_days(CATALOG) + 2)  # an event an hour; both ends are begun days
        assert reading.read <= fetched <= newest < reading.of == 7_202
        assert workspace.first_event_at == first
        assert workspace.data_through == datetime(2024, 10, 28)
        late = "select count(*) from events where known_at > occurred_at + interval 200 day"
        assert workspace.query(late) == [(1,)]
    with dbapi.connect(url) as database, database.cursor() as cursor:
        cursor.execute("delete from grown.events where occurred_at = '2024-01-03 00:00+00'")
        database.commit()
    with open_newest(project) as (_, reading):
        assert reading.why is not None
        assert "events are as old as those that are carried" in reading.why


def _uuid(number: int) -> str:
    (found,) = duckdb.sql(f"select cast(cast(md5('{number}') as uuid) as varchar)").fetchall()
    return str(found[0])


def test_a_wrong_password_is_told_without_it(port: int) -> None:
    with pytest.raises(SourceError) as error:
        opened(port, password="guessed-wrongly")
    assert f"127.0.0.1:{port}/warehouse: cannot be read" in str(error.value)
    assert "password authentication failed" in str(error.value)
    assert "guessed-wrongly" not in str(error.value)


def test_a_server_that_is_not_there(port: int) -> None:
    with pytest.raises(SourceError, match="Expected a PostgreSQL database that answers"):
        opened(free_port())


def test_sql_that_fails_is_one_fault_and_the_other_tables_are_read(port: int) -> None:
    config = CONFIG + '[tables.users]\nsql = "select * from people"\n'
    with pytest.raises(ContractError) as error:
        opened(port, config)
    (fault,) = error.value.faults
    assert fault.table == "users"
    assert 'relation "people" does not exist' in fault.sentence()


def test_an_empty_schema_is_told(port: int) -> None:
    config = CONFIG.partition("[tables")[0] + 'schema = "nothing"\n'
    with pytest.raises(SourceError, match="no table in the schema nothing"):
        opened(port, config)
