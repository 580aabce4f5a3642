"""The report's sentences. Owns which sentence the numbers call for; computes no sum, writes no HTML.

Every sentence is chosen here and worded in `words/<language>.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from churnml.explain.text import Shown
from churnml.features.catalog import BY_NAME
from churnml.report import charts
from churnml.report.model import MOVES, Outlook, ReportData
from churnml.report.trust import Verdict, verdict_of
from churnml.report.words import Words


@dataclass(frozen=True)
class TierView:
    name: str
    share: float
    accounts: int
    label: str
    text: str


@dataclass(frozen=True)
class Headline:
    title: str
    amount: str
    range: str
    says: str
    note: str
    tiers_title: str
    tiers: tuple[TierView, ...]


@dataclass(frozen=True)
class Card:
    title: str
    value: str
    note: str


@dataclass(frozen=True)
class DriverView:
    label: str
    at_risk: str
    high: str
    accounts: str
    hot: float
    rest: float


@dataclass(frozen=True)
class View:
    """What the template asks for beside the data themselves."""

    headline: Headline | None
    cards: tuple[Card, ...]
    drivers: tuple[DriverView, ...]
    any_high: bool
    flow: charts.FlowChart | None
    flow_label: str
    level: charts.LevelChart | None
    level_label: str
    kept: str
    moves: tuple[str, ...]
    totals: Mapping[str, int]
    months_total: str
    cents: bool
    verdicts: tuple[Verdict, ...]
    misuse: tuple[str, ...]
    drift: tuple[str, ...]
    definitions: tuple[tuple[str, str], ...] = field(default=())


def view_of(data: ReportData, words: Words) -> View:
    """The sentences, cards and charts of a report in one language."""
    flow, level = charts.flow_chart(data.months), charts.level_chart(data.months)
    amounts = [month.move(name) for month in data.months for name in MOVES]
    amounts += [month.end for month in data.months]
    return View(
        headline=_headline(data, words),
        cards=tuple(_cards(data, words)),
        drivers=tuple(_drivers(data, words)),
        # Where no account stands in a high tier, a column of zeros says nothing.
        any_high=any(item.high_mrr_at_risk for item in data.drivers),
        flow=flow,
        flow_label=_spoken(data, words, flow.moves) if flow else "",
        level=level,
        level_label=_spoken_level(data, words) if level else "",
        kept=_kept(data, words),
        moves=tuple(name for name in MOVES if any(month.move(name) for month in data.months)),
        totals={name: sum(month.move(name) for month in data.months) for name in MOVES},
        months_total=words.text("movements.total", count=words.count(len(data.months))),
        cents=any(amount % 100 for amount in amounts),
        verdicts=tuple(verdict_of(item, words) for item in data.evaluations),
        misuse=tuple(words.texts("misuse")[1:]),
        drift=tuple(_drift(data.drift, words)),
        definitions=tuple(_definitions(data, words)),
    )


def contents(data: ReportData, words: Words) -> list[tuple[str, str]]:
    """The sections that the page has: (anchor, title)."""
    growth = "_expansion" if data.lead == "expansion" else ""
    scored = [
        ("first", words.text("first.title")),
        ("drivers", words.text(f"drivers.title{growth}")),
    ]
    return [
        ("risk", words.text(f"headline.{data.lead or 'churn'}")),
        *(scored if data.lead else ()),
        ("movements", words.text("movements.title")),
        ("trust", words.text("trust.title")),
        ("data", words.text("data.title")),
    ]


# What is at risk


def _headline(data: ReportData, words: Words) -> Headline | None:
    outlook = data.outlook(data.lead) if data.lead else None
    if outlook is None:
        return None
    total = sum(tier.mrr for tier in data.tiers) or 1
    note = "headline.range_note" if outlook.target == "churn" else "headline.range_note_change"
    return Headline(
        title=words.text(f"headline.{outlook.target}"),
        amount=words.money(outlook.expected_mrr).text,
        range=_range(outlook, words),
        says=words.text(
            f"headline.{outlook.target}_says",
            **{"from": words.day(outlook.window_from), "until": words.day(outlook.window_until)},
            expected=words.about(outlook.expected_accounts),
            accounts=words.count(outlook.accounts),
            share=words.percent(outlook.expected_mrr / outlook.mrr if outlook.mrr else 0.0),
            mrr=words.money(outlook.mrr),
        ),
        note=words.text(note, level=words.percent(outlook.level)),
        tiers_title=words.text(
            "headline.tiers_expansion" if outlook.target == "expansion" else "headline.tiers"
        ),
        tiers=tuple(
            TierView(
                name=tier.tier,
                share=round(100 * tier.mrr / total, 2),
                accounts=tier.accounts,
                label=words.tier(tier.tier),
                text=words.text(
                    "headline.tier_line",
                    accounts=words.count(tier.accounts),
                    mrr=words.money(tier.mrr),
                ),
            )
            for tier in data.tiers
        ),
    )


def _cards(data: ReportData, words: Words) -> list[Card]:
    cards = [
        Card(
            words.text("cards.mrr"),
            words.money(data.mrr).text,
            words.text("cards.mrr_note", accounts=words.count(data.accounts)),
        )
    ]
    why = {item.target: item.why for item in data.evaluations if not item.promoted}
    for target in ("churn", "contraction", "expansion"):
        if target == data.lead:
            continue
        outlook = data.outlook(target)
        title = words.text(f"cards.{target}")
        if outlook is None:
            # The target may simply not be declared: then nobody waits for it.
            if target in why:
                cards.append(Card(title, "–", words.text("cards.no_model")))
            continue
        note = words.text(
            f"cards.{target}_note",
            expected=words.about(outlook.expected_accounts),
            low=words.money(outlook.low_mrr),
            high=words.money(outlook.high_mrr),
        )
        cards.append(Card(title, words.money(outlook.expected_mrr).text, note))
    unscored = words.text("cards.unscored_note", accounts=words.count(data.unscored_accounts))
    title = words.text("cards.unscored")
    return [*cards, Card(title, words.money(data.unscored_mrr).text, unscored)]


def _range(outlook: Outlook, words: Words) -> str:
    return words.text(
        "headline.range", low=words.money(outlook.low_mrr), high=words.money(outlook.high_mrr)
    )


def _drivers(data: ReportData, words: Words) -> list[DriverView]:
    most = max((item.mrr_at_risk for item in data.drivers), default=0.0) or 1.0
    return [
        DriverView(
            label=words.driver(item.driver),
            at_risk=words.money(item.mrr_at_risk).text,
            high=words.money(item.high_mrr_at_risk).text,
            accounts=words.count(item.accounts).text,
            hot=round(100 * item.high_mrr_at_risk / most, 2),
            rest=round(100 * (item.mrr_at_risk - item.high_mrr_at_risk) / most, 2),
        )
        for item in data.drivers
    ]


# How MRR moved


def _kept(data: ReportData, words: Words) -> str:
    if data.kept is None:
        return ""
    return words.text(
        "movements.kept",
        count=words.count(data.kept.months),
        grr=words.figure(100 * data.kept.grr, 1) + "%",
        nrr=words.figure(100 * data.kept.nrr, 1) + "%",
    )


def _spoken(data: ReportData, words: Words, moves: Sequence[str]) -> str:
    """What a screen reader says of the chart: the sums; the table below has every month."""
    sums = (
        f"{words.text(f'movements.{name}')} "
        f"{words.money(sum(month.move(name) for month in data.months)).text}"
        for name in moves
    )
    return f"{words.text('movements.chart_flow')}: {', '.join(sums)}"


def _spoken_level(data: ReportData, words: Words) -> str:
    first, last = data.months[0], data.months[-1]
    return (
        f"{words.text('movements.chart_level')}: {words.month(first.month)} "
        f"{words.money(first.end).text}, {words.month(last.month)} {words.money(last.end).text}"
    )


# Data


def _drift(drift: Mapping[str, Any], words: Words) -> list[str]:
    """One sentence a target; the names of what moved in the words of their drivers."""
    says = []
    for target, summary in drift.items():
        status = summary["status"]
        text = words.text(
            f"data.drift_{status}",
            features=words.count(summary.get("features", 0)),
            moving=words.count(summary.get("moving", 0)),
            shifted=words.count(summary.get("shifted", 0)),
            missing_jumps=words.count(summary.get("missing_jumps", 0)),
        )
        moved = [str(item["feature"]) for item in summary.get("moved", ())]
        known = (words.driver(BY_NAME[name].driver) if name in BY_NAME else name for name in moved)
        names = list(dict.fromkeys(known))[:5]
        if names:
            text += " " + words.text("data.drift_moved", names=words.listed(names))
        says.append(f"{words.target(target)}: {text}")
    return says


def _definitions(data: ReportData, words: Words) -> list[tuple[str, str]]:
    numbers = {
        "grace": words.count(data.grace_days),
        "basis": Shown(words.text(f"basis.{data.basis}")),
    }
    return [(term, words.fill(text, numbers)) for term, text in words.items("definitions")]
