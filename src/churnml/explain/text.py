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

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, format_percent

from churnml.errors import ConfigError
from churnml.explain.language import language
from churnml.features.spec import Feature

Kind = Literal["count", "rate", "percent", "money", "duration", "age", "text"]

RATES = frozenset({"resolution_90d_days"})  # a mean of days, where other days are whole
AGES = frozenset({"tenure_days"})  # said in months or years once they are many
_KINDS: dict[str, Kind] = {
    "share": "percent",
    "share of seats": "percent",
    "share per week": "percent",
    "money": "money",
    "seconds per week": "duration",
    "category": "text",
}


def kind_of(feature: Feature) -> Kind:
    """How the numbers of a feature are written."""
    if feature.name in AGES:
        return "age"
    if feature.name in RATES or feature.unit.startswith("points of"):
        return "rate"
    if feature.unit in _KINDS:
        return _KINDS[feature.unit]
    return "rate" if feature.unit.endswith(" per week") else "count"


@dataclass(frozen=True)
class Shown:
    """A value as it is written, and the number (as rounded) that its noun must agree with."""

    text: str
    number: float = 0.0


# Numbers


@lru_cache(maxsize=65536)
def number(value: float, kind: Kind, lang: str, currency: str = "USD") -> Shown:
    """A number in the locale's format: counts whole, rates and means with at most one decimal.

    percent: a share (0.5 is 50 %). money: units of `currency`. duration: seconds. age: days.
    """
    locale = language(lang).locale
    if kind == "percent":
        return Shown(_percent(value, locale), value)
    if kind == "money":
        return Shown(_money(value, currency, locale), value)
    if kind == "duration":
        hours, minutes = value / 3600, round(value / 60)
        return _unit(hours, "hours", lang) if minutes >= 90 else _unit(minutes, "minutes", lang)
    if kind == "age":
        if value < 60:
            return _unit(round(value), "days", lang)
        months = round(value / 30.4375)
        return _unit(months, "months", lang) if months < 24 else _unit(months / 12, "years", lang)
    return _decimal(value, kind, locale)


@lru_cache(maxsize=65536)
def change(share: float, lang: str) -> Shown:
    """A relative change with its sign: -0.5 is −50 %."""
    locale = language(lang).locale
    text = _percent(abs(share), locale)
    if text == _percent(0.0, locale):
        return Shown(text, 0.0)
    return Shown(("+" if share > 0 else "−") + text, share)


@lru_cache(maxsize=4096)
def day(moment: date, lang: str) -> Shown:
    """A date in the locale's medium format."""
    return Shown(format_date(moment, "medium", locale=language(lang).locale))


def _decimal(value: float, kind: Kind, locale: Locale) -> Shown:
    # Above ten a decimal says nothing to a person: "12 events a week", not "12.3".
    digits = 0 if kind == "count" or abs(value) >= 10 else 1
    rounded = round(value, digits)
    return Shown(format_decimal(rounded, "#,##0.#", locale=locale), rounded)


def _percent(share: float, locale: Locale) -> str:
    return format_percent(share, "#,##0.#%" if 0 < abs(share) < 0.0995 else "#,##0%", locale=locale)


def _money(value: float, currency: str, locale: Locale) -> str:
    if abs(value) >= 100 or value == round(value):
        return format_currency(value, currency, "¤#,##0", locale=locale, currency_digits=False)
    return format_currency(value, currency, locale=locale)


def _unit(value: float, unit: str, lang: str) -> Shown:
    words = language(lang)
    return Shown(write(words.units[unit], {"n": _decimal(value, "rate", words.locale)}, lang))


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


def placeholders(template: str) -> dict[str, bool]:
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
        if any(isinstance(token, _Slot) and token.name not in values for token in tokens):
            if optional:
                continue
            raise ConfigError(
                f"words: {template!r} names a number that is not there. Expected it among "
                f"{', '.join(sorted(values)) or 'none'}, or in square brackets. Correct the words."
            )
        for token in tokens:
            out.append(_fill(token, values, lang) if isinstance(token, _Slot) else token)
    return "".join(out)


def _fill(slot: _Slot, values: Mapping[str, Shown], lang: str) -> str:
    shown = values[slot.name]
    if not slot.forms:
        return shown.text
    one = language(lang).locale.plural_form(abs(shown.number)) == "one"
    return f"{shown.text} {slot.forms[0] if one else slot.forms[1]}"
