"""Faults of a table that is read in parts: those of the whole, each once."""

from __future__ import annotations

from typing import Any

import duckdb

from churnml.contract.parts import Part, check_part, faults_of
from churnml.contract.tables import TABLES
from churnml.contract.validate import validate

NOW = "2025-01-01 00:00:00"
TICKETS = TABLES["tickets"]
ROWS = (
    "('t1', 'A', '2024-03-01T10:00:00Z', 9), ('t2', 'A', '2024-03-02', 3)",
    "('t3', 'B', '2024-03-03 10:00', 8), ('t4', null, '2024-03-04T10:00:00Z', 7)",
)
NAMES = "(ticket_id, account_id, opened_at, csat)"
TYPES = dict.fromkeys(("ticket_id", "account_id", "opened_at"), "VARCHAR") | {"csat": "INTEGER"}


def checked(rows: str) -> tuple[Part, Any]:
    connection = duckdb.connect()
    connection.execute(f"create table raw_tickets as select * from (values {rows}) t {NAMES}")
    query = lambda sql: connection.execute(sql).fetchall()  # noqa: E731
    return check_part(query, TICKETS, TYPES, NOW), query


def test_parts_tell_what_the_whole_table_tells() -> None:
    parts = [checked(rows)[0] for rows in ROWS]
    _, query = checked(", ".join(ROWS))
    whole = [f for f in validate(query, {"tickets": TYPES}, NOW).faults if f.table == "tickets"]
    told = faults_of(TICKETS, parts)
    assert {(f.column, f.rows, f.expected) for f in told} == {
        (f.column, f.rows, f.expected) for f in whole
    }
    assert [fault.sentence() for fault in told] == [
        "tickets.account_id: 1 rows have no value. Expected a value in every row. Fill it in the export, "
        "or leave such rows out in the table's `sql`.",
        "tickets.csat: 3 rows have csat > 5: '8'. Expected 5 or less. Correct the export, or drop the rows "
        "in the table's `sql`.",
        # No part alone could tell this one of the first two rows and the rest.
        "tickets.opened_at: 2 rows carry a time zone and 2 carry none. Expected one way of writing "
        "moments in a column. Write all with a zone, or all without (then they mean UTC).",
    ]


def test_a_table_whose_parts_have_no_rows_is_empty() -> None:
    (fault,) = faults_of(TICKETS, [])
    assert fault.warning
    assert fault.found == "the table is empty"


def test_currencies_of_several_parts_are_one_fault() -> None:
    parts = [Part("subscriptions", 1, (), {}, (name,)) for name in ("USD", "EUR", "USD")]
    (fault,) = faults_of(TABLES["subscriptions"], parts)
    assert fault.found == "several currencies: EUR, USD"
