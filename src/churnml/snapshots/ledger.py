"""MRR over time, from spans of subscription rows. Owns segments, gap filling and movements.

The same arithmetic serves what was known (`AsOfView.subscription_spans`) and what came to pass
(`OutcomeView.subscription_spans`). Money is in whole minor units."""

from __future__ import annotations


def segments(spans: str, grace_days: int) -> str:
    """SQL of the ledger: (account_id, from_at, to_at, mrr, list_mrr, rows_in_force, carried).

    MRR is the sum over the rows in force. A gap without any row in force shorter than `grace_days`
    and paying again after is *renewed*: the old MRR carries forward over it (`carried`).
    The last segment's to_at is NULL.
    """
    return (
        f"with spans as (select account_id, from_at, to_at, mrr, coalesce(list_mrr, mrr) as list_mrr "
        f"from {spans}), deltas as ("
        "select account_id, from_at as moved_at, mrr, list_mrr, 1 as n from spans union all "
        "select account_id, to_at, -mrr, -list_mrr, -1 from spans where to_at is not null), "
        "moments as (select account_id, moved_at, sum(mrr) as mrr, sum(list_mrr) as list_mrr, sum(n) as n "
        "from deltas group by account_id, moved_at), levels as (select account_id, moved_at as from_at, "
        "lead(moved_at) over w as to_at, cast(sum(mrr) over w as bigint) as mrr, "
        "cast(sum(list_mrr) over w as bigint) as list_mrr, cast(sum(n) over w as bigint) as n "
        "from moments window w as (partition by account_id order by moved_at)), "
        "around as (select *, lag(mrr) over w as mrr_before, lag(list_mrr) over w as list_before, "
        "lead(mrr) over w as mrr_after from levels window w as "
        "(partition by account_id order by from_at)), gaps as (select *, "
        f"n = 0 and mrr_after > 0 and to_at < from_at + interval {grace_days} day as carried "
        "from around) "
        "select account_id, from_at, to_at, "
        "case when carried then coalesce(mrr_before, 0) else mrr end as mrr, "
        "case when carried then coalesce(list_before, 0) else list_mrr end as list_mrr, "
        "n as rows_in_force, coalesce(carried, false) as carried from gaps"
    )


def movements(ledger: str, basis: str) -> str:
    """SQL of the MRR movements of a ledger: (account_id, moved_at, kind, mrr_before, mrr, list_before,
    list_mrr).

    kind: new, reactivation, churn, expansion, contraction, or term_change (on basis "list": the
    net MRR moved and the list price stood still). Moments at which nothing moved are left out.
    """
    # On net prices a move of the list price alone is none, and every move of the net one counts.
    still = "list_mrr = list_before" if basis == "list" else "mrr = mrr_before"
    moved = " or (list_mrr <> list_before and mrr > 0)" if basis == "list" else ""
    return (
        "with steps as (select account_id, from_at as moved_at, mrr, list_mrr, "
        "coalesce(lag(mrr) over w, 0) as mrr_before, coalesce(lag(list_mrr) over w, 0) as "
        "list_before, coalesce(max(mrr) over (partition by account_id order by from_at rows between "
        "unbounded preceding and 1 preceding), 0) as highest_before "
        f"from {ledger} window w as (partition by account_id order by from_at)) "
        "select account_id, moved_at, case when mrr_before = 0 and highest_before = 0 then 'new' "
        "when mrr_before = 0 then 'reactivation' when mrr = 0 then 'churn' "
        f"when {still} then 'term_change' "
        "when mrr > mrr_before then 'expansion' when mrr < mrr_before then 'contraction' "
        "else 'term_change' end as kind, mrr_before, mrr, list_before, list_mrr from steps "
        f"where mrr <> mrr_before{moved}"
    )


def churns(ledger: str, spans: str, grace_days: int, neutral: tuple[str, ...]) -> str:
    """SQL of (account_id, churned_at, neutral): MRR reached 0 and stayed there >= `grace_days`.

    `neutral` is true where every row that ended at that moment ended for one of these reasons.
    A spell of zero MRR that is still open counts: whether its grace is over is the label's to say.
    """
    reasons = ", ".join("'" + reason.replace("'", "''") + "'" for reason in neutral) or "''"
    return (
        f"with paying as (select account_id, from_at, to_at, mrr > 0 as pays from {ledger}), "
        "turns as (select *, lag(pays) over (partition by account_id order by from_at) as paid "
        "from paying), starts as (select account_id, from_at, pays from turns "
        "where paid is null or paid <> pays), spells as (select account_id, from_at, pays, "
        "lead(from_at) over (partition by account_id order by from_at) as to_at from starts), "
        "zero as (select s.account_id, s.from_at as churned_at from spells s "
        "join turns t on t.account_id = s.account_id and t.from_at = s.from_at "
        "where not s.pays and t.paid and (s.to_at is null or "
        f"s.to_at >= s.from_at + interval {grace_days} day)) "
        "select z.account_id, z.churned_at, coalesce(bool_and(e.end_reason in "
        f"({reasons})) and count(*) = count(e.end_reason), false) as neutral from zero z "
        f"left join {spans} e on e.account_id = z.account_id and e.to_at = z.churned_at and e.mrr > 0 "
        "group by z.account_id, z.churned_at"
    )
