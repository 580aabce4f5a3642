"""Forecasts against what came, in words. Owns which sentence their record calls for; computes no sum."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.explain.text import Shown
from churnml.report.forecasts import Forecasts, Judged
from churnml.report.words import Words

_SHOWN = 12


@dataclass(frozen=True)
class ForecastLine:
    day: str
    span: str
    until: str
    expected: str
    range: str
    came: str
    inside: str


@dataclass(frozen=True)
class ForecastsView:
    """says: (tone, sentence) of each kind of forecast, and what is still to come."""

    says: tuple[tuple[str, str], ...]
    rows: tuple[ForecastLine, ...]


def forecasts_view(data: Forecasts, words: Words) -> ForecastsView:
    """The record of the forecasts, or when there will be one."""
    says = [_judged(item, words) for item in data.judged]
    if data.waiting and data.next_on is not None:
        says.append(
            (
                "",
                words.text(
                    "forecasts.waiting",
                    waiting=words.count(data.waiting),
                    day=words.day(data.next_on),
                ),
            )
        )
    if not says:
        says.append(("", words.text("forecasts.none")))
    if data.lost:
        says.append(("", words.text("forecasts.lost", lost=words.count(data.lost))))
    rows = tuple(
        ForecastLine(
            day=words.short_day(item.forecast.as_of.date()),
            span=words.text(f"forecasts.{item.forecast.span}"),
            until=words.short_day(item.forecast.until_at.date()),
            expected=words.money(item.forecast.expected_minor).text,
            range=f"{words.money(item.forecast.low_minor).text} – "
            f"{words.money(item.forecast.high_minor).text}",
            came=words.money(item.came).text,
            inside=words.text("forecasts.inside" if item.inside else "forecasts.outside"),
        )
        for item in data.came[:_SHOWN]
    )
    return ForecastsView(tuple(says), rows)


def _judged(item: Judged, words: Words) -> tuple[str, str]:
    numbers: dict[str, Shown | str] = {
        "span": words.text(f"forecasts.{item.span}"),
        "forecasts": words.count(item.forecasts),
        "expected": words.money(item.expected),
        "came": words.money(item.came),
        "inside": words.percent(item.inside),
        "level": words.percent(item.level),
        "error": words.money(item.error),
    }
    if item.naive_error is None:
        return "", words.text("forecasts.judged", **numbers)
    naive = words.money(item.naive_error)
    tone = "yes" if item.error < item.naive_error else "no"
    return tone, words.text("forecasts.judged_naive", naive=naive, **numbers)
