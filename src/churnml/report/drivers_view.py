"""What drives churn, in words. Owns which sentence its numbers call for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.report.data import ReportData
from churnml.report.drivers import BASE, DriverRisk, Drivers, SegmentRisk
from churnml.report.part import Part
from churnml.report.words import Words

_OPEN_ON_PAPER = 3
_SHOWN = 8  # drivers; the smaller ones open together
_COLUMNS = 6  # drivers beside the segments


@dataclass(frozen=True)
class TrendBar:
    """One book of a driver's trend: its height in per cent, and whether its model had seen later data."""

    height: float
    afterwards: bool


@dataclass(frozen=True)
class VoiceView:
    text: str
    accounts: str


@dataclass(frozen=True)
class ShareView:
    account_id: str
    at_risk: str
    told: str
    reason: str


@dataclass(frozen=True)
class DriverView:
    label: str
    at_risk: str
    share: str
    accounts: str
    high: str
    width: float
    hot: float
    change: str
    trend: tuple[TrendBar, ...]
    spoken: str
    on_paper: bool
    voices: tuple[VoiceView, ...]
    first: tuple[ShareView, ...]


@dataclass(frozen=True)
class SegmentsView:
    """A table: a driver a row, a segment a column, and what the segment has at risk."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]


@dataclass(frozen=True)
class DriversView:
    """What drivers.html.j2 asks for."""

    title: str
    growth: bool
    says: str
    rows: tuple[DriverView, ...]
    more: tuple[DriverView, ...]
    more_title: str
    rest: DriverView | None
    trend_note: str
    segments: SegmentsView | None


def drivers_part(data: ReportData, words: Words) -> Part | None:
    """The second section; None where nothing was judged."""
    lead, drivers = data.quarter.lead, data.drivers
    if lead is None:
        return None
    growth = lead == "expansion"
    title = words.text("drivers.title_expansion" if growth else "drivers.title")
    named = [item for item in drivers.risks if item.driver != BASE]
    most = max((item.mrr_at_risk for item in named), default=0.0) or 1.0
    rest = next((item for item in drivers.risks if item.driver == BASE), None)
    rows = tuple(
        _driver(item, place, drivers, data, most, words) for place, item in enumerate(named)
    )
    view = DriversView(
        title=title,
        growth=growth,
        says=_says(drivers, named, rest, words),
        rows=rows[:_SHOWN],
        more=rows[_SHOWN:],
        more_title=words.text("drivers.more", drivers=words.count(len(rows[_SHOWN:]))),
        rest=_driver(rest, _OPEN_ON_PAPER, drivers, data, most, words) if rest else None,
        trend_note=_trend_note(data, words),
        segments=_segments(drivers, named, words),
    )
    return Part("drivers", title, "drivers.html.j2", view)


def _says(drivers: Drivers, named: list[DriverRisk], rest: DriverRisk | None, words: Words) -> str:
    total = drivers.mrr_at_risk or 1.0
    base = {
        "total": words.money(drivers.mrr_at_risk),
        "rate": words.percent(drivers.base_rate),
        "rest": words.money(rest.mrr_at_risk if rest else 0.0),
        "rest_share": words.percent((rest.mrr_at_risk if rest else 0.0) / total),
    }
    if not named:
        return words.text("drivers.says_none", **base)
    first = named[0]
    return words.text(
        "drivers.says",
        driver=words.driver(first.driver),
        amount=words.money(first.mrr_at_risk),
        share=words.percent(first.mrr_at_risk / total),
        accounts=words.count(first.accounts),
        **base,
    )


def _driver(
    item: DriverRisk, place: int, drivers: Drivers, data: ReportData, most: float, words: Words
) -> DriverView:
    before = drivers.then[-1] if drivers.then else None
    change = ""
    if before is not None:
        moved = item.mrr_at_risk - before.shares.get(item.driver, 0.0)
        whole = 100 * round(moved / 100)
        change = ("+" if whole > 0 else "−" if whole < 0 else "±") + words.money(abs(whole)).text
    return DriverView(
        label=words.driver(item.driver),
        at_risk=words.money(item.mrr_at_risk).text,
        share=words.percent(item.mrr_at_risk / (drivers.mrr_at_risk or 1.0)).text,
        accounts=words.text("drivers.in_accounts", accounts=words.count(item.accounts)),
        high=words.money(item.high_mrr_at_risk).text,
        width=round(100 * item.mrr_at_risk / most, 2),
        hot=round(100 * item.high_mrr_at_risk / most, 2),
        change=change,
        trend=_trend(item, drivers),
        spoken=_spoken(item, drivers, words),
        on_paper=place < _OPEN_ON_PAPER,
        voices=tuple(
            VoiceView(voice.text, words.count(voice.accounts).text) for voice in item.voices
        ),
        first=tuple(
            ShareView(
                account.account_id,
                words.money(account.mrr_at_risk).text,
                words.text(
                    "drivers.of_mrr",
                    chance=words.percent(account.probability),
                    mrr=words.money(account.mrr),
                ),
                account.reason,
            )
            for account in item.first
        ),
    )


def _trend(item: DriverRisk, drivers: Drivers) -> tuple[TrendBar, ...]:
    if not drivers.then:
        return ()
    amounts = [then.shares.get(item.driver, 0.0) for then in drivers.then] + [item.mrr_at_risk]
    late = [then.afterwards for then in drivers.then] + [False]
    most = max(amounts) or 1.0
    return tuple(
        TrendBar(round(100 * amount / most, 1), afterwards)
        for amount, afterwards in zip(amounts, late, strict=True)
    )


def _spoken(item: DriverRisk, drivers: Drivers, words: Words) -> str:
    told = [
        f"{words.short_day(then.as_of)} {words.money(then.shares.get(item.driver, 0.0)).text}"
        for then in drivers.then
    ]
    return words.listed(told)


def _trend_note(data: ReportData, words: Words) -> str:
    then = data.drivers.then
    if not then or data.as_of is None:
        return words.text("drivers.trend_needs")
    note = words.text(
        "drivers.trend_note",
        days=words.listed([words.short_day(item.as_of) for item in then]),
        now=words.short_day(data.as_of),
    )
    late = [words.short_day(item.as_of) for item in then if item.afterwards]
    return f"{note} {words.text('drivers.trend_late', days=words.listed(late))}" if late else note


def _segments(drivers: Drivers, named: list[DriverRisk], words: Words) -> SegmentsView | None:
    if not drivers.segments or not named:
        return None
    names = [item.driver for item in named[:_COLUMNS]]
    most = max(_share(segment, name) for segment in drivers.segments for name in names) or 1.0
    return SegmentsView(
        columns=tuple(
            (_segment_name(segment, words), words.money(segment.mrr_at_risk).text)
            for segment in drivers.segments
        ),
        rows=tuple(
            (
                words.driver(name),
                tuple(_cell(segment, name, most, words) for segment in drivers.segments),
            )
            for name in [*names, BASE]
        ),
    )


def _segment_name(segment: SegmentRisk, words: Words) -> str:
    if segment.folded > 1:
        return words.text("drivers.other_segments", segments=words.count(segment.folded))
    return segment.segment or words.text("drivers.no_segment")


def _share(segment: SegmentRisk, driver: str) -> float:
    return segment.shares.get(driver, 0.0) / (segment.mrr_at_risk or 1.0)


def _cell(segment: SegmentRisk, driver: str, most: float, words: Words) -> tuple[str, float]:
    """A share, and how strongly its cell is coloured: the rest is no driver, and isn't."""
    share = _share(segment, driver)
    return words.percent(share).text, 0.0 if driver == BASE else round(share / most, 3)
