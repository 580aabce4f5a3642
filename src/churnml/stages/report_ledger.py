"""The ledger's part of the report: what moved, by month and period. Owns which periods are looked at; the
SQL is `snapshots.ledger_report`'s, the sums that must tie are `report.movements`'s."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from churnml.report.cohorts import build_cohorts
from churnml.report.movements import Flow, LedgerMonth, Movements, Reason, build_movements
from churnml.report.period import period_of
from churnml.snapshots import ledger_report as sql
from churnml.snapshots.ledger_report import Spell
from churnml.sources.workspace import Workspace
from churnml.stages.report_sources import Sources

MONTHS = 18  # as many as a screen shows
QUARTERS = 6
_LEDGER, _CHURNS, _SPANS, _MOVES = (
    "outcome_ledger", "outcome_churns", "outcome_spans", "report_moves"
)  # fmt: skip


def movements_of(sources: Sources) -> Movements:
    """What moved up to the report's date. Makes the relation `report_moves`."""
    workspace, end = sources.workspace, sources.as_of
    make_moves(workspace, sources.basis)
    first = workspace.query(f"select min(from_at) from {_LEDGER}")[0][0]
    if first is None or first >= end:
        return build_movements(())
    period = period_of(end)
    has_reasons = "end_reason" in workspace.columns["subscriptions"]
    year = (_months_on(_month(end), -12), _month(end))
    quarter = end if period.whole else period.start
    quarters = [
        (_months_on(quarter, -3 * (back + 1)), _months_on(quarter, -3 * back))
        for back in reversed(range(QUARTERS))
    ]
    spells = [
        (period.start, end),
        (period.before_start, period.before_end),
        year,
        *(spell for spell in quarters if spell[1] > first),
    ]
    grace = sources.project.config.ledger.grace_days
    flows = _flows(workspace, spells, end, grace, has_reasons)
    return build_movements(
        ledger_months(workspace, end),
        to_date=flows[0],
        before=flows[1] if period.before_end > first else None,
        year=flows[2] if year[0] >= _month(first) else None,
        quarters=flows[3:],
        has_reasons=has_reasons,
        cohorts=build_cohorts(workspace.query(sql.cohorts(_LEDGER, _CHURNS, end)), end.date()),
    )


def make_moves(workspace: Workspace, basis: str) -> None:
    """Make `report_moves` of the ledger in hindsight."""
    told = sql.told_moves(_LEDGER, _CHURNS, basis)
    workspace.connection.execute(f"create or replace table {_MOVES} as {told}")


def ledger_months(workspace: Workspace, through: datetime) -> list[LedgerMonth]:
    """MRR movements of the last months up to `through`, from `report_moves`."""
    first_of_data = workspace.query(f"select min(from_at) from {_LEDGER}")[0][0]
    if first_of_data is None:
        return []
    # Where the data end as a month begins, nothing of it is known.
    last = _month(through - timedelta(microseconds=1))
    first = max(_months_on(last, 1 - MONTHS), _month(first_of_data))
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if count < 1:
        return []
    months = [_months_on(first, number) for number in range(count)]
    spells = [(month, min(_months_on(month, 1), through)) for month in months]
    moves = _moves(workspace, spells)
    held = workspace.query(sql.held(_LEDGER, spells))
    kept = {row[0]: row for row in workspace.query(sql.kept(_LEDGER, _CHURNS, spells))}
    return [
        LedgerMonth(
            month=month.date(),
            start=held[number][1],
            end=held[number][3],
            partial=_months_on(month, 1) > through,
            accounts=held[number][2],
            churned_accounts=kept[number][2] if number in kept else 0,
            churned_mrr=kept[number][3] if number in kept else 0,
            **{kind: amount for kind, (amount, _) in moves[number].items()},
        )
        for number, month in enumerate(months)
    ]


def _flows(
    workspace: Workspace,
    spells: Sequence[Spell],
    through: datetime,
    grace_days: int,
    has_reasons: bool,
) -> list[Flow]:
    moves = _moves(workspace, spells)
    held = workspace.query(sql.held(_LEDGER, spells))
    kept = {row[0]: row for row in workspace.query(sql.kept(_LEDGER, _CHURNS, spells))}
    flows = []
    for number, spell in enumerate(spells):
        _, start, accounts, end = held[number]
        _, _, churned, churned_mrr, mrr, gross, net = kept.get(number, (number, *[0] * 6))
        # Where most ended as they were meant to (a course that is over), the few others tell of nothing.
        told = mrr > 0 and 2 * mrr >= start
        query = sql.in_grace(_LEDGER, _CHURNS, spell, through, grace_days)
        grace_accounts, grace_mrr = workspace.query(query)[0]
        flows.append(
            Flow(
                first=spell[0].date(),
                last=(spell[1] - timedelta(microseconds=1)).date(),
                start=start,
                end=end,
                moves={kind: amount for kind, (amount, _) in moves[number].items()},
                times={kind: times for kind, (_, times) in moves[number].items()},
                accounts=accounts,
                churned_accounts=churned,
                grr=gross / mrr if told else None,
                nrr=net / mrr if told else None,
                churned_mrr=churned_mrr,
                grace_accounts=grace_accounts,
                grace_mrr=grace_mrr,
                reasons=_reasons(workspace, spell) if has_reasons else (),
            )
        )
    return flows


def _moves(workspace: Workspace, spells: Sequence[Spell]) -> list[dict[str, tuple[int, int]]]:
    """Of each spell: kind -> (amount, times)."""
    moves: list[dict[str, tuple[int, int]]] = [{} for _ in spells]
    for number, kind, amount, times in workspace.query(sql.sums(_MOVES, spells)):
        moves[number][kind] = (amount, times)
    return moves


def _reasons(workspace: Workspace, spell: Spell) -> tuple[Reason, ...]:
    return tuple(Reason(*row) for row in workspace.query(sql.reasons(_CHURNS, _SPANS, spell)))


def _month(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, 1)


def _months_on(moment: datetime, months: int) -> datetime:
    number = moment.year * 12 + moment.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 1)
