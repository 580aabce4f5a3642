"""What drives churn, in words. Owns which sentence its numbers call for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.report.data import ReportData
from churnml.report.part import Part
from churnml.report.words import Words


@dataclass(frozen=True)
class DriverView:
    label: str
    at_risk: str
    high: str
    accounts: str
    hot: float
    rest: float


@dataclass(frozen=True)
class DriversView:
    """What drivers.html.j2 asks for."""

    rows: tuple[DriverView, ...]
    any_high: bool
    title: str
    growth: bool


def drivers_part(data: ReportData, words: Words) -> Part | None:
    """The second section; None where nothing was judged."""
    lead = data.quarter.lead
    if lead is None:
        return None
    growth = lead == "expansion"
    title = words.text("drivers.title_expansion" if growth else "drivers.title")
    # Where no account stands in a high tier, a column of zeros says nothing.
    any_high = any(item.high_mrr_at_risk for item in data.drivers.risks)
    view = DriversView(tuple(_drivers(data, words)), any_high, title, growth)
    return Part("drivers", title, "drivers.html.j2", view)


def _drivers(data: ReportData, words: Words) -> list[DriverView]:
    most = max((item.mrr_at_risk for item in data.drivers.risks), default=0.0) or 1.0
    return [
        DriverView(
            label=words.driver(item.driver),
            at_risk=words.money(item.mrr_at_risk).text,
            high=words.money(item.high_mrr_at_risk).text,
            accounts=words.count(item.accounts).text,
            hot=round(100 * item.high_mrr_at_risk / most, 2),
            rest=round(100 * (item.mrr_at_risk - item.high_mrr_at_risk) / most, 2),
        )
        for item in data.drivers.risks
    ]
