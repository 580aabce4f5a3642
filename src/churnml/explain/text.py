"""Numbers and sentences. Owns number formats by locale and the templates; decides no reason.

A template holds placeholders: `{value}` writes a number, `{value:day|days}` the number and its noun
in the singular or plural that the locale asks for. A part in square brackets is left out where one
of its numbers is missing: "Use fell[ from {before} to {now} a week] ({change})"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent

from churnml.errors import ConfigError
from churnml.explain.language import language
from churnml.features.spec import Feature

Kind = Literal["count", "rate", "percent", "money", "duration", "age", "nps", "signed", "text"]

AGES = frozenset({"tenure_days"})  # said in months or years once they are many
NPS = frozenset({"nps_180d"})  # people say it out of 100: "+12", "−43"
SIGNED = frozenset({"csat_change_90d", "nps_change"})  # points more or less: the sign is the news
_MEANS = ("mean", "points of", "hours", "users a day")  # where other numbers are whole


def kind_of(feature: Feature) -> Kind:
    """How the numbers of a feature are written, by its unit."""
    unit = feature.unit
    if feature.name in AGES:
        return "age"
    if feature.name in NPS:
        return "nps"
    if feature.name in SIGNED:
        return "signed"
    if unit in ("money", "category"):
        return "money" if unit == "money" else "text"
    if unit == "rank" or unit.startswith(("share", "points of share")):
        return "percent"
    if unit.startswith("seconds"):
        return "duration"
    return "rate" if " per " in unit or unit.startswith(_MEANS) else "count"


@dataclass(frozen=True)
class Shown:
    """A value as it is written, and the number (as rounded) that its noun must agree with."""

    text: str
    number: float = 0.0


# Numbers: rounded first, so that the few roundings of many values are formatted once


def number(value: float, kind: Kind, lang: str, currency: str = "USD") -> Shown:
    """A number in the locale's format: counts whole, rates and means with at most one decimal.

    percent: a share (0.5 is 50 %). money: units of `currency`. duration: seconds. age: days.
    nps: a difference of shares, said out of 100. nps and signed carry their sign.
    """
    if kind == "percent":
        return _percent(_round_share(value), lang)
    if kind == "money":
        return _money(float(round(value)) if abs(value) >= 100 else round(value, 2), currency, lang)
    if kind == "duration":
        minutes = round(value / 60)
        if minutes < 90:
            return _unit(float(minutes), "minutes", lang)
        return _unit(_round_rate(value / 3600), "hours", lang)
    if kind == "age":
        months = round(value / 30.4375)
        if value < 60:
            return _unit(float(round(value)), "days", lang)
        if months < 24:
            return _unit(float(months), "months", lang)
        return _unit(_round_rate(months / 12), "years", lang)
    if kind in ("nps", "signed"):
        points = float(round(value * 100)) if kind == "nps" else _round_rate(value)
        return Shown(_sign(points) + _decimal(abs(points), lang).text, points)
    return _decimal(float(round(value)) if kind == "count" else _round_rate(value), lang)


def change(share: float, lang: str) -> Shown:
    """A relative change with its sign: -0.5 is −50 %."""
    return _signed(_round_share(share), lang)


def chances(shares: Mapping[str, float], lang: str) -> dict[str, Shown]:
    """Probabilities that are told beside each other: with a decimal where they'd read alike without."""
    coarse = {name: _percent(_round_share(share), lang) for name, share in shares.items()}
    if len({shown.text for shown in coarse.values()}) == len(coarse):
        return coarse
    return {name: _percent(round(share, 3), lang) for name, share in shares.items()}


@lru_cache(maxsize=4096)
def day(moment: date, lang: str) -> Shown:
    """A date in the locale's medium format."""
    return Shown(format_date(moment, "medium", locale=language(lang).locale))


def _round_rate(value: float) -> float:
    # Above ten a decimal says nothing to a person: "12 events a week", not "12.3".
    return float(round(value)) if abs(value) >= 10 else round(value, 1)


def _round_share(share: float) -> float:
    return round(share, 2) if abs(share) >= 0.0995 else round(share, 3)


@lru_cache(maxsize=65536)
def _decimal(value: float, lang: str) -> Shown:
    return Shown(format_decimal(value, "#,##0.#", locale=language(lang).locale), value)


@lru_cache(maxsize=65536)
def _percent(share: float, lang: str) -> Shown:
    return Shown(format_percent(share, "#,##0.#%", locale=language(lang).locale), share)


@lru_cache(maxsize=65536)
def _signed(share: float, lang: str) -> Shown:
    return Shown(_sign(share) + _percent(abs(share), lang).text, share)


def _sign(value: float) -> str:
    return "+" if value > 0 else "−" if value < 0 else ""


@lru_cache(maxsize=65536)
def _money(value: float, currency: str, lang: str) -> Shown:
    locale = language(lang).locale
    if value != round(value):
        return Shown(format_currency(value, currency, locale=locale), value)
    text = format_currency(value, currency, "¤#,##0", locale=locale, currency_digits=False)
    return Shown(text, value)


@lru_cache(maxsize=65536)
def _unit(value: float, unit: str, lang: str) -> Shown:
    return Shown(write(language(lang).units[unit], {"n": _decimal(value, lang)}, lang))


# Templates


@dataclass(frozen=True)
class _Slot:
    name: str
    forms: tuple[str, ...]


_Part = tuple[bool, tuple[str | _Slot, ...]]  # (may be left out, text and placeholders)
_TOKEN = re.compile(r"\{(\w+)(?::([^{}|]*)\|([^{}|]*))?\}")


@lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    for piece in re.split(r"(\[[^\[\]]*\])", template):
        optional = piece.startswith("[") and piece.endswith("]")
        inner = piece[1:-1] if optional else piece
        tokens: list[str | _Slot] = []
        end = 0
        for match in _TOKEN.finditer(inner):
            tokens.append(inner[end : match.start()])
            forms = (match[2], match[3]) if match[2] is not None else ()
            tokens.append(_Slot(match[1], forms))
            end = match.end()
        tokens.append(inner[end:])
        if any(isinstance(token, str) and set(token) & set("{}[]") for token in tokens):
            raise ConfigError(
                f"words: {template!r} has a bracket that does not close, or one inside another. "
                "Expected {name}, {name:one|many} and [parts to leave out]. Correct it."
            )
        parts.append((optional, tuple(token for token in tokens if token)))
    return tuple(parts)


@lru_cache(maxsize=4096)
def placeholders(template: str) -> Mapping[str, bool]:
    """The placeholders of a template, and for each whether the sentence can do without it.

    Raises: ConfigError if its brackets do not match.
    """
    found: dict[str, bool] = {}
    for optional, tokens in _parts(template):
        for token in tokens:
            if isinstance(token, _Slot):
                found[token.name] = optional and found.get(token.name, True)
    return found


def write(template: str, values: Mapping[str, Shown], lang: str) -> str:
    """The sentence: the template with its values.

    Raises: ConfigError if a placeholder outside square brackets has no value.
    """
    out: list[str] = []
    for optional, tokens in _parts(template):
        before = len(out)
        for token in tokens:
            if isinstance(token, str):
                out.append(token)
            elif token.name in values:
                shown = values[token.name]
                out.append(_fill(token, shown, lang) if token.forms else shown.text)
            elif optional:
                del out[before:]
                break
            else:
                raise ConfigError(
                    f"words: {template!r} names a number that is not there ({token.name}). "
                    "Expected it in square brackets, with the words around it. Correct the words."
                )
    return "".join(out)


def _fill(slot: _Slot, shown: Shown, lang: str) -> str:
    return f"{shown.text} {slot.forms[0] if _is_one(abs(shown.number), lang) else slot.forms[1]}"


@lru_cache(maxsize=4096)
def _is_one(value: float, lang: str) -> bool:
    return bool(language(lang).locale.plural_form(value) == "one")
