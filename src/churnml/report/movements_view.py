"""How MRR moved, in words and plots. Owns which sentence its numbers call for; computes no sum of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from churnml.report.cohorts_view import SMALL, Heat, ReasonTable, heats, reason_table
from churnml.report.data import ReportData
from churnml.report.flows_view import (
    FlowTable,
    RateRow,
    churn_figure,
    flow_table,
    flow_title,
    rate_rows,
    share,
    waterfalls,
)
from churnml.report.movements import MOVES, LedgerMonth, Movements
from churnml.report.part import Part
from churnml.report.vega import Figure, figure
from churnml.report.words import Words


@dataclass(frozen=True)
class MovementsView:
    """What movements.html.j2 asks for. moves: the kinds that there were, in order. needs: what cannot be
    told, and what it would need."""

    data: Movements
    says: str
    waterfalls: tuple[Figure, ...]
    flows: FlowTable | None
    churn: Figure | None
    rates: tuple[RateRow, ...]
    reasons: ReasonTable | None
    heats: tuple[Heat, ...]
    small: str
    needs: str
    flow: Figure | None
    level: Figure | None
    kept: str
    moves: tuple[str, ...]
    totals: Mapping[str, int]
    months_total: str
    cents: bool


def movements_part(data: ReportData, words: Words) -> Part:
    """The third section."""
    told = data.movements
    months = told.months
    amounts = [month.move(name) for month in months for name in MOVES]
    amounts += [month.end for month in months]
    moves = tuple(name for name in MOVES if any(month.move(name) for month in months))
    cents = any(amount % 100 for amount in amounts)
    view = MovementsView(
        data=told,
        says=_says(told, words),
        waterfalls=tuple(waterfalls(told, words)),
        flows=flow_table(told, words, cents),
        churn=churn_figure(months, words),
        rates=rate_rows(told, words),
        reasons=reason_table(told, words),
        heats=heats(told.cohorts, words),
        small=str(SMALL),
        needs="" if told.has_reasons else words.text("reasons.absent"),
        flow=_flow(months, moves, words) if moves else None,
        level=_level(months, words) if len(months) > 1 and any(m.end for m in months) else None,
        kept=_kept(data, words),
        moves=moves,
        totals={name: sum(month.move(name) for month in months) for name in MOVES},
        months_total=words.text("movements.total", count=words.count(len(months))),
        cents=cents,
    )
    return Part("movements", words.text("movements.title"), "movements.html.j2", view)


def _says(told: Movements, words: Words) -> str:
    """What the quarter did, and the logos and MRR that were lost."""
    flow = told.to_date
    if flow is None or not flow.accounts:
        return ""
    says = words.text(
        "movements.says",
        period=flow_title(flow, told, words),
        start=words.money(flow.start),
        end=words.money(flow.end),
        churned=words.count(flow.churned_accounts),
        accounts=words.count(flow.accounts),
        mrr=share(flow.mrr_churn, words),
    )
    if flow.times.get("reactivation"):
        says += " " * (words.code == "en") + words.text(
            "movements.says_back",
            times=words.count(flow.times["reactivation"]),
            mrr=words.money(flow.move("reactivation")),
        )
    if flow.grace_accounts:
        says += " " * (words.code == "en") + words.text(
            "movements.says_grace",
            accounts=words.count(flow.grace_accounts),
            mrr=words.money(flow.grace_mrr),
        )
    return says


def _flow(months: Sequence[LedgerMonth], moves: Sequence[str], words: Words) -> Figure:
    rows = [
        {"month": words.month(month.month), "move": move, "amount": month.move(move) / 100,
         "order": MOVES.index(move)}
        for month in months for move in moves
    ]  # fmt: skip
    names = {move: words.text(f"movements.{move}") for move in moves}
    for row in rows:
        row["move"] = names[str(row["move"])]
    colours = {"domain": list(names.values()), "range": [f"var(--m-{move})" for move in moves]}
    spec = {
        "data": {"values": rows},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {"field": "month", "type": "ordinal", "sort": None, "title": None},
            "y": {"field": "amount", "type": "quantitative", "title": None},
            "color": {"field": "move", "type": "nominal", "scale": colours, "sort": None},
            "order": {"field": "order"},
        },
    }
    sums = (
        f"{names[move]} {words.money(sum(month.move(move) for month in months)).text}"
        for move in moves
    )
    title = words.text("movements.chart_flow")
    return figure(spec, title, f"{title}: {', '.join(sums)}", height=240)


def _level(months: Sequence[LedgerMonth], words: Words) -> Figure:
    first, last = months[0], months[-1]
    rows = [{"month": words.month(month.month), "mrr": month.end / 100} for month in months]
    spec = {
        "data": {"values": rows},
        "mark": {"type": "line", "point": True, "color": "var(--up)"},
        "encoding": {
            "x": {"field": "month", "type": "ordinal", "sort": None, "title": None},
            "y": {"field": "mrr", "type": "quantitative", "title": None},
        },
    }
    title = words.text("movements.chart_level")
    spoken = (
        f"{title}: {words.month(first.month)} {words.money(first.end).text}, "
        f"{words.month(last.month)} {words.money(last.end).text}"
    )
    return figure(spec, title, spoken, height=140)


def _kept(data: ReportData, words: Words) -> str:
    if data.movements.kept is None:
        return ""
    return words.text(
        "movements.kept",
        count=words.count(data.movements.kept.months),
        grr=words.figure(100 * data.movements.kept.grr, 1) + "%",
        nrr=words.figure(100 * data.movements.kept.nrr, 1) + "%",
    )
