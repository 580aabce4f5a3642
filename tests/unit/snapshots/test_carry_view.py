"""What a carry stands for and what is fresh part the log in two, and the old part is passed over."""

from __future__ import annotations

import re
from datetime import datetime

import duckdb
import pytest

from churnml.contract.tables import TABLES
from churnml.snapshots.views import CarryView
from churnml.sources.workspace import canonical

VIEW = CarryView(datetime(2024, 3, 1), datetime(2024, 6, 1))
MOMENTS = (
    "2024-02-29", "2024-03-01", "2024-03-01 00:00:01", "2024-03-02", "2024-05-30", "2024-05-31",
    "2024-05-31 12:00:00", "2024-06-01", "2024-06-01 00:00:01", "2024-06-02",
)  # fmt: skip


@pytest.mark.parametrize("known", ["timestamp", "date", "varchar", "timestamptz", None])
@pytest.mark.parametrize(
    "occurred", ["timestamp", "date", "varchar", "timestamptz", "timestamp_ns"]
)
def test_each_row_is_carried_or_fresh_by_just_one_condition(
    occurred: str, known: str | None
) -> None:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create table moments (m varchar)")
        connection.executemany("insert into moments values (?)", [(moment,) for moment in MOMENTS])
        second = f", cast(b.m as {known}) as known_at" if known else ""
        connection.execute(
            f"create table raw_events as select 'A' as account_id, cast(a.m as {occurred}) as "
            f"occurred_at, 'x' as event{second} from moments a, "
            "(from moments union all select null) b"
        )
        types = {c: t for c, t, *_ in connection.execute("describe raw_events").fetchall()}
        fresh = VIEW.fresh(types)
        parted = ", ".join(f"coalesce({condition}, false)" for condition in fresh)
        made = canonical(TABLES["events"], types)
        # Both tables are read in the same order: a row beside itself as the contract reads it.
        told = connection.execute(
            f"select e.carried, r.* from (select {VIEW.carried()} as carried from ({made})) e "
            f"positional join (select {parted}, {VIEW.may_be_fresh(types) or 'true'} from raw_events) r"
        ).fetchall()
    assert {carried for carried, *_ in told} == {True, False}
    for carried, *conditions, may in told:
        assert [carried, *conditions].count(True) == 1
        assert may or carried


def test_old_row_groups_of_a_table_are_passed_over() -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "create table raw_events as select timestamp '2024-01-01' + interval (i) minute as "
            "occurred_at, occurred_at as known_at from range(500000) as t (i)"
        )
        types = {"occurred_at": "TIMESTAMP", "known_at": "TIMESTAMP"}
        view = CarryView(datetime(2024, 9, 1), datetime(2024, 12, 1))
        for condition in view.fresh(types):
            told = connection.execute(
                f"explain analyze select count(*) from raw_events where {condition}"
            ).fetchall()[0][1]
            scanned, there = re.findall(r"Row Groups Scanned: (\d+) / (\d+)", told)[0]
            assert int(scanned) < int(there)
