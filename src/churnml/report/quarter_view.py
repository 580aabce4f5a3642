"""The first section in words. Owns which sentence its numbers call for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.explain.text import Shown
from churnml.report.data import ReportData
from churnml.report.flows_view import flow_title, share
from churnml.report.movements import Flow
from churnml.report.part import Part
from churnml.report.quarter import AccountLine, Behind, ExpectedMove, Outlook, Quarter
from churnml.report.record_view import off_says
from churnml.report.words import Words

_MOST_OF = 0.95  # of the MRR that is paid: a book with less says what it leaves out
_FEW = 20  # accounts: of fewer no tier is expected to part them


@dataclass(frozen=True)
class TierView:
    name: str
    share: float
    accounts: int
    label: str
    text: str


@dataclass(frozen=True)
class BehindView:
    """What stands behind a number and what to do; either may be empty."""

    driver: str
    action: str


@dataclass(frozen=True)
class ChangeLine:
    name: str
    amount: str
    says: str


@dataclass(frozen=True)
class ChangeView:
    """What changed since the older book, and its parts; without one what it would need."""

    title: str
    lines: tuple[ChangeLine, ...]
    note: str


@dataclass(frozen=True)
class Headline:
    title: str
    amount: str
    range: str
    says: str
    warning: str
    note: str
    tiers_title: str
    tiers: tuple[TierView, ...]


@dataclass(frozen=True)
class Card:
    """One number. lines: its range and what it was before."""

    title: str
    value: str
    lines: tuple[str, ...]
    behind: BehindView | None = None


@dataclass(frozen=True)
class QuarterView:
    """What quarter.html.j2 asks for. headline: None where nothing was judged."""

    data: Quarter
    headline: Headline | None
    behind: BehindView | None
    change: ChangeView | None
    cards: tuple[Card, ...]
    book: str
    first: tuple[AccountLine, ...]
    cost: str
    notes: tuple[str, ...]


def quarter_part(data: ReportData, words: Words) -> Part:
    """The first section."""
    headline = _headline(data, words)
    quarter = data.quarter
    view = QuarterView(
        data=quarter,
        headline=headline,
        behind=_behind(quarter.behind.get(quarter.lead or ""), words),
        change=_change(data, words) if headline else None,
        cards=tuple(_cards(data, words)) if headline else (),
        book=_book(data, words),
        # The section on renewals names more of them, with more about each.
        first=() if data.renewals is not None and data.renewals.named else quarter.first,
        cost=_cost(quarter, words),
        notes=tuple(_notes(data, words)),
    )
    title = words.text(f"headline.{quarter.lead or 'churn'}")
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
        range=_range(outlook.low_mrr, outlook.high_mrr, words),
        says=words.text(
            f"headline.{outlook.target}_says",
            **{"from": words.day(outlook.window_from), "until": words.day(outlook.window_until)},
            expected=words.about(outlook.expected_accounts),
            accounts=words.count(outlook.accounts),
            share=words.percent(outlook.expected_mrr / outlook.mrr if outlook.mrr else 0.0),
            mrr=words.money(outlook.mrr),
        ),
        warning=off_says(data.trust.record(outlook.target), words),
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


def _behind(told: Behind | None, words: Words) -> BehindView | None:
    if told is None or not (told.driver or told.play):
        return None
    driver = action = ""
    if told.driver:
        driver = words.text(
            "quarter.because",
            driver=words.driver(told.driver),
            share=words.percent(told.driver_share),
        )
    if told.action:
        action = words.text("quarter.do", action=told.action, share=words.percent(told.play_share))
    return BehindView(driver, action)


def _change(data: ReportData, words: Words) -> ChangeView | None:
    quarter = data.quarter
    if quarter.period_start is None:
        return None
    change = quarter.change
    if change is None:
        day = words.day(quarter.period_start)
        needs = words.text("quarter.no_older", day=day)
        return ChangeView(words.text("quarter.change_none"), (), needs)
    title = words.text(
        "quarter.change",
        day=words.day(change.before),
        before=words.money(change.expected_before),
        amount=_signed(change.shown_whole, words),
    )
    lines = []
    for name, amount in change.shown().items():
        key = "model_same" if name == "model" and change.version == change.version_before else name
        says = words.text(
            f"quarter.{key}_says",
            came=words.count(change.came),
            gone=words.count(change.gone),
            stayed=words.count(change.stayed),
        )
        lines.append(ChangeLine(words.text(f"quarter.{name}"), _signed(amount, words), says))
    return ChangeView(title, tuple(lines), "")


def _cards(data: ReportData, words: Words) -> list[Card]:
    cards = []
    why = {item.target: item.why for item in data.trust.evaluations if not item.promoted}
    for target in ("churn", "contraction", "expansion"):
        if target == data.quarter.lead:
            continue
        outlook, move = data.quarter.outlook(target), data.quarter.move(target)
        title = words.text(f"cards.{target}")
        if outlook is None:
            # The target may simply not be declared: then nobody waits for it.
            if target in why:
                cards.append(Card(title, "–", (words.text("cards.no_model"),)))
            continue
        told = _behind(data.quarter.behind.get(target), words)
        if move is not None:
            cards.append(_move_card(move, outlook, told, words))
            continue
        note = words.text(
            f"cards.{target}_note",
            expected=words.about(outlook.expected_accounts),
            low=words.money(outlook.low_mrr),
            high=words.money(outlook.high_mrr),
        )
        cards.append(Card(title, words.money(outlook.expected_mrr).text, (note,), told))
    return [*cards, *_retention(data, words)]


def _move_card(move: ExpectedMove, outlook: Outlook, told: BehindView | None, words: Words) -> Card:
    sign = -1 if move.target == "contraction" else 1
    lines = [
        words.text(
            "quarter.move_range",
            low=words.money(move.low),
            high=words.money(move.high),
        ),
        words.text(
            "quarter.move_note",
            expected=words.about(move.accounts),
            mrr=words.money(outlook.expected_mrr),
        ),
    ]
    if move.before is not None:
        before = _signed(sign * move.before, words)
        lines.append(words.text("quarter.before", amount=before))
    title = words.text(f"quarter.expected_{move.target}")
    return Card(title, _signed(sign * move.change, words), tuple(lines), told)


def _retention(data: ReportData, words: Words) -> list[Card]:
    """GRR and NRR: to date, as they are expected, and in the period before."""
    now, before, ahead = data.movements.to_date, data.movements.before, data.quarter.retention
    cards = []
    for name in ("grr", "nrr"):
        to_date: float | None = getattr(now, name) if now else None
        if to_date is None:
            continue
        lines = []
        if ahead is not None:
            lines.append(
                words.text(
                    "quarter.forecast",
                    share=share(getattr(ahead, name), words),
                    low=share(getattr(ahead, f"{name}_low"), words),
                    high=share(getattr(ahead, f"{name}_high"), words),
                    day=words.short_day(ahead.until),
                )
            )
        if before is not None and getattr(before, name) is not None:
            same = flow_title(before, data.movements, words)
            value = share(getattr(before, name), words)
            lines.append(words.text("quarter.was", period=same, share=value))
        if now is not None and (moved := _most_moved(now, name, words)):
            lines.append(moved)
        told = _behind(data.quarter.behind.get(name), words)
        cards.append(Card(words.text(f"quarter.{name}"), share(to_date, words), tuple(lines), told))
    return cards


def _most_moved(flow: Flow, name: str, words: Words) -> str:
    """The movement that took most (of GRR) or gave most (of NRR) in the period."""
    took = {kind: -flow.move(kind) for kind in ("churn", "contraction", "term_change")}
    gave = {kind: flow.move(kind) for kind in ("expansion", "term_change")}
    told = took if name == "grr" else gave
    kind = max(told, key=lambda kind: told[kind])
    if told[kind] <= 0:
        return ""
    return words.text(
        f"quarter.moved_{name}",
        kind=words.text(f"movements.{kind}"),
        amount=_signed(flow.move(kind), words),
    )


def _book(data: ReportData, words: Words) -> str:
    quarter, flow = data.quarter, data.movements.to_date
    told = [
        words.text(
            "quarter.book", accounts=words.count(quarter.accounts), mrr=words.money(quarter.mrr)
        )
    ]
    if quarter.unscored_accounts:
        told.append(
            words.text(
                "quarter.unscored",
                accounts=words.count(quarter.unscored_accounts),
                mrr=words.money(quarter.unscored_mrr),
            )
        )
    judged = [tier for tier in quarter.tiers if tier.accounts and tier.tier != "unknown"]
    if len(judged) == 1 and judged[0].accounts >= _FEW:
        told.append(words.text("quarter.one_tier", tier=Shown(words.tier(judged[0].tier))))
    if flow is not None and quarter.mrr < _MOST_OF * flow.end:
        told.append(
            words.text(
                "quarter.outside",
                share=words.percent(1 - quarter.mrr / flow.end),
                all=words.money(flow.end),
            )
        )
    return words.sentences(told)


def _cost(quarter: Quarter, words: Words) -> str:
    if quarter.churn_rate is None or len(quarter.costs) < 2:
        return ""
    here, there = quarter.costs[0], quarter.costs[-1]
    return words.text(
        "quarter.cost",
        rate=share(quarter.churn_rate, words),
        all=words.money(100 * here.mrr),
        month=words.money(100 * here.new_per_month),
        lost=words.money(100 * here.lost_in_a_year),
        times=words.count(there.times),
        month_there=words.money(100 * there.new_per_month),
        lost_there=words.money(100 * there.lost_in_a_year),
    )


def _notes(data: ReportData, words: Words) -> list[str]:
    """The definitions of what stands above."""
    quarter, notes = data.quarter, []
    for move in quarter.expected:
        key = "size_assumed" if move.size.assumed else "size_own"
        notes.append(
            words.text(
                f"quarter.{key}",
                target=words.target(move.target),
                share=words.percent(move.size.share),
                moves=words.count(move.size.moves),
            )
        )
    ahead = quarter.retention
    if ahead is not None:
        notes.append(
            words.text(
                "quarter.forecast_note",
                day=words.day(ahead.until),
                level=words.percent(ahead.level),
                unscored=words.count(ahead.unscored_accounts),
            )
        )
        if ahead.without:
            names = words.listed(words.target(name) for name in ahead.without)
            notes.append(words.text("quarter.forecast_without", targets=names))
    return notes


def _signed(amount: float, words: Words) -> str:
    if round(amount / 100) == 0:
        return words.money(0).text
    return ("+" if amount > 0 else "−") + words.money(abs(amount)).text


def _range(low: float, high: float, words: Words) -> str:
    return words.text("headline.range", low=words.money(low), high=words.money(high))
