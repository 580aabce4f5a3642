"""Reasons for leaving, and what was kept of each cohort, as tables. Owns shades and what is greyed; computes
no sum of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from churnml.report.cohorts import Cohort, CohortCell, Cohorts
from churnml.report.flows_view import flow_title
from churnml.report.movements import Flow, Movements
from churnml.report.words import Words

SMALL = 5  # accounts: below it a share says little
_QUARTERS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 20)  # as many columns as a phone shows
_ROWS = 10


@dataclass(frozen=True)
class HeatCell:
    """shade: 0 to 5, the more was kept; None for an empty cell. open: not all of the cohort is so far."""

    text: str
    shade: int | None = None
    open: bool = False


@dataclass(frozen=True)
class HeatRow:
    name: str
    size: str
    small: bool
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True)
class Heat:
    """One table of shares that were kept."""

    title: str
    quarters: tuple[int, ...]
    rows: tuple[HeatRow, ...]


@dataclass(frozen=True)
class ReasonLine:
    """One reason. bar: of 100, beside the reason with most MRR. cells: of each period, MRR and accounts."""

    name: str
    bar: float
    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReasonTable:
    periods: tuple[str, ...]
    lines: tuple[ReasonLine, ...]


def heats(cohorts: Cohorts, words: Words) -> tuple[Heat, ...]:
    """Logos kept, and MRR kept."""
    rows = cohorts.rows[-_ROWS:]
    most = max((cell.quarters for row in rows for cell in row.cells), default=0)
    if most == 0:
        return ()
    quarters = tuple(number for number in _QUARTERS if number <= most)
    return tuple(
        Heat(
            words.text(f"cohorts.{what}"),
            quarters,
            tuple(_row(row, cohorts.yearly, quarters, what, words) for row in rows),
        )
        for what in ("logos", "mrr")
    )


def _row(row: Cohort, yearly: bool, quarters: Sequence[int], what: str, words: Words) -> HeatRow:
    small = row.accounts < SMALL
    cells = {cell.quarters: cell for cell in row.cells}
    return HeatRow(
        str(row.first.year) if yearly else words.quarter(row.first),
        words.count(row.accounts).text,
        small,
        tuple(_cell(cells.get(number), small, what, words) for number in quarters),
    )


def _cell(cell: CohortCell | None, small: bool, what: str, words: Words) -> HeatCell:
    if cell is None or not (cell.accounts if what == "logos" else cell.mrr):
        return HeatCell("")
    logos = what == "logos"
    share = cell.kept / cell.accounts if logos else cell.kept_mrr / cell.mrr
    text = f"{cell.kept}/{cell.accounts}" if small and logos else words.figure(100 * share, 0)
    shade = None if small else max(0, min(5, int((share - 0.4) * 10)))
    return HeatCell(text, shade, not cell.over)


def reason_table(told: Movements, words: Words) -> ReasonTable | None:
    """Reasons by MRR, over the quarter to date and the year; None where nobody left."""
    flows: list[Flow] = [flow for flow in (told.to_date, told.year) if flow is not None]
    if not any(flow.reasons for flow in flows):
        return None
    order = {
        reason.reason: reason.mrr for flow in flows for reason in flow.reasons
    }  # the longest period's, where it has one
    most = max(order.values())
    lines = []
    # Those without a reason stand last, however much they are.
    for name in sorted(order, key=lambda name: (name is None, -order[name], name or "")):
        cells = []
        for flow in flows:
            found = next((item for item in flow.reasons if item.reason == name), None)
            cells.append(
                ("–", "")
                if found is None
                else (
                    words.money(found.mrr).text,
                    words.text("cards.mrr_note", accounts=words.count(found.accounts)),
                )
            )
        key = f"reasons.{name or 'none'}"
        lines.append(
            ReasonLine(
                words.text(key) if words.has(key) else str(name),
                round(100 * order[name] / most, 1),
                tuple(cells),
            )
        )
    return ReasonTable(tuple(flow_title(flow, told, words) for flow in flows), tuple(lines))
