"""The ledger over periods, in words and plots: waterfalls, and periods side by side. Owns their shape;
computes no sum of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from churnml.report.movements import MOVES, Flow, LedgerMonth, Movements
from churnml.report.vega import Figure, figure
from churnml.report.words import Words

_WIDTHS = (500, 350)


@dataclass(frozen=True)
class FlowColumn:
    """One period as a column of the table. values: of each row, in their order."""

    title: str
    days: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class FlowTable:
    """Periods side by side. rows: a name, and whether it is a sum."""

    rows: tuple[tuple[str, bool], ...]
    columns: tuple[FlowColumn, ...]


@dataclass(frozen=True)
class RateRow:
    """Churn of one month or quarter."""

    name: str
    partial: bool
    mrr: str
    logos: str
    counted: str


def flow_title(flow: Flow, told: Movements, words: Words) -> str:
    """What a period is called."""
    if told.year is flow:
        return words.text("movements.year_title")
    quarter = words.quarter(flow.first)
    if told.to_date is not flow:
        whole = flow in told.quarters
        return quarter if whole else words.text("movements.same_days", quarter=quarter)
    over = (flow.last + timedelta(days=1)).day == 1 and (flow.last.month % 3) == 0
    return quarter if over else words.text("movements.to_date", quarter=quarter)


def waterfalls(told: Movements, words: Words) -> list[Figure]:
    """The quarter to date and the one before it, on one scale."""
    flows = [flow for flow in (told.to_date, told.before) if flow is not None and flow.moves]
    levels = [level for flow in flows for _, *ends in _steps(flow) for level in ends]
    if not levels:
        return []
    low, high = min(levels), max(levels)
    room = max(high - low, high / 50, 100)
    domain = [max(0.0, low - 0.1 * room) / 100, (high + 0.5 * room) / 100]
    return [_waterfall(flow, domain, told, words) for flow in flows]


def _steps(flow: Flow) -> list[tuple[str, int, int]]:
    """name, from, to: the start, each move that there was, the end."""
    steps, level = [("start", flow.start, flow.start)], flow.start
    for name in MOVES:
        if flow.times.get(name):
            steps.append((name, level, level + flow.move(name)))
            level += flow.move(name)
    return [*steps, ("end", flow.end, flow.end)]


def _waterfall(flow: Flow, domain: list[float], told: Movements, words: Words) -> Figure:
    rows = []
    for name, first, last in _steps(flow):
        level = name in ("start", "end")
        amount = first if level else last - first
        rows.append(
            {
                "step": words.text(f"movements.{name}"),
                "from": min(first, last) / 100,
                "to": max(first, last) / 100,
                "level": level,
                "colour": "var(--ink)" if level else f"var(--m-{name})",
                "text": words.exact(amount, False) if level else words.signed(amount, False),
            }
        )
    axis: dict[str, Any] = {"format": "~s", "tickCount": 4}
    x = {
        "field": "from", "type": "quantitative", "title": None, "axis": axis,
        "scale": {"domain": domain, "zero": False, "nice": False},
    }  # fmt: skip
    y = {"field": "step", "type": "nominal", "title": None,
         "sort": [row["step"] for row in rows],
         "axis": {"ticks": False, "domain": False, "grid": False}}  # fmt: skip
    colour = {"field": "colour", "type": "nominal", "scale": None}
    spec = {
        "data": {"values": rows},
        "encoding": {"y": y},
        "layer": [
            {
                "transform": [{"filter": "!datum.level"}],
                "mark": {"type": "bar", "height": {"band": 0.62}},
                "encoding": {"x": x, "x2": {"field": "to"}, "color": colour},
            },
            {
                "transform": [{"filter": "datum.level"}],
                "mark": {"type": "tick", "thickness": 3},
                "encoding": {"x": x, "color": colour},
            },
            {
                "mark": {"type": "text", "align": "left", "dx": 6},
                "encoding": {"x": {**x, "field": "to"}, "text": {"field": "text"}},
            },
        ],
    }
    title = words.text(
        "movements.waterfall",
        period=flow_title(flow, told, words),
        start=words.money(flow.start),
        end=words.money(flow.end),
    )
    spoken = title + ": " + words.listed(f"{row['step']} {row['text']}" for row in rows)
    return figure(spec, title, spoken, height=34 * len(rows) + 30, widths=_WIDTHS)


def flow_table(told: Movements, words: Words, cents: bool) -> FlowTable | None:
    """The quarter to date, the one before and the year, a column each."""
    flows = [flow for flow in (told.to_date, told.before, told.year) if flow is not None]
    if not flows:
        return None
    moves = [name for name in MOVES if any(flow.times.get(name) for flow in flows)]
    names = ("start", *moves, "end", "mrr_churn", "logo_churn", "grr", "nrr")
    columns = []
    for flow in flows:
        values = [words.exact(flow.start, cents)]
        values += [
            words.signed(flow.move(name), cents) if flow.times.get(name) else "–" for name in moves
        ]
        values += [words.exact(flow.end, cents), share(flow.mrr_churn, words), logos(flow, words)]
        values += [share(flow.grr, words), share(flow.nrr, words)]
        days = words.text(
            "movements.days", first=words.short_day(flow.first), last=words.short_day(flow.last)
        )
        columns.append(FlowColumn(flow_title(flow, told, words), days, tuple(values)))
    rows = tuple((words.text(f"movements.{name}"), name in ("start", "end")) for name in names)
    return FlowTable(rows, tuple(columns))


def share(value: float | None, words: Words) -> str:
    """A share to a tenth of a per cent; a dash where there is none."""
    return "–" if value is None else words.figure(100 * value, 1) + "%"


def logos(told: Flow | LedgerMonth, words: Words) -> str:
    """Logo churn with its counts."""
    if not told.accounts:
        return "–"
    counted = words.text(
        "movements.of", part=words.count(told.churned_accounts), all=words.count(told.accounts)
    )
    return f"{share(told.churned_accounts / told.accounts, words)} ({counted})"


def churn_figure(months: Sequence[LedgerMonth], words: Words) -> Figure | None:
    """MRR and logo churn by full month."""
    full = [month for month in months if month.accounts and month.start and not month.partial]
    if len(full) < 2:
        return None
    names = [words.text("movements.mrr_churn"), words.text("movements.logo_churn")]
    rows = [
        {"month": words.month(month.month), "of": name, "share": value}
        for month in full
        for name, value in zip(
            names,
            (month.mrr_churn, month.churned_accounts / month.accounts),
            strict=True,
        )
    ]
    spec = {
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "month", "type": "ordinal", "sort": None, "title": None},
            "y": {"field": "share", "type": "quantitative", "title": None,
                  "axis": {"format": ".1%", "tickCount": 4}},
            "color": {"field": "of", "type": "nominal", "sort": None,
                      "legend": {"symbolType": "stroke", "symbolSize": 400, "symbolStrokeWidth": 2},
                      "scale": {"domain": names, "range": ["var(--down)", "var(--up)"]}},
            # Told apart without colour too.
            "strokeDash": {"field": "of", "type": "nominal", "sort": None,
                           "scale": {"domain": names, "range": [[1, 0], [5, 4]]}},
        },
    }  # fmt: skip
    last = full[-1]
    title = words.text(
        "movements.chart_churn",
        month=words.month(last.month),
        mrr=share(last.mrr_churn, words),
        logos=share(last.churned_accounts / last.accounts, words),
    )
    return figure(spec, title, title, height=200)


def rate_rows(told: Movements, words: Words) -> tuple[RateRow, ...]:
    """Churn by quarter, then by month, newest first."""
    # Of a quarter that is over, the quarter to date is the quarter.
    now = (
        [told.to_date]
        if told.to_date and all(q.first != told.to_date.first for q in told.quarters)
        else []
    )
    found = [
        RateRow(
            flow_title(flow, told, words),
            flow is told.to_date,
            *_rate(flow, words),
        )
        for flow in (*now, *reversed(told.quarters))
        if flow.accounts
    ]
    found += [
        RateRow(words.month(month.month), month.partial, *_rate(month, words))
        for month in reversed(told.months)
        if month.accounts
    ]
    return tuple(found)


def _rate(told: Flow | LedgerMonth, words: Words) -> tuple[str, str, str]:
    mrr = share(told.mrr_churn, words)
    counted = words.text(
        "movements.of", part=words.count(told.churned_accounts), all=words.count(told.accounts)
    )
    logo = share(told.churned_accounts / told.accounts, words)
    return mrr, logo, counted
