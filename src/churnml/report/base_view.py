"""The health of the base, in words, tables and plots. Owns which sentence its numbers call for; computes no
sum of its own. No note's text is shown: it may name people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from babel.dates import format_skeleton

from churnml.explain.text import Shown
from churnml.report.balance_view import BalanceView, balance_view
from churnml.report.base import (
    ACTIVE_DAYS,
    ADOPTION_DAYS,
    ADOPTION_LATELY,
    CLASS_OF,
    LEFT_DAYS,
    MARKS,
    NPS_DAYS,
    SILENT_DAYS,
    Activation,
    Base,
    MonthUse,
    Nps,
    Voice,
)
from churnml.report.data import ReportData
from churnml.report.part import Part
from churnml.report.plain_table import PlainTable, plain_table
from churnml.report.vega import Figure, figure
from churnml.report.words import Words

_TOPICS, _MODULES = 10, 10


@dataclass(frozen=True)
class Card:
    """A number with its name and what stands beside it."""

    title: str
    value: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """A titled part of the section. metric: the class of its numbers."""

    anchor: str
    title: str
    metric: str
    lead: str
    cards: tuple[Card, ...] = ()
    chart: Figure | None = None
    table: PlainTable | None = None
    more: PlainTable | None = None
    more_title: str = ""
    note: str = ""


@dataclass(frozen=True)
class BaseView:
    """What base.html.j2 asks for. needs: what more tables and columns would tell, a line each."""

    lead: str
    balance: BalanceView
    classes: tuple[str, str]
    blocks: tuple[Block, ...]
    needs: tuple[str, ...]


def base_part(data: ReportData, words: Words) -> Part | None:
    """The seventh section; None in a report without it."""
    told = data.base
    if told is None:
        return None
    makers = (_company, _modules, _key_users, _activation, _nps, _growth, _voice)
    blocks = [made for made in (make(told, words) for make in makers) if made is not None]
    view = BaseView(
        lead=words.text("base.lead", accounts=words.count(told.paying)),
        balance=balance_view(told.balance, words),
        classes=(_class("nrr", words), _class("success", words)),
        blocks=tuple(blocks),
        needs=tuple(words.text(f"base_needs.{name}") for name in told.needs),
    )
    return Part("base", words.text("base.title"), "base.html.j2", view)


def _class(name: str, words: Words) -> str:
    return words.text(f"metric_class.{CLASS_OF[name]}")


def _block(name: str, words: Words, **parts: object) -> Block:
    title, metric = words.text(f"base.{name}"), _class(name, words)
    if "lead" not in parts:
        parts["lead"] = words.text(f"base.{name}_lead")
    return Block(f"base-{name}", title, metric, **parts)  # type: ignore[arg-type]


# --------------------------------------------------------------------------- the company


def _company(told: Base, words: Words) -> Block | None:
    if not told.months or not told.paying:
        return None
    now, then = told.months[-1], told.months[0]
    other = then if len(told.months) > 1 else None
    cards = [
        Card(
            words.text("base.active"),
            _share(now.active, now.accounts, words),
            (
                words.text(
                    "base.active_of",
                    active=words.count(now.active),
                    accounts=words.count(now.accounts),
                ),
                *_against(
                    other, _share(other.active, other.accounts, words) if other else "", words
                ),
            ),
        )
    ]
    if now.seat_share is not None:
        was = other.seat_share if other else None
        cards.append(
            Card(
                words.text("base.seats"),
                words.percent(now.seat_share).text,
                (
                    words.text(
                        "base.seats_of",
                        people=words.count(now.seated or 0),
                        seats=words.count(now.seats or 0),
                    ),
                    *_against(other, "" if was is None else words.percent(was).text, words),
                ),
            )
        )
    elif now.people is not None:
        cards.append(Card(words.text("base.people"), words.count(now.people).text, ()))
    for name in ("visits", "events"):
        value = now.per_account(getattr(now, name))
        if value is not None:
            was = other.per_account(getattr(other, name)) if other else None
            old = "" if was is None else words.about(was).text
            cards.append(
                Card(words.text(f"base.{name}"), words.about(value).text,
                     _against(other, old, words))
            )  # fmt: skip
    return _block("company", words, cards=tuple(cards[:4]), chart=_use(told.months, words))


def _share(part: int, whole: int, words: Words) -> str:
    return words.percent(part / whole).text if whole else "–"


def _against(then: MonthUse | None, value: str, words: Words) -> tuple[str, ...]:
    if then is None or not value or value == "–":
        return ()
    return (words.text("base.was", value=value, day=words.short_day(then.last)),)


def _use(months: tuple[MonthUse, ...], words: Words) -> Figure | None:
    """People against seats, over the year."""
    if len(months) < 2 or any(m.seats is None or m.seated is None for m in months):
        return None
    names = (words.text("base.line_seats"), words.text("base.line_people"))
    rows = [
        {
            "day": format_skeleton("MMMd", month.last, locale=words.explain.locale),
            "what": name,
            "count": value,
        }
        for month in months
        for name, value in zip(names, (month.seats, month.seated), strict=True)
    ]
    spec = {
        "data": {"values": rows},
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "day", "type": "ordinal", "title": None, "sort": None},
            "y": {"field": "count", "type": "quantitative", "title": None,
                  "axis": {"tickCount": 4}},
            "color": {"field": "what", "type": "nominal", "sort": None, "scale": {
                "domain": list(names), "range": ["var(--neutral)", "var(--up)"]}},
        },
    }  # fmt: skip
    now, then = months[-1], months[0]
    numbers: dict[str, Shown | str] = {
        "now": words.percent(now.seat_share or 0.0),
        "then": words.percent(then.seat_share or 0.0),
        "day": words.short_day(then.last),
    }
    title = words.text("base.chart_seats", **numbers)
    spoken = ", ".join(
        f"{words.short_day(m.last)} {words.count(m.seated or 0).text}/{words.count(m.seats or 0).text}"
        for m in months
    )
    return figure(spec, title, f"{title}: {spoken}", height=220)


# --------------------------------------------------------------------------- product and people


def _modules(told: Base, words: Words) -> Block | None:
    if not told.modules or not told.paying:
        return None
    rows = [
        [
            item.module,
            words.count(item.viewed).text,
            words.count(item.started).text,
            words.count(item.completed).text,
            _share(item.completed, item.viewed, words),
            _share(item.completed, told.paying, words),
            _share(item.lately, told.paying, words),
        ]
        for item in sorted(
            told.modules, key=lambda item: (-item.completed, -item.viewed, item.module)
        )
    ]
    names = ("module", "viewed", "started", "completed", "through", "adopted", "lately")
    days = {"days": words.count(ADOPTION_DAYS), "lately": words.count(ADOPTION_LATELY)}
    heads = [words.text(f"base.col_{name}", **days) for name in names]
    caption = words.text("base.modules_caption", **days)
    shown, more = rows[:_MODULES], rows[_MODULES:]
    return _block(
        "modules",
        words,
        table=plain_table(caption, heads, shown),
        more=plain_table(caption, heads, more) if more else None,
        more_title=words.text("base.more_modules", modules=words.count(len(more))) if more else "",
    )


def _key_users(told: Base, words: Words) -> Block | None:
    if not told.key_users or not told.paying:
        return None
    rows = [
        [
            words.text(f"key_roles.{item.role}"),
            words.count(item.people).text,
            "–" if item.active is None else _share(item.active, item.people, words),
            _share(item.accounts, told.paying, words),
            words.count(item.left).text,
            "–" if item.silent is None else words.count(item.silent).text,
        ]
        for item in told.key_users
    ]
    days = {
        "active": words.count(ACTIVE_DAYS),
        "left": words.count(LEFT_DAYS),
        "silent": words.count(SILENT_DAYS),
    }
    names = ("role", "holders", "active", "held", "left", "silent")
    heads = [words.text(f"base.col_{name}", **days) for name in names]
    table = plain_table(words.text("base.key_users_caption"), heads, rows)
    note = words.text("base.key_users_note", **days)
    return _block("key_users", words, table=table, note=note)


def _activation(told: Base, words: Words) -> Block | None:
    if told.activation is None or not told.activation.cohorts:
        return None
    activation: Activation = told.activation
    rows = [
        [
            words.text(
                "done.quarter",
                year=str(item.quarter.year),
                quarter=str((item.quarter.month + 2) // 3),
            ),
            words.count(item.accounts).text,
            *("–" if n is None else _share(n, item.accounts, words) for n in item.within),
        ]
        for item in activation.cohorts
    ]
    heads = [
        words.text("base.col_cohort"),
        words.text("base.col_accounts"),
        *(words.text("base.col_within", days=words.count(days)) for days in MARKS),
    ]
    table = plain_table(words.text("base.activation_caption"), heads, rows)
    lead = words.text(f"base.activation_by_{activation.by}")
    return _block("activation", words, table=table, lead=lead, note=words.text("base.not_over"))


# --------------------------------------------------------------------------- what they say


def _nps(told: Base, words: Words) -> Block | None:
    if told.nps is None:
        return None
    days = words.count(NPS_DAYS)
    rows = [
        [
            words.text(
                "base.nps_until",
                day=words.short_day(told.as_of - timedelta(days=NPS_DAYS * number + 1)),
            ),
            *_nps_cells(item, words),
        ]
        for number, item in enumerate(told.nps)
    ]  # fmt: skip
    names = ("window", "score", "interval", "respondents", "promoters", "detractors")
    heads = [words.text(f"base.nps_{name}", days=days) for name in names]
    table = plain_table(words.text("base.nps_caption"), heads, rows)
    return _block("nps", words, table=table, lead=words.text("base.nps_lead", days=days))


def _nps_cells(item: Nps | None, words: Words) -> list[str]:
    if item is None:
        return ["–", "–", words.count(0).text, "–", "–"]
    interval = "–"
    if item.low is not None and item.high is not None:
        interval = words.text("base.nps_range", low=_nps_score(item.low, words),
                              high=_nps_score(item.high, words))  # fmt: skip
    return [
        _nps_score(item.score, words),
        interval,
        words.count(item.respondents).text,
        _share(item.promoters, item.respondents, words),
        _share(item.detractors, item.respondents, words),
    ]


def _nps_score(score: float, words: Words) -> str:
    points = round(score)
    sign = "+" if points > 0 else "−" if points < 0 else ""
    return sign + words.count(abs(points)).text


def _growth(told: Base, words: Words) -> Block | None:
    cards = []
    if told.referrals is not None:
        now, before = told.referrals
        lines = [words.text("base.referrals_before", made=words.count(before.made))]
        if now.converted is not None:
            lines.insert(0, words.text("base.converted", converted=words.count(now.converted)))
        cards.append(
            Card(words.text("base.referrals_made"), words.count(now.made).text, tuple(lines))
        )
    if told.trials is not None and told.trials.started:
        trials = told.trials
        lines = [
            words.text(
                "base.trials_of",
                converted=words.count(trials.converted),
                started=words.count(trials.started),
            )
        ]
        if trials.median_days is not None:
            lines.append(words.text("base.trials_days", days=words.about(trials.median_days)))
        if trials.fresh:
            lines.append(words.text("base.trials_fresh", fresh=words.count(trials.fresh)))
        share = _share(trials.converted, trials.started, words)
        cards.append(Card(words.text("base.trials_paid"), share, tuple(lines)))
    if not cards:
        return None
    return _block("referrals", words, cards=tuple(cards))


def _voice(told: Base, words: Words) -> Block:
    voice: Voice = told.voice
    rows = [
        [
            words.text(f"voice_topics.{one.topic}")
            if words.has(f"voice_topics.{one.topic}")
            else one.topic,
            words.text(f"base.kind_{one.kind}"),
            words.count(one.notes).text,
            words.count(one.accounts).text,
            words.money(one.mrr).text,
            words.short_day(one.oldest),
        ]
        for one in voice.topics[:_TOPICS]
    ]
    names = ("topic", "kind", "notes", "accounts", "mrr", "oldest")
    heads = [words.text(f"base.col_{name}") for name in names]
    lead = words.text(
        "base.voice_lead" if voice.open or voice.noted else "base.voice_none",
        open=words.count(voice.open),
        noted=words.count(voice.noted),
        closed=words.count(voice.closed),
    )
    missing = sum(one.without_mrr for one in voice.topics)
    return _block(
        "voice",
        words,
        lead=lead,
        table=plain_table(words.text("base.voice_caption"), heads, rows, (1,)) if rows else None,
        note=words.text("base.voice_missing", accounts=words.count(missing)) if missing else "",
    )
