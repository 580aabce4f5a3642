"""The ledger as a report tells it: movements, what was kept, reasons, sizes and cohorts, in SQL.

Owns these sums over spells of time; what a movement is, is ledger.py's. All of it in hindsight, up to the
date that the ledger was made for. A spell is [from_at, to_at): what moves at its end is the next one's.
Money is in whole minor units."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from churnml.snapshots.ledger import movements

Spell = tuple[datetime, datetime]
_OPEN = "timestamp '9999-01-01'"


def told_moves(ledger: str, churned: str, basis: str) -> str:
    """SQL of (account_id, moved_at, kind, amount, mrr_before, mrr, list_before, list_mrr).

    kind: as `movements` says, but ends for neutral reasons are `ended_otherwise`, and a price of zero for
    less than the grace is no churn: a contraction and an expansion. churned: as `churns` gives it.
    """
    return (
        f"with marked as (select m.*, c.churned_at is not null as gone, coalesce(c.neutral, false) as "
        f"neutral from ({movements(ledger, basis)}) m left join {churned} c on "
        "c.account_id = m.account_id and c.churned_at = m.moved_at), paused as (select *, "
        "kind = 'churn' and not gone as pauses, lag(kind = 'churn' and not gone) over "
        "(partition by account_id order by moved_at) as paused from marked) "
        "select account_id, moved_at, case when pauses then 'contraction' "
        "when kind = 'churn' and neutral then 'ended_otherwise' "
        "when kind = 'reactivation' and paused then 'expansion' else kind end as kind, "
        "mrr - mrr_before as amount, mrr_before, mrr, list_before, list_mrr from paused"
    )


def sums(moves: str, spells: Sequence[Spell]) -> str:
    """SQL of (number, kind, amount, times): what moved within each spell, by kind. moves: a relation of
    `told_moves`."""
    return (
        f"with {_spells(spells)} select s.number, m.kind, cast(sum(m.amount) as bigint) as amount, "
        f"count(*) as times from spells s join {moves} m on m.moved_at >= s.from_at "
        "and m.moved_at < s.to_at group by s.number, m.kind order by s.number, m.kind"
    )


def held(ledger: str, spells: Sequence[Spell]) -> str:
    """SQL of (number, start, accounts, end): MRR just before each spell and who pays it, and MRR just
    before its end."""
    return (
        f"with {_spells(spells)} select s.number, "
        f"cast(coalesce(sum(l.mrr) filter (where {_just_before('s.from_at')}), 0) as bigint), "
        f"count(*) filter (where l.mrr > 0 and {_just_before('s.from_at')}), "
        f"cast(coalesce(sum(l.mrr) filter (where {_just_before('s.to_at')}), 0) as bigint), "
        f"from spells s left join {ledger} l on l.from_at < s.to_at "
        f"and s.from_at <= coalesce(l.to_at, {_OPEN}) group by s.number order by s.number"
    )


def kept_accounts(ledger: str, churned: str, spells: Sequence[Spell]) -> str:
    """SQL of (number, account_id, start, end, churned, ended_otherwise) of the accounts that pay just
    before each spell: their MRR then and just before its end, and how they ended within it, if they did.
    """
    return (
        f"with {_spells(spells)}, payers as (select s.*, l.account_id, l.mrr as start_mrr from spells s "
        f"join {ledger} l on l.mrr > 0 and {_just_before('s.from_at')}), ends as (select p.number, "
        "p.account_id, bool_or(not c.neutral) as churned, bool_or(c.neutral) as ended_otherwise "
        f"from payers p join {churned} c on c.account_id = p.account_id and c.churned_at >= p.from_at "
        "and c.churned_at < p.to_at group by p.number, p.account_id) "
        "select p.number, p.account_id, p.start_mrr as start_mrr, coalesce(l.mrr, 0) as end_mrr, "
        "coalesce(e.churned, false) as churned, coalesce(e.ended_otherwise, false) as ended_otherwise "
        f"from payers p left join {ledger} l on l.account_id = p.account_id and {_just_before('p.to_at')} "
        "left join ends e on e.number = p.number and e.account_id = p.account_id"
    )


def kept(ledger: str, churned: str, spells: Sequence[Spell]) -> str:
    """SQL of (number, accounts, churned, churned_mrr, mrr, gross, net), summed over `kept_accounts` of each
    spell.

    accounts, churned, churned_mrr: all who pay at its start, those of them that churned, and what these paid
    at its start. mrr, gross, net: of those
    that did not end otherwise, at the start, and at the end at most what each paid at the start, and all.
    """
    stays = "not ended_otherwise"
    return (
        f"select number, count(*), count(*) filter (where churned), "
        "cast(coalesce(sum(start_mrr) filter (where churned), 0) as bigint), "
        f"cast(coalesce(sum(start_mrr) filter (where {stays}), 0) as bigint), "
        f"cast(coalesce(sum(least(start_mrr, end_mrr)) filter (where {stays}), 0) as bigint), "
        f"cast(coalesce(sum(end_mrr) filter (where {stays}), 0) as bigint) "
        f"from ({kept_accounts(ledger, churned, spells)}) group by number order by number"
    )


def in_grace(ledger: str, churned: str, spell: Spell, through: datetime, grace_days: int) -> str:
    """SQL of (accounts, mrr): who churned within the spell, and may still renew within the grace."""
    first, last = (_moment(moment) for moment in spell)
    return (
        f"select count(*), cast(coalesce(sum(b.mrr), 0) as bigint) from {churned} c join {ledger} b on "
        f"b.account_id = c.account_id and b.to_at = c.churned_at where not c.neutral and c.churned_at >= "
        f"{first} and c.churned_at < {last} and c.churned_at > {_moment(through)} - interval "
        f"{grace_days} day and not exists (select 1 from {ledger} l where l.account_id = c.account_id "
        "and l.from_at > c.churned_at and l.mrr > 0)"
    )


def reasons(churned: str, spans: str, spell: Spell) -> str:
    """SQL of (reason, accounts, mrr): why the MRR left that churned within the spell, NULL where nobody
    said. An account counts where most of its MRR left; the sums are those of the churn movements."""
    first, last = (_moment(moment) for moment in spell)
    return (
        "with ended as (select c.account_id, c.churned_at, e.end_reason as reason, "
        f"cast(sum(e.mrr) as bigint) as mrr from {churned} c join {spans} e on "
        "e.account_id = c.account_id and e.to_at = c.churned_at and e.mrr > 0 where not c.neutral and "
        f"c.churned_at >= {first} and c.churned_at < {last} group by all), ranked as (select *, "
        "row_number() over (partition by account_id, churned_at order by mrr desc, reason nulls last) "
        "as place from ended) select reason, count(*) filter (where place = 1) as accounts, "
        "cast(sum(mrr) as bigint) as mrr from ranked group by reason order by mrr desc, reason nulls last"
    )


def sizes(moves: str, basis: str, share: float, spell: Spell) -> str:
    """SQL of (kind, moves, amount, mrr_before): contractions and expansions of at least `share` within the
    spell, of accounts that pay before and after; money is net, the share is measured on the basis."""
    first, last = (_moment(moment) for moment in spell)
    after, before = ("list_mrr", "list_before") if basis == "list" else ("mrr", "mrr_before")
    return (
        f"select kind, count(*), cast(sum(amount) as bigint), cast(sum(mrr_before) as bigint) from {moves} "
        f"where kind in ('contraction', 'expansion') and mrr > 0 and mrr_before > 0 and moved_at >= {first} "
        f"and moved_at < {last} and abs({after} - {before}) >= {before} * {share!r} - 1e-9 "
        "group by kind order by kind"
    )


def cohorts(ledger: str, churned: str, through: datetime) -> str:
    """SQL of (cohort, quarters, accounts, kept, mrr, kept_mrr): of the accounts that first paid in the
    quarter `cohort`, how many pay at the end of the quarter that many later, and their net MRR.

    mrr: what they paid at first. The quarter that is not over at `through` is looked at there. Accounts
    that ended for a neutral reason, and pay no more, are left out from then on.
    """
    end = _moment(through)
    return (
        "with firsts as (select account_id, min(from_at) as first_at, arg_min(mrr, from_at) as first_mrr, "
        f"date_trunc('quarter', min(from_at)) as cohort from {ledger} where mrr > 0 and from_at < {end} "
        "group by account_id), looks as (select f.*, n.quarters, "
        f"least(f.cohort + to_months(cast(3 * (n.quarters + 1) as integer)), {end}) as look_at from "
        "firsts f, (select unnest(generate_series(0, (select coalesce(max(date_diff('quarter', cohort, "
        f"{end} - interval 1 microsecond)), 0) from firsts))) as quarters) n "
        f"where f.cohort + to_months(cast(3 * n.quarters as integer)) < {end}), seen as (select k.*, "
        f"coalesce(l.mrr, 0) as mrr, (select arg_max(c.neutral, c.churned_at) from {churned} c where "
        "c.account_id = k.account_id and c.churned_at < k.look_at) as neutral from looks k "
        f"left join {ledger} l on l.account_id = k.account_id and {_just_before('k.look_at')}) "
        "select cast(cohort as date), quarters, count(*), count(*) filter (where mrr > 0), "
        "cast(sum(first_mrr) as bigint), cast(sum(mrr) as bigint) from seen "
        "where mrr > 0 or not coalesce(neutral, false) group by cohort, quarters order by cohort, quarters"
    )


def _spells(spells: Sequence[Spell]) -> str:
    rows = ", ".join(
        f"({number}, {_moment(first)}, {_moment(last)})"
        for number, (first, last) in enumerate(spells)
    )
    return f"spells(number, from_at, to_at) as (values {rows})"


def _just_before(moment: str) -> str:
    return f"l.from_at < {moment} and {moment} <= coalesce(l.to_at, {_OPEN})"


def _moment(moment: datetime) -> str:
    return f"timestamp '{moment.isoformat(sep=' ')}'"
