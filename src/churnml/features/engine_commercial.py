"""Subscriptions as features: one named value of a snapshot each.

Owns the values of MRR, seats, products, movements, renewal and payment."""

from __future__ import annotations

from datetime import datetime

from churnml.contract.tables import MONEY_SCALE
from churnml.features.engine_scratch import Connection
from churnml.features.engine_small import Small, counted, visible
from churnml.snapshots.views import AsOfView, ceil_day

_VIEW = AsOfView()
ONBOARDING_DAYS = 90
ADOPTING_DAYS = 365
RENEWING_DAYS = 90

_FORCE = f"({_VIEW.in_force()})"
_ROWS = visible("subscriptions")
# MRR movements as they were known: the ledger of what could be seen at each as_of.
_MOVES = f"""(
    select s.n, s.a - {ceil_day("m.moved_at")} as age_days, m.*
        exclude (account_id) from spine s join known_movements m
        on m.account_id = s.account_id and m.moved_at <= s.as_of
)"""
_PRODUCTS = f"""(
    select p.*, f.product is not null as held from (
        select n, product, max(age_days) as since, min(a - {ceil_day("ended_at")}) as ended,
            bool_and(ended_at is not null and ended_at <= as_of) as gone,
            max(max(age_days)) over (partition by n) as first
        from {_ROWS} where mrr > 0 and product is not null group by n, product) p
    left join (select distinct n, product from {_FORCE}) f using (n, product)
)"""
# What read as in force `days` before, beside what does now.
_THEN = _VIEW.in_force(
    spine="(select n, account_id, as_of - interval {days} day as as_of, a - {days} as a from spine)"
)
_CHANGES = f"""(
    select n, now.seats, now.mrr, past.seats as seats_then, past.mrr as mrr_then
    from (select n, sum(seats) as seats, sum(mrr) as mrr from {_FORCE} group by n) now
    join (select n, sum(seats) as seats, sum(mrr) as mrr from ({_THEN}) group by n) past using (n)
)"""
# Of two products at one price the longer period counts: the order of rows must not matter.
_PERIOD = "arg_max(billing_months, row(mrr, billing_months))"
_RENEWALS = f"""(
    select s.n, date_sub('month', s.first, s.as_of) // nullif(f.period, 0) as done
    from (select n, as_of, min(started_at) as first from {_ROWS} where mrr > 0 group by n, as_of) s
    join (select n, {_PERIOD} as period from {_FORCE} group by n) f using (n)
)"""
# A renewal date that has passed renews by itself: the next one is a billing period on.
_NEXT_RENEWAL = """case
    when renews_at > as_of then renews_at
    when billing_months > 0 then renews_at + to_months(cast(
        billing_months * (1 + date_sub('month', renews_at, as_of) // billing_months) as integer))
end"""
_TO_RENEWAL = f"min(date_diff('day', as_of, {_NEXT_RENEWAL}))"
_TENURE = "max(age_days) filter (where mrr > 0)"
# The stage of an account's life: what it is about decides what a CSM does.
_STAGES = f"""(
    select n, case when t.days < {ONBOARDING_DAYS} then 'onboarding'
        when r.days <= {RENEWING_DAYS} then 'renewing'
        when t.days < {ADOPTING_DAYS} then 'adopting' else 'steady' end as stage
    from spine left join (select n, {_TENURE} as days from {_ROWS} group by n) t using (n)
    left join (select n, {_TO_RENEWAL} as days from {_FORCE} group by n) r using (n)
)"""


def _moved(kind: str) -> str:
    return f"kind = '{kind}' and age_days < {{days}}"


def _moved_share(kind: str, moved: str, of: str) -> Small:
    """MRR moved in the window as a share of the highest on that side of the moves."""
    within = f"filter (where {_moved(kind)})"
    share = f"sum({moved}) {within} / nullif(cast(max({of}) {within} as double), 0)"
    return Small(_MOVES, share, zero=True)


def _since(kind: str) -> Small:
    return Small(_MOVES, f"min(age_days) filter (where kind = '{kind}')")


def _against_then(column: str) -> Small:
    then = f"nullif(cast({column}_then as double), 0)"
    return Small(_CHANGES, f"any_value(cast({column} - {column}_then as double) / {then})")


COMMERCIAL = {
    "mrr": Small("spine", f"any_value(mrr) / {MONEY_SCALE}.0"),
    "mrr_change": _against_then("mrr"),
    "products": counted(_FORCE, "mrr > 0"),
    "products_added": counted(_PRODUCTS, "since < first and since < {days}"),
    # Given up: of a product that was paid for, no row is in force any more.
    "products_dropped": counted(_PRODUCTS, "gone and not held and ended < {days}"),
    "seats": Small(_FORCE, "sum(seats)"),
    "seats_change": _against_then("seats"),
    "discount_share": Small(_FORCE, "1 - sum(mrr) / nullif(cast(sum(list_mrr) as double), 0)"),
    "contractions": counted(_MOVES, _moved("contraction")),
    "expansions": counted(_MOVES, _moved("expansion")),
    "term_changes": counted(_MOVES, _moved("term_change")),
    "contraction_share": _moved_share("contraction", "mrr_before - mrr", "mrr_before"),
    "expansion_share": _moved_share("expansion", "mrr - mrr_before", "mrr"),
    "days_since_contraction": _since("contraction"),
    "days_since_expansion": _since("expansion"),
    "days_to_renewal": Small(_FORCE, _TO_RENEWAL),
    "billing_months": Small(_FORCE, _PERIOD),
    "renewals": Small(_RENEWALS, "any_value(done)"),
    "tenure_days": Small(_ROWS, _TENURE),
    "payment_failures": counted(
        _ROWS,
        "end_reason = 'payment_failed' and ended_at <= as_of "
        f"and a - {ceil_day('ended_at')} < {{days}}",
    ),
    "lifecycle_stage": Small(_STAGES, "any_value(stage)"),
}


def renewals(connection: Connection) -> dict[str, datetime]:
    """When each account of the spine next renews, the earliest over what is in force at its one `as_of`.

    An account without a known renewal is not in it. The feature days_to_renewal counts to the same day.
    """
    rows = connection.execute(
        f"select account_id, min({_NEXT_RENEWAL}) as renews from {_FORCE} group by account_id "
        "having renews is not null"
    ).fetchall()
    return dict(rows)
