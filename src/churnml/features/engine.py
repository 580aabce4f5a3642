"""Compute declared features for every snapshot of the spine. Owns the order of the work.

Declarations say what; `engine_events` and `engine_tables` say how. Nothing here knows a target, a
horizon or a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import duckdb

from churnml.contract.tables import MONEY_SCALE
from churnml.features.engine_events import EventPlan, functions_of_log
from churnml.features.engine_tables import EXPRESSIONS, ZERO
from churnml.features.spec import Feature, Sql
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
    Numeric features are DOUBLE (NULL: missing), categorical ones VARCHAR. Rows keep the order of
    the spine: as_of, then account_id.
    """
    connection.execute(
        f"create or replace temp table known_movements as {movements('known_ledger', basis)}"
    )
    plan = EventPlan(meanings, columns["events"])
    expressions = {
        feature.name: plan.expression(feature.fn) for feature in functions_of_log(features)
    }
    plan.build(connection, has_seats="seats" in columns["subscriptions"])

    wanted, joins = [], []
    for feature in features:
        if not isinstance(feature.fn, Sql):
            wanted.append(f"cast({expressions[feature.name]} as double) as {feature.name}")
            continue
        table = f"x_{feature.name}"
        sql = EXPRESSIONS[feature.fn.name].format(days=feature.fn.days)
        connection.execute(f"create or replace temp table {table} as {sql}")
        joins.append(f"left join {table} using (n)")
        value = f"coalesce({table}.x, 0)" if feature.fn.name in ZERO else f"{table}.x"
        kind = "varchar" if feature.categorical else "double"
        wanted.append(f"cast({value} as {kind}) as {feature.name}")
    selected = "".join(f", {column}" for column in wanted)
    connection.execute(
        f"create or replace table feature_rows as select s.account_id, s.as_of{selected} "
        f"from spine s join event_values v using (n) {' '.join(joins)} order by n"
    )
    for feature in features:
        connection.execute(f"drop table if exists x_{feature.name}")


def feature_frame(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """`feature_rows` as a pandas frame: float64 columns, text columns with None for missing."""
    frame: pd.DataFrame = connection.execute(
        "select * from feature_rows order by as_of, account_id"
    ).df()
    return frame


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
