"""Which accounts are eligible at each `as_of`. Owns the relation `spine`; knows no outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from churnml.config import CohortConfig, LedgerConfig
from churnml.snapshots.ledger import segments
from churnml.snapshots.views import AsOfView
from churnml.timeline import day_number


def build_spine(
    connection: duckdb.DuckDBPyConnection,
    dates: Sequence[datetime],
    ledger: LedgerConfig,
    cohort: CohortConfig,
) -> int:
    """Make the relations `known_spans`, `known_ledger` and `spine`; return the spine's rows.

    `spine` has one row per eligible account and as_of, numbered in that order: (n, account_id, as_of,
    a, mrr). Eligible: a row in force that pays, the account at least `min_age_days` old and known,
    and not leaving (leaving: all its paying rows have a known end and no known successor starts
    within the grace).
    """
    view = AsOfView()
    connection.execute(f"create or replace table known_spans as {view.subscription_spans()}")
    connection.execute(
        f"create or replace table known_ledger as {segments('known_spans', ledger.grace_days)}"
    )
    connection.execute("create or replace table calendar (as_of timestamp, a bigint)")
    connection.executemany(
        "insert into calendar values (?, ?)", [(date, day_number(date)) for date in dates]
    )
    connection.execute(
        "create or replace table paying as select 0 as n, l.account_id, c.as_of, c.a, l.mrr "
        "from known_ledger l join calendar c on l.from_at <= c.as_of "
        "and c.as_of < coalesce(l.to_at, timestamp '9999-01-01') "
        "join accounts x on x.account_id = l.account_id and x.known_at <= c.as_of "
        f"and x.created_at + interval {cohort.min_age_days} day <= c.as_of "
        "where l.mrr > 0 and l.rows_in_force > 0"
    )
    if cohort.billing_months:
        billed = ", ".join(str(months) for months in cohort.billing_months)
        connection.execute(
            "create or replace table paying as select p.* from paying p semi join ("
            f"select account_id, as_of from ({view.in_force(spine='paying')}) where mrr > 0 "
            f"group by account_id, as_of having bool_and(coalesce(billing_months in ({billed}), false))) "
            "b on b.account_id = p.account_id and b.as_of = p.as_of"
        )
    connection.execute(
        "create or replace table leaving as with ends as ("
        f"{view.booked_ends(spine='paying')}), starts as ({view.booked_starts(spine='paying')}) "
        "select e.account_id, e.as_of from ends e left join starts b "
        "on b.account_id = e.account_id and b.as_of = e.as_of and b.mrr > 0 and "
        f"b.started_at < e.last_end + interval {max(ledger.grace_days, 1)} day "
        "where e.rows = e.ending group by e.account_id, e.as_of having count(b.started_at) = 0"
    )
    connection.execute(
        "create or replace table spine as select p.* replace (cast(row_number() over "
        "(order by p.as_of, p.account_id) as integer) as n) from paying p "
        "anti join leaving l on l.account_id = p.account_id and l.as_of = p.as_of "
        "order by p.as_of, p.account_id"
    )
    connection.execute("drop table paying")
    return int(connection.execute("select count(*) from spine").fetchall()[0][0])
