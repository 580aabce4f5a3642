"""Subscriptions as features: one named SQL expression per value of a snapshot.

Owns the expressions of MRR, seats, products, movements, renewal and payment (engine_tables says what
an expression is)."""

from __future__ import annotations

from churnml.contract.tables import MONEY_SCALE
from churnml.snapshots.views import AsOfView, ceil_day

_VIEW = AsOfView()
ONBOARDING_DAYS = 90
ADOPTING_DAYS = 365
RENEWING_DAYS = 90


def _rows(table: str) -> str:
    return f"({_VIEW.rows(table)})"


# MRR movements as they were known: the ledger of what could be seen at each as_of.
_MOVES = f"""(
    select s.n, s.a - {ceil_day("m.moved_at")} as age_days, m.*
        exclude (account_id) from spine s join known_movements m
        on m.account_id = s.account_id and m.moved_at <= s.as_of
)"""
_FORCE = f"({_VIEW.in_force()})"
_PERIOD = "arg_max(billing_months, row(mrr, billing_months))"
# The same snapshots some days earlier: what read as in force then.
_BEFORE = "(select n, account_id, as_of - interval {days} day as as_of, a - {days} as a from spine)"


def _against_then(column: str) -> str:
    """SQL of a column's sum over the rows in force against what read as in force `days` before."""
    then = f"({_VIEW.in_force(spine=_BEFORE)})"
    return (
        f"select now.n, cast(now.x - past.x as double) / nullif(cast(past.x as double), 0) as x "
        f"from (select n, sum({column}) as x from {_FORCE} group by n) now "
        f"join (select n, sum({column}) as x from {then} group by n) past using (n)"
    )


COMMERCIAL = {
    "mrr": f"select n, mrr / {MONEY_SCALE}.0 as x from spine",
    "products": f"select n, count(*) as x from {_FORCE} where mrr > 0 group by all",
    "seats": f"select n, sum(seats) as x from {_FORCE} group by all",
    "discount_share": "select n, 1 - sum(mrr) / nullif(cast(sum(list_mrr) as "
    f"double), 0) as x from {_FORCE} group by all",
    "contractions": "select n, count(*) as x "
    f"from {_MOVES} where kind = 'contraction' and age_days < {{days}} group by all",
    "expansions": "select n, count(*) as x "
    f"from {_MOVES} where kind = 'expansion' and age_days < {{days}} group by all",
    "contraction_share": "select n, sum(mrr_before - mrr) / "
    "nullif(cast(max(mrr_before) as double), 0) as x "
    f"from {_MOVES} where kind = 'contraction' and age_days < {{days}} group by all",
    "days_since_contraction": "select n, min(age_days) as x "
    f"from {_MOVES} where kind = 'contraction' group by all",
    "days_since_expansion": "select n, min(age_days) as x "
    f"from {_MOVES} where kind = 'expansion' group by all",
    # A renewal date that has passed renews by itself: the next one is a billing period on.
    "days_to_renewal": f"""select n, min(case
            when renews_at > as_of then date_diff('day', as_of, renews_at)
            when billing_months > 0 then date_diff('day', as_of, renews_at + to_months(cast(
                billing_months * (1 + date_sub('month', renews_at, as_of) // billing_months)
                as integer)))
        end) as x from {_FORCE} group by all""",
    # Of two products at one price the longer period counts: the order of rows must not matter.
    "billing_months": f"select n, {_PERIOD} as x from {_FORCE} group by all",
    "tenure_days": f"""select s.n, max(s.a - {ceil_day("k.started_at")}) as x
        from spine s join known_spans k on k.account_id = s.account_id and k.from_at <= s.as_of
        where k.mrr > 0 group by all""",
    "seats_change": _against_then("seats"),
    "mrr_change": _against_then("mrr"),
    "expansion_share": "select n, sum(mrr - mrr_before) / nullif(cast(max(mrr) as double), 0) as x "
    f"from {_MOVES} where kind = 'expansion' and age_days < {{days}} group by all",
    "term_changes": "select n, count(*) as x "
    f"from {_MOVES} where kind = 'term_change' and age_days < {{days}} group by all",
    "products_added": f"""select n, count(*) as x from (
            select n, product, max(age_days) as since, max(max(age_days)) over (partition by n) as first
            from {_rows("subscriptions")} where mrr > 0 and product is not null group by n, product)
        where since < first and since < {{days}} group by n""",
    # Given up: of a product that was paid for, no row is in force any more.
    "products_dropped": f"""select n, count(*) as x from (
            select n, product, min(a - {ceil_day("ended_at")}) as ago
            from {_rows("subscriptions")} where mrr > 0 and product is not null
            group by n, product having bool_and(ended_at is not null and ended_at <= as_of)) gone
        anti join (select distinct n, product from {_FORCE}) using (n, product)
        where ago < {{days}} group by n""",
    "renewals": f"""select s.n, date_sub('month', s.first, s.as_of) // nullif(f.period, 0) as x
        from (select n, as_of, min(started_at) as first from {_rows("subscriptions")}
            where mrr > 0 group by n, as_of) s
        join (select n, {_PERIOD} as period from {_FORCE} group by n) f using (n)""",
    "payment_failures": f"""select n, count(*) as x from {_rows("subscriptions")}
        where end_reason = 'payment_failed' and ended_at <= as_of
        and a - {ceil_day("ended_at")} < {{days}} group by n""",
}
# The stage of an account's life: what it is about decides what a CSM does.
COMMERCIAL["lifecycle_stage"] = f"""select s.n, case when t.x < {ONBOARDING_DAYS} then 'onboarding'
        when r.x <= {RENEWING_DAYS} then 'renewing' when t.x < {ADOPTING_DAYS} then 'adopting'
        else 'steady' end as x from spine s
    left join ({COMMERCIAL["tenure_days"]}) t using (n)
    left join ({COMMERCIAL["days_to_renewal"]}) r using (n)"""
