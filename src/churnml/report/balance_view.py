"""Success and revenue apart, in words and a plot. Owns which sentence a verdict calls for."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.report.balance import (
    NRR_MOVES,
    QUARTERS_BACK,
    SUCCESS_MOVES,
    Balance,
    BalancePoint,
)
from churnml.report.plain_table import PlainTable, plain_table
from churnml.report.vega import Figure, figure
from churnml.report.words import Words


@dataclass(frozen=True)
class BalanceView:
    """flag: whether growth rests on use that falls. rule: what counts as rising and falling."""

    says: str
    flag: bool
    rule: str
    chart: Figure | None
    table: PlainTable | None


def balance_view(told: Balance, words: Words) -> BalanceView:
    """The block of the two lines."""
    known = [point for point in told.points if point.success is not None or point.nrr is not None]
    numbers = {
        "nrr": _points(told.nrr_change, words),
        "success": _points(told.success_change, words),
    }
    return BalanceView(
        says=words.text(f"balance.{told.verdict}", **numbers),
        flag=told.verdict == "unsustainable",
        rule=words.text(
            "balance.rule",
            quarters=words.count(QUARTERS_BACK),
            nrr=words.count(100 * NRR_MOVES),
            success=words.count(100 * SUCCESS_MOVES),
        ),
        chart=_chart(told, words) if _drawable(told) else None,
        # Without a plot the words say what is missing; numbers of one line alone tell of no balance.
        table=_table(known, words) if known and told.verdict != "unknown" else None,
    )


def _points(change: float | None, words: Words) -> str:
    if change is None:
        return "–"
    sign = "+" if change > 0 else "−" if change < 0 else ""
    return sign + words.figure(abs(100 * change), 1)


def _drawable(told: Balance) -> bool:
    both = [p for p in told.points if p.success is not None and p.nrr is not None]
    return len(both) > 1


def quarter(point: BalancePoint, words: Words) -> str:
    """The quarter's name."""
    number = (point.first.month + 2) // 3
    return words.text("done.quarter", year=str(point.first.year), quarter=str(number))


def _short(point: BalancePoint, words: Words) -> str:
    """The quarter's name on an axis, as short as a phone needs it."""
    number = (point.first.month + 2) // 3
    return words.text("balance.point", year=str(point.first.year), quarter=str(number))


def _chart(told: Balance, words: Words) -> Figure:
    names = (words.text("balance.nrr"), words.text("balance.index"))
    rows = [
        {"quarter": _short(point, words), "what": name, "share": 100 * value}
        for point in told.points
        for name, value in zip(names, (point.nrr, point.success), strict=True)
        if value is not None
    ]
    spec = {
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "quarter", "type": "ordinal", "sort": None, "title": None,
                  "scale": {"padding": 0.3}},
            "y": {"field": "share", "type": "quantitative", "title": None,
                  "scale": {"zero": False, "nice": True}, "axis": {"labelExpr": "datum.label + '%'",
                  "tickCount": 5}},
            "color": {"field": "what", "type": "nominal", "sort": None,
                      "scale": {"domain": list(names), "range": ["var(--up)", "var(--down)"]}},
        },
    }  # fmt: skip
    title = words.text(f"balance.chart_{told.verdict}")
    spoken = "; ".join(
        f"{quarter(point, words)}: {names[0]} {_share(point.nrr, words)}, "
        f"{names[1]} {_share(point.success, words)}"
        for point in told.points
    )
    return figure(spec, title, f"{title}: {spoken}", height=240)


def _table(points: list[BalancePoint], words: Words) -> PlainTable:
    rows = [
        [
            quarter(point, words),
            *(
                _share(share, words)
                for share in (point.nrr, point.success, point.completing_share, point.seat_share)
            ),
        ]
        for point in points
    ]
    heads = [
        words.text(f"balance.{name}") for name in ("quarter", "nrr", "index", "completing", "seats")
    ]
    return plain_table(words.text("balance.caption"), heads, rows)


def _share(value: float | None, words: Words) -> str:
    return "–" if value is None else words.figure(100 * value, 1) + "%"
