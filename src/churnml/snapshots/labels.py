"""What became of each snapshot, in hindsight. Owns labels and why they are missing.

Labels are read from the ledger in hindsight alone, through `OutcomeView`."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pandas as pd

from churnml.config import LedgerConfig, TargetConfig
from churnml.snapshots.ledger import churns, segments
from churnml.snapshots.views import OutcomeView


def basis_of(ledger: LedgerConfig, subscription_columns: frozenset[str]) -> str:
    """Which MRR contraction and expansion are measured on: list prices where they exist."""
    return ledger.basis or ("list" if "list_mrr" in subscription_columns else "net")


def build_outcome_ledger(
    connection: duckdb.DuckDBPyConnection, data_through: datetime, ledger: LedgerConfig
) -> None:
    """Make `outcome_spans`, `outcome_ledger` and `outcome_churns` as known at `data_through`."""
    spans = OutcomeView(data_through).subscription_spans()
    connection.execute(f"create or replace table outcome_spans as {spans}")
    connection.execute(
        "create or replace table outcome_ledger as " + segments("outcome_spans", ledger.grace_days)
    )
    connection.execute(
        "create or replace table outcome_churns as "
        + churns("outcome_ledger", "outcome_spans", ledger.grace_days, ledger.neutral_end_reasons)
    )


def labels(
    connection: duckdb.DuckDBPyConnection,
    target: str,
    declared: TargetConfig,
    ledger: LedgerConfig,
    basis: str,
    data_through: datetime,
    has_interventions: bool = False,
) -> pd.DataFrame:
    """Labels of every snapshot of the spine for one target.

    Needs `spine` and the relations of `build_outcome_ledger`. Returns account_id, as_of, label
    (1, 0 or NaN), missing_reason (None where there is a label; else unmatured,
    ended_before_as_of, ended_in_lead, ended_otherwise or churned, in that order of precedence),
    treated_in_window, mrr (currency units, as known at as_of) and outcome_at (when the outcome came
    of a label 1; of a change that still stands when the window closes, from when it stood), ordered
    by as_of, account_id.
    """
    lead, window = declared.lead_days, declared.lead_days + declared.horizon_days
    view = OutcomeView(data_through)
    treated = (
        view.treated(window)
        if has_interventions
        else "select account_id, as_of from spine where false"
    )
    hit = _churn_hit() if target == "churn" else _move_hit(target, declared, basis)
    sql = f"""
    with base as (
        select s.account_id, s.as_of, s.mrr, s.as_of + interval {lead} day as opens_at,
            s.as_of + interval {window} day as closes_at, l.mrr as mrr_now, l.list_mrr as list_now
        from spine s left join outcome_ledger l on l.account_id = s.account_id
            and l.from_at <= s.as_of and s.as_of < coalesce(l.to_at, timestamp '9999-01-01')
    ), ends as (
        select b.account_id, b.as_of, min(c.churned_at) as churned_at,
            arg_min(c.neutral, c.churned_at) as neutral
        from base b join outcome_churns c on c.account_id = b.account_id
            and c.churned_at > b.as_of and c.churned_at <= b.closes_at
        group by b.account_id, b.as_of
    ), hits as ({hit}), treated as ({treated}), told as (
        select b.*, h.hit, h.hit_at, t.account_id is not null as treated_in_window, case
            when b.closes_at + interval {ledger.grace_days} day > {view.through} then 'unmatured'
            when coalesce(b.mrr_now, 0) = 0 then 'ended_before_as_of'
            when e.churned_at <= b.opens_at then 'ended_in_lead'
            when e.neutral then 'ended_otherwise'
            when e.churned_at is not null and '{target}' <> 'churn' then 'churned'
        end as missing_reason
        from base b
        left join ends e on e.account_id = b.account_id and e.as_of = b.as_of
        left join hits h on h.account_id = b.account_id and h.as_of = b.as_of
        left join treated t on t.account_id = b.account_id and t.as_of = b.as_of
    )
    select account_id, as_of, case when missing_reason is null
            then cast(coalesce(hit, false) as double) end as label,
        missing_reason, treated_in_window, mrr / 100.0 as mrr,
        case when missing_reason is null and hit then hit_at end as outcome_at
    from told order by as_of, account_id
    """
    frame: pd.DataFrame = connection.execute(sql).df()
    return frame


def _churn_hit() -> str:
    return "select account_id, as_of, true as hit, churned_at as hit_at from ends"


def _move_hit(target: str, declared: TargetConfig, basis: str) -> str:
    """Snapshots whose MRR moved in the target's direction by at least `min_change_share`."""
    column = "list_mrr" if basis == "list" else "mrr"
    now = "list_now" if basis == "list" else "mrr_now"
    # Whole minor units against a share: compare products, so that 5 % is exactly 5 %.
    share = declared.min_change_share
    if target == "contraction":
        moved = "{after} <= {before} * (1 - " + repr(share) + ") + 1e-9"
    else:
        moved = "{after} >= {before} * (1 + " + repr(share) + ") - 1e-9"
    if declared.mode == "any_time":
        condition = moved.format(after="m.after", before="m.before")
        return f"""
        select b.account_id, b.as_of, bool_or({condition}) as hit,
            min(m.from_at) filter (where {condition}) as hit_at
        from base b join (
            select account_id, from_at, {column} as after, mrr, lag({column}) over w as before,
                lag(mrr) over w as mrr_before
            from outcome_ledger window w as (partition by account_id order by from_at)
        ) m on m.account_id = b.account_id and m.from_at > b.opens_at
            and m.from_at <= b.closes_at and m.mrr > 0 and m.mrr_before > 0
        group by b.account_id, b.as_of
        """
    condition = moved.format(after=f"l.{column}", before=f"b.{now}")
    # From when it stood: the end of the last row in which it did not.
    return f"""
    select b.account_id, b.as_of, arg_max({condition}, l.from_at) as hit,
        max(l.to_at) filter (where not ({condition}) and l.to_at <= b.closes_at) as hit_at
    from base b join outcome_ledger l on l.account_id = b.account_id
        and l.from_at <= b.closes_at and b.as_of < coalesce(l.to_at, timestamp '9999-01-01')
    group by b.account_id, b.as_of
    having arg_max(coalesce(l.to_at, timestamp '9999-01-01'), l.from_at) > any_value(b.closes_at)
    """
