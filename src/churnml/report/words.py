"""The report's words in one language. Owns how `words/<language>/*.toml` are read and how numbers are
written; knows no company.

The names of targets, tiers and drivers are those of `explain`: a CSM and a board read the same."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

from babel.dates import format_date, format_datetime, format_skeleton
from babel.numbers import format_compact_currency, format_currency, format_decimal, format_percent

from churnml.contract.tables import MONEY_SCALE
from churnml.explain.language import Language, language
from churnml.explain.text import Shown, write


@cache
def texts_of(code: str) -> Mapping[str, Any]:
    """The words of all sections: one file each, and no name in two of them."""
    found: dict[str, Any] = {}
    folder = resources.files("churnml.report") / "words" / code
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        own = tomllib.loads(file.read_text("utf-8"))
        twice = found.keys() & own.keys()
        assert not twice, f"{file.name}: {twice} stands in another file too"
        found |= own
    return found


class Words:
    """Texts and numbers of one language and currency.

    Raises: ConfigError for an unknown language.
    """

    def __init__(self, code: str, currency: str):
        self.explain: Language = language(code)
        self.code = code
        self.html_lang = str(self.explain.locale).replace("_", "-")
        self._locale = self.explain.locale
        self._currency = currency
        self._texts = texts_of(code)

    def text(self, key: str, **numbers: Shown | str) -> str:  # `key` is section.name
        """A text with its numbers filled in. Raises: KeyError if the language lacks it."""
        section, _, name = key.partition(".")
        shown = {
            place: value if isinstance(value, Shown) else Shown(value)
            for place, value in numbers.items()
        }
        return write(self._texts[section][name], shown, self.code)

    def listed(self, names: Iterable[str]) -> str:
        """Names in a row, with the language's comma."""
        return (", " if self.code == "en" else "、").join(names)

    def sentences(self, told: Iterable[str]) -> str:
        """Sentences after each other: with a space where the language has one."""
        return (" " if self.code == "en" else "").join(told)

    def feature_name(self, name: str) -> str:
        """The name of a category that accounts fall into; the column's own where the language has none."""
        key = f"categories.{name}"
        return self.text(key) if self.has(key) else name

    def has(self, key: str) -> bool:
        """Whether the language has a text of that key."""
        section, _, name = key.partition(".")
        return name in self._texts.get(section, {})

    def texts(self, section: str) -> list[str]:
        """All texts of a section, in order."""
        return [str(text) for text in self._texts[section].values()]

    def items(self, section: str) -> list[tuple[str, str]]:
        """Pairs of a section's `term` and `text`, in order."""
        return [(item["term"], item["text"]) for item in self._texts[section]]

    def fill(self, template: str, numbers: Mapping[str, Shown]) -> str:
        """A text that was read by `items`, with its numbers filled in."""
        return write(template, numbers, self.code)

    # Names

    def target(self, name: str) -> str:
        """The name of a target."""
        return self.explain.targets[name]["name"]

    def tier(self, name: str) -> str:
        """The name of a tier."""
        return self.explain.tiers[name]

    def driver(self, name: str) -> str:
        """The name of a driver; of those without one where it is empty."""
        return self.explain.drivers[name]["name"] if name else self.text("drivers.none")

    # Numbers

    def money(self, minor: float) -> Shown:
        """An amount in whole units: 12,400; below one in hundredths, since something is not nothing."""
        small = 0.005 <= abs(minor) / MONEY_SCALE < 0.995
        value = round(minor / MONEY_SCALE, 2 if small else 0)
        pattern = "¤#,##0.00" if small else "¤#,##0"
        return Shown(
            format_currency(
                value, self._currency, pattern, locale=self._locale, currency_digits=False
            ),
            value,
        )

    def exact(self, minor: int, cents: bool) -> str:
        """An amount as the ledger holds it, without its currency: to the cent if `cents`."""
        pattern = "#,##0.00;−#,##0.00" if cents else "#,##0;−#,##0"
        return format_decimal(minor / MONEY_SCALE, pattern, locale=self._locale)

    def signed(self, minor: int, cents: bool) -> str:
        """As `exact`, with a sign before what was added too."""
        return ("+" if minor > 0 else "") + self.exact(minor, cents)

    def short(self, minor: float) -> str:
        """An amount for an axis: 12K."""
        if abs(minor) < 1_000 * MONEY_SCALE:
            return self.money(minor).text
        return format_compact_currency(
            minor / MONEY_SCALE, self._currency, locale=self._locale, fraction_digits=1
        ).replace(".0", "")

    def count(self, value: float) -> Shown:
        """A whole number."""
        return Shown(format_decimal(round(value), "#,##0", locale=self._locale), round(value))

    def about(self, value: float) -> Shown:
        """An expected number of accounts: one decimal below ten."""
        digits = 0 if value >= 10 else 1
        rounded = round(value, digits)
        return Shown(format_decimal(rounded, "#,##0.#", locale=self._locale), rounded)

    def percent(self, share: float) -> Shown:
        """A share as per cent: one decimal below 10 %, 3.0 % too, so that a column reads evenly; and just
        below all, which it is not."""
        nearly = 0.995 <= abs(share) < 1
        told = math.copysign(min(abs(share), 0.999), share) if nearly else share
        pattern = "#,##0.0%" if nearly or 0 < abs(share) < 0.0995 else "#,##0%"
        return Shown(format_percent(told, pattern, locale=self._locale), share)

    def figure(self, value: float, digits: int = 2) -> str:
        """A metric."""
        return format_decimal(value, "0." + "0" * digits, locale=self._locale)

    # Days

    def day(self, value: date) -> str:
        """A date in full."""
        return format_date(value, "long" if self.code != "en" else "d MMMM y", locale=self._locale)

    def short_day(self, value: date) -> str:
        """A date for a table."""
        pattern = "d MMM y" if self.code == "en" else "medium"
        return format_date(value, pattern, locale=self._locale)

    def moment(self, value: datetime) -> str:
        """A moment of UTC."""
        return (
            format_datetime(value, "d MMM y, HH:mm", locale=self._locale)
            if (self.code == "en")
            else format_datetime(value, "medium", locale=self._locale)
        )

    def month(self, value: date) -> str:
        """A month with its year."""
        return format_skeleton("yMMM", value, locale=self._locale)

    def quarter(self, value: date) -> str:
        """The quarter of a day with its year."""
        return self.text("page.quarter", quarter=str((value.month + 2) // 3), year=str(value.year))
