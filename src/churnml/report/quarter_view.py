"""The first section in words. Owns which sentence its numbers call for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.report.data import ReportData
from churnml.report.part import Part
from churnml.report.quarter import Outlook, Quarter
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
class QuarterView:
    """What quarter.html.j2 asks for. headline: None where nothing was judged."""

    data: Quarter
    headline: Headline | None
    cards: tuple[Card, ...]


def quarter_part(data: ReportData, words: Words) -> Part:
    """The first section."""
    headline = _headline(data, words)
    view = QuarterView(data.quarter, headline, tuple(_cards(data, words)) if headline else ())
    title = words.text(f"headline.{data.quarter.lead or 'churn'}")
    return Part("risk", title, "quarter.html.j2", view)


def _headline(data: ReportData, words: Words) -> Headline | None:
    outlook = data.quarter.outlook(data.quarter.lead) if data.quarter.lead else None
    if outlook is None:
        return None
    total = sum(tier.mrr for tier in data.quarter.tiers) or 1
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
            for tier in data.quarter.tiers
        ),
    )


def _cards(data: ReportData, words: Words) -> list[Card]:
    cards = [
        Card(
            words.text("cards.mrr"),
            words.money(data.quarter.mrr).text,
            words.text("cards.mrr_note", accounts=words.count(data.quarter.accounts)),
        )
    ]
    why = {item.target: item.why for item in data.trust.evaluations if not item.promoted}
    for target in ("churn", "contraction", "expansion"):
        if target == data.quarter.lead:
            continue
        outlook = data.quarter.outlook(target)
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
    unscored = words.text(
        "cards.unscored_note", accounts=words.count(data.quarter.unscored_accounts)
    )
    title = words.text("cards.unscored")
    return [*cards, Card(title, words.money(data.quarter.unscored_mrr).text, unscored)]


def _range(outlook: Outlook, words: Words) -> str:
    return words.text(
        "headline.range", low=words.money(outlook.low_mrr), high=words.money(outlook.high_mrr)
    )
