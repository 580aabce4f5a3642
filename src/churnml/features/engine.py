"""Compute declared features for every snapshot of the spine. Owns the order of the work.

Declarations say what; `engine_plan` and its parts say how. Nothing here knows a target, a
horizon or a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import duckdb

from churnml.contract.tables import MONEY_SCALE
from churnml.features.engine_book import Book
from churnml.features.engine_plan import Plan
from churnml.features.spec import AgainstBook, Feature, Rank
from churnml.snapshots.ledger import movements

if TYPE_CHECKING:
    import pandas as pd  # workers of Spark do without


def build_features(
    connection: duckdb.DuckDBPyConnection,
    features: Sequence[Feature],
    columns: Mapping[str, frozenset[str]],
    meanings: Mapping[str, Sequence[str]],
    basis: str,
) -> None:
    """Make the relation `feature_rows`: account_id, as_of and one column per feature.

    Needs the workspace's tables, and `spine`, `known_spans`, `known_ledger` (snapshots.cohort).
    basis: "list" or "net", the MRR that contraction and expansion are measured on.
    Numeric features are DOUBLE (NULL: missing), categorical ones VARCHAR. Rows come in no order.
    """
    plan, own, book, source = _planned(connection, features, columns, meanings, basis)
    tables = book.build(connection, source)
    own |= {name: f"{table}.{name}" for name, table in tables.items()}
    wanted = "".join(f", {own[feature.name]} as {feature.name}" for feature in features)
    joins = "".join(f" join {table} using (n)" for table in tables.values())
    connection.execute(
        "create or replace table feature_rows as select s.account_id, s.as_of"
        f"{wanted} from {source}{joins}"
    )
    for table in tables.values():
        connection.execute(f"drop table {table}")
    plan.drop(connection)


def plan_of(
    features: Sequence[Feature],
    columns: Mapping[str, frozenset[str]],
    meanings: Mapping[str, Sequence[str]],
) -> tuple[Plan, dict[str, str], Book]:
    """What the features need, the SQL of those of one account by name, and what is left to the book."""
    plan = Plan(meanings, columns["events"])
    own = {
        feature.name: f"cast({plan.expression(feature.fn)} as "
        f"{'varchar' if feature.categorical else 'double'})"
        for feature in features
        if not isinstance(feature.fn, Rank | AgainstBook)
    }
    return plan, own, Book(features, plan)


def account_rows(
    connection: duckdb.DuckDBPyConnection,
    features: Sequence[Feature],
    columns: Mapping[str, frozenset[str]],
    meanings: Mapping[str, Sequence[str]],
    basis: str,
) -> None:
    """Make `account_rows`: n, account_id, as_of, the features of one account, and what the book needs.

    For whoever computes accounts apart; `Book.finals` makes the features out of all of them.
    """
    plan, own, book, source = _planned(connection, features, columns, meanings, basis)
    wanted = [f"{sql} as {name}" for name, sql in own.items()] + book.columns
    selected = "".join(f", {column}" for column in wanted)
    connection.execute(
        "create or replace temp table account_rows as select n, s.account_id, s.as_of"
        f"{selected} from {source}"
    )
    plan.drop(connection)


def _planned(
    connection: duckdb.DuckDBPyConnection,
    features: Sequence[Feature],
    columns: Mapping[str, frozenset[str]],
    meanings: Mapping[str, Sequence[str]],
    basis: str,
) -> tuple[Plan, dict[str, str], Book, str]:
    """What `plan_of` says, with all relations made; and the relation that its SQL is over."""
    connection.execute(
        f"create or replace temp table known_movements as {movements('known_ledger', basis)}"
    )
    plan, own, book = plan_of(features, columns, meanings)
    joins = plan.build(connection)
    return plan, own, book, f"spine s join event_values v using (n) {' '.join(joins)}"


def feature_frame(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """`feature_rows` as a pandas frame, ordered by as_of, account_id: float64 and text columns."""
    frame: pd.DataFrame = connection.execute("from feature_rows").df()
    return frame.sort_values(["as_of", "account_id"], ignore_index=True)


def context_frame(
    connection: duckdb.DuckDBPyConnection,
    columns: Mapping[str, frozenset[str]],
    min_tenure_days: int,
) -> pd.DataFrame:
    """What scoring says beside a score: mrr, segment, need, csm_id, last_event_at, enough_data.

    One row per snapshot, ordered by as_of, account_id. An account without a single visible event,
    or younger than `min_tenure_days` in the log, has too little data to be judged.
    """
    known = [name for name in ("segment", "need", "csm_id") if name in columns["accounts"]]
    absent = [name for name in ("segment", "need", "csm_id") if name not in columns["accounts"]]
    chosen = "".join(f", c.{name}" for name in known) + "".join(
        f", cast(null as varchar) as {name}" for name in absent
    )
    frame: pd.DataFrame = connection.execute(
        f"select s.account_id, s.as_of, s.mrr / {MONEY_SCALE}.0 as mrr{chosen}, "
        "v.first_day is not null and s.a - v.first_day >= "
        f"{min_tenure_days} as enough_data, case when v.first_day is null then 'no_events' "
        f"when s.a - v.first_day < {min_tenure_days} then 'too_new' end as enough_data_reason "
        "from spine s join accounts c using (account_id) "
        "left join event_values v using (n) order by s.n"
    ).df()
    return frame
