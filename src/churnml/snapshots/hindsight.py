"""What became of accounts that were told something, in hindsight. Owns the SQL of both sides: the labels of
books that were scored once, and the churns that their windows held.

Needs the relations of `build_outcome_ledger`; knows no score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pandas as pd

from churnml.config import LedgerConfig, TargetConfig
from churnml.snapshots.labels import labels


@dataclass(frozen=True)
class Window:
    """The outcome window of one book: (opens_at, closes_at]."""

    as_of: datetime
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True)
class Churned:
    """A churn inside the window of a book. lost: the MRR just before it, in minor units.

    paying: the account paid at the book's as_of. known: that it would end was known by then.
    """

    as_of: datetime
    account_id: str
    churned_at: datetime
    lost: int
    paying: bool
    known: bool


def labels_of_books(
    connection: duckdb.DuckDBPyConnection,
    rows: pd.DataFrame,
    target: str,
    declared: TargetConfig,
    ledger: LedgerConfig,
    basis: str,
    data_through: datetime,
    has_interventions: bool = False,
) -> pd.DataFrame:
    """`labels` of the rows of stored books instead of a cohort's.

    rows: account_id, as_of, mrr (minor units). A `spine` that is there is untouched.
    """
    connection.register("told_rows", rows[["account_id", "as_of", "mrr"]])
    # A temporary table goes before the workspace's own of that name, and is gone afterwards.
    connection.execute(
        "create temp table spine as select account_id, cast(as_of as timestamp) as as_of, "
        "cast(mrr as bigint) as mrr from told_rows"
    )
    try:
        return labels(connection, target, declared, ledger, basis, data_through, has_interventions)
    finally:
        connection.execute("drop table temp.spine")
        connection.unregister("told_rows")


def churns_in(connection: duckdb.DuckDBPyConnection, windows: Sequence[Window]) -> list[Churned]:
    """Every churn inside each window, by window and account; ends for neutral reasons are none."""
    if not windows:
        return []
    told = ", ".join(
        f"({_at(window.as_of)}, {_at(window.opens_at)}, {_at(window.closes_at)})"
        for window in windows
    )
    rows = connection.execute(
        f"""
        with windows(as_of, opens_at, closes_at) as (values {told}),
        lost as (
            select c.account_id, c.churned_at, l.mrr as lost from outcome_churns c
            join outcome_ledger l on l.account_id = c.account_id and l.to_at = c.churned_at
            where not c.neutral
        )
        select w.as_of, x.account_id, x.churned_at, x.lost,
            coalesce((select max(l.mrr) from outcome_ledger l where l.account_id = x.account_id
                and l.from_at <= w.as_of and w.as_of < coalesce(l.to_at, timestamp '9999-01-01')), 0) > 0,
            coalesce((select bool_and(coalesce(e.end_known_at_visible_at, e.closed_at) <= w.as_of)
                from outcome_spans e where e.account_id = x.account_id and e.to_at = x.churned_at
                and e.mrr > 0), false)
        from windows w join lost x on x.churned_at > w.opens_at and x.churned_at <= w.closes_at
        order by w.as_of, x.account_id, x.churned_at
        """
    ).fetchall()
    return [Churned(*row) for row in rows]


def treated_at(
    connection: duckdb.DuckDBPyConnection, accounts: Iterable[str]
) -> list[tuple[str, datetime]]:
    """When these accounts were treated, by the table `interventions`: (account_id, performed_at)."""
    names = pd.DataFrame({"account_id": sorted(set(accounts))}, dtype=object)
    connection.register("told_accounts", names)
    try:
        return connection.execute(
            "select t.account_id, t.performed_at from interventions t "
            "semi join told_accounts a on a.account_id = t.account_id "
            "where coalesce(t.arm, 'treated') = 'treated' order by 1, 2"
        ).fetchall()
    finally:
        connection.unregister("told_accounts")


def _at(moment: datetime) -> str:
    return f"timestamp '{moment.isoformat(sep=' ')}'"
