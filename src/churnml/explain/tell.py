"""One feature's sentence, in the account's own numbers. Owns which numbers a sentence gets; ranks
nothing.

A sentence is told only where it agrees with its contribution (reading.py); otherwise the driver's
neutral text states the number and leaves the judgement out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from churnml.errors import NotFound
from churnml.explain.drivers import declared
from churnml.explain.language import language
from churnml.explain.reading import (
    HAPPENED,
    Row,
    agrees,
    change_of,
    is_change,
    is_missing,
    read,
    sister_of,
    typical,
)
from churnml.explain.text import Shown, change, day, kind_of, number, write
from churnml.features.spec import Feature

DATED = frozenset({"days_to_renewal"})  # as_of + value is the day itself, not a day around it
OWN_CLOCK = DATED | HAPPENED  # other accounts' dates say nothing about this one's


class Teller:
    """Tells the features of accounts for one target, in one language and currency.

    reference: feature -> its statistics in the bundle (`bundle.reference`); may lack features.
    Raises: ConfigError for an unknown language, NotFound for an unknown target.
    """

    def __init__(self, target: str, lang: str, currency: str, reference: Mapping[str, Any]):
        self.target = target
        self.lang = lang
        self.currency = currency
        self._words = language(lang)
        self._reference = reference
        if target not in self._words.targets:
            raise NotFound(
                f"target: found {target!r}. Expected one of {', '.join(self._words.targets)}. "
                "Choose one."
            )

    def sentence(self, name: str, sign: int, row: Row, as_of: datetime | None = None) -> str | None:
        """What the feature says for a contribution of this sign; None if it would say otherwise."""
        feature = declared(name)
        reading = read(feature, row, self._reference.get(name))
        if not agrees(feature, reading, self.target, sign):
            return None
        words = self._words.features[name]
        template = words.get(reading.key)
        if template is None and reading.key == "zero":
            template = words.get("down")
        template = template or words.get("text")
        if template is None:
            return None
        return write(template, self._numbers(feature, row, as_of), self.lang)

    def neutral(self, name: str, row: Row, as_of: datetime | None = None) -> str:
        """The feature's number under its driver's name, without a judgement; or "no data"."""
        feature = declared(name)
        words = self._words.drivers[feature.driver]
        if is_missing(row.get(name)):
            return words["no_data"]
        numbers = self._numbers(feature, row, as_of)
        fact = write(self._words.features[name]["fact"], numbers, self.lang)
        return write(words["neutral"], {**numbers, "fact": Shown(fact)}, self.lang)

    def tell(self, name: str, sign: int, row: Row, as_of: datetime | None = None) -> str:
        """The sentence where it agrees with the sign of the contribution, else the neutral text.

        Depends on nothing else: a stored reason is told again in another language by its feature,
        its sign and the stored features of its row.
        """
        return self.sentence(name, sign, row, as_of) or self.neutral(name, row, as_of)

    def _numbers(self, feature: Feature, row: Row, as_of: datetime | None) -> dict[str, Shown]:
        value = row.get(feature.name)
        shown: dict[str, Shown] = {}
        if isinstance(value, str):
            return {"value": Shown(value)}
        if is_change(feature):
            self._add_change(feature, row, shown)
            mine = shown.get("change")
        elif is_missing(value):
            return shown
        else:
            mine = shown["value"] = self._number(feature, abs(float(value)))  # type: ignore[arg-type]
        median = typical(self._reference.get(feature.name))
        if median is not None and mine is not None and feature.name not in OWN_CLOCK:
            peers = (
                change(change_of(feature, median), self.lang)
                if is_change(feature)
                else self._number(feature, median)
            )
            if peers.text != mine.text:  # "5 (typical here: 5)" says nothing
                shown["typical"] = peers
        if as_of is not None and feature.name in DATED:
            shown["date"] = day((as_of + timedelta(days=float(value))).date(), self.lang)  # type: ignore[arg-type]
        return shown

    def _add_change(self, feature: Feature, row: Row, shown: dict[str, Shown]) -> None:
        sister = sister_of(feature.name)
        now = row.get(sister) if sister else None
        if sister and not is_missing(now):
            shown["now"] = self._number(declared(sister), float(now))  # type: ignore[arg-type]
        value = row.get(feature.name)
        if is_missing(value):
            return
        moved = change_of(feature, float(value))  # type: ignore[arg-type]
        shown["change"] = change(moved, self.lang)
        if sister and "now" in shown and moved > -1:
            before = self._number(declared(sister), float(now) / (1 + moved))  # type: ignore[arg-type]
            if before.text != shown["now"].text:
                shown["before"] = before

    def _number(self, feature: Feature, value: float) -> Shown:
        return number(value, kind_of(feature), self.lang, self.currency)
