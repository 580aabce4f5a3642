"""When a play's time comes, what follows if nothing happens, and how recovery is told.

Owns these declarations and the moments that they name; opens nothing (clock.py does)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from churnml.actions.condition import Condition
from churnml.config import LANGUAGES
from churnml.explain.reading import is_missing

Who = Literal["csm", "support", "product", "executive_sponsor"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Occasion:
    """One time that a play is for. key: the same in whatever week it is looked at, so that it can be
    told once."""

    key: str
    moment: datetime


class Schedule(_Frozen):
    """Times at which a play is for an account, whatever its score does. One of the four is given.

    after_signing_days: so many days after it first paid. each_days: again and again, counted from then.
    before_renewal_days: so many days before its contract renews. after_promotion_days: so many days after
    a holder of another key role became an executive.
    late_days: how long after its moment an occasion is still worth opening.
    """

    after_signing_days: tuple[int, ...] = ()
    each_days: int | None = Field(None, ge=7, le=366)
    before_renewal_days: tuple[int, ...] = ()
    after_promotion_days: tuple[int, ...] = ()
    late_days: int = Field(28, ge=7, le=180)

    @model_validator(mode="after")
    def _one_kind(self) -> Schedule:
        given = [
            name
            for name in Schedule.model_fields
            if name != "late_days" and getattr(self, name) not in ((), None)
        ]
        if len(given) != 1:
            raise ValueError(
                "give one of after_signing_days, each_days, before_renewal_days and "
                "after_promotion_days"
            )
        days = getattr(self, given[0])
        if isinstance(days, tuple) and min(days) < 0:
            raise ValueError(f"{given[0]}: days must not be negative")
        return self

    def occasions(
        self, as_of: datetime, now: datetime, features: Mapping[str, Any], promoted_days: int | None
    ) -> Iterator[Occasion]:
        """The occasions whose time has come by `now` and is not over, the newest first.

        features, promoted_days: the account's, as at `as_of`.
        """
        found = [
            occasion
            for occasion in self._named(as_of, now, features, promoted_days)
            if occasion.moment <= now < occasion.moment + timedelta(days=self.late_days)
        ]
        yield from sorted(found, key=lambda occasion: occasion.moment, reverse=True)

    def _named(
        self, as_of: datetime, now: datetime, features: Mapping[str, Any], promoted_days: int | None
    ) -> Iterator[Occasion]:
        tenure, renewal = features.get("tenure_days"), features.get("days_to_renewal")
        if not is_missing(tenure):
            signed = as_of - timedelta(days=int(tenure or 0))
            for days in self.after_signing_days:
                yield Occasion(f"day {days}", signed + timedelta(days=days))
            if self.each_days is not None and now - signed >= timedelta(days=self.each_days):
                times = (now - signed).days // self.each_days
                yield Occasion(f"time {times}", signed + timedelta(days=times * self.each_days))
        if not is_missing(renewal):
            renews = as_of + timedelta(days=int(renewal or 0))
            for days in self.before_renewal_days:
                key = f"{days} days before {renews:%Y-%m-%d}"
                if now <= renews:  # the contract has renewed since: the occasion is gone
                    yield Occasion(key, renews - timedelta(days=days))
        if promoted_days is not None:
            promoted = as_of - timedelta(days=promoted_days)
            for days in self.after_promotion_days:
                yield Occasion(
                    f"{days} days after {promoted:%Y-%m-%d}", promoted + timedelta(days=days)
                )


class Step(_Frozen):
    """The next step if nothing happens: who takes it on, so many days after the action was due, and
    what they do, in every language."""

    after_days: int = Field(ge=0, le=366)
    who: Who
    text: dict[str, str]

    @field_validator("text")
    @classmethod
    def _every_language(cls, text: dict[str, str]) -> dict[str, str]:
        return in_every_language(text)


class Disagreement(_Frozen):
    """Who takes the action on at once if the CSM's own judgement and the score disagree."""

    who: Who = "executive_sponsor"
    text: dict[str, str]

    @field_validator("text")
    @classmethod
    def _every_language(cls, text: dict[str, str]) -> dict[str, str]:
        return in_every_language(text)


class Recovery(_Frozen):
    """How it is told that the account recovered: all that is given must hold, by so many days after
    opening. tier: the probability has fallen clearly below where the play opens."""

    within_days: int = Field(60, ge=1, le=366)
    tier: bool = True
    features: tuple[Condition, ...] = ()

    @model_validator(mode="after")
    def _has_a_signal(self) -> Recovery:
        if not self.tier and not self.features:
            raise ValueError("give features, or let the tier tell")
        return self


def in_every_language(text: dict[str, str]) -> dict[str, str]:
    """Texts that are there in every language, and not empty. Raises: ValueError."""
    if set(text) != set(LANGUAGES) or not all(words.strip() for words in text.values()):
        raise ValueError(f"give a text in {', '.join(LANGUAGES)}, and in no other language")
    return text
