"""Health scores as they are declared, in TOML. Owns their shape, reads the shipped ones and finds the one
that an account is judged by; computes none and opens no file of a company (the caller hands over its
text).

A definition has a purpose and may be for some needs or segments only; of those that fit an account, the
one that says most about it counts, and its need says more than its segment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from churnml.config import declared_in, fault_in_words
from churnml.errors import ConfigError
from churnml.features.catalog import BY_NAME

FamilyName = Literal["usage", "satisfaction", "commercial"]
FAMILIES: tuple[FamilyName, ...] = ("usage", "satisfaction", "commercial")
Purpose = Literal["risk", "upsell"]
PURPOSES: tuple[Purpose, ...] = ("risk", "upsell")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Signal(_Frozen):
    """One feature: `bad` scores 0, `good` scores 100, straight between, and no more beyond."""

    feature: str
    bad: float = Field(allow_inf_nan=False)
    good: float = Field(allow_inf_nan=False)

    @model_validator(mode="after")
    def _tells_apart(self) -> Signal:
        if self.feature not in BY_NAME:
            raise ValueError(
                f"the catalogue has no feature {self.feature!r}; docs/features.md lists them"
            )
        if BY_NAME[self.feature].categorical:
            raise ValueError(f"{self.feature} is a category; a signal needs a number")
        if self.bad == self.good:
            raise ValueError("bad and good must differ, or the signal tells nothing")
        return self


class Family(_Frozen):
    """Signals that say the same thing. Its score is the mean of those that have data."""

    weight: float = Field(gt=0, allow_inf_nan=False)
    signals: tuple[Signal, ...] = Field(min_length=1)

    @field_validator("signals")
    @classmethod
    def _each_once(cls, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
        named = [signal.feature for signal in signals]
        twice = [name for place, name in enumerate(named) if name in named[:place]]
        if twice:
            raise ValueError(f"{twice[0]} stands there twice: keep one")
        return signals


class HealthDefinition(_Frozen):
    """One health score, 0 to 100, more is better.

    threshold: on whose one side an action opens. opens: that side: `below`, as every score of risk
    does, or `at_or_above`, for a chance. min_coverage_share: of the weights; with less known, the score
    is unknown and opens nothing. margin: how far past the threshold the score must go for the action to
    be done with, so that one that hovers doesn't open and close. play: which action opens.
    needs, segments: whom it is for; empty: everybody.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    purpose: Purpose
    threshold: int = Field(ge=1, le=100)
    opens: Literal["below", "at_or_above"] = "below"
    min_coverage_share: float = Field(0.5, gt=0, le=1)
    margin: int = Field(5, ge=0, le=50)
    play: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    needs: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    usage: Family
    satisfaction: Family
    commercial: Family

    @model_validator(mode="after")
    def _risk_opens_below(self) -> HealthDefinition:
        if self.purpose == "risk" and self.opens != "below":
            raise ValueError('opens: a score of risk opens "below" its threshold')
        return self

    @property
    def families(self) -> tuple[tuple[FamilyName, Family], ...]:
        """The families by name, in the order that they are told in."""
        return tuple((name, getattr(self, name)) for name in FAMILIES)

    @property
    def features(self) -> tuple[str, ...]:
        """Every feature that it looks at."""
        return tuple(signal.feature for _, family in self.families for signal in family.signals)

    def fits(self, need: str | None, segment: str | None) -> bool:
        """Whether it is for an account of that need and segment."""
        return (not self.needs or need in self.needs) and (
            not self.segments or segment in self.segments
        )

    @property
    def says(self) -> int:
        """How much it says about whom it is for: a need more than a segment."""
        return 2 * bool(self.needs) + bool(self.segments)


def parse_definition(text: str, where: str) -> HealthDefinition:
    """Read the text of one definition.

    where: the file's name, for messages.
    Raises: ConfigError naming every family and key that is missing or wrong, and what is expected.
    """
    return declared_in(HealthDefinition, text, where, "is no health score that can be used", _say)


def _say(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(top level)"
    if item["type"] == "missing" and key in FAMILIES:
        return (
            f"the family {key!r} is missing. Expected {', '.join(FAMILIES)}, each with a weight and "
            f"signals. Add [{key}]."
        )
    return fault_in_words(item)


@cache
def shipped_definitions() -> tuple[HealthDefinition, ...]:
    """The definitions that come with churnml, by name."""
    folder = resources.files("churnml.scoring") / "health"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(parse_definition(f.read_text("utf-8"), f"health/{f.name}") for f in files)


def default_definition() -> HealthDefinition:
    """The shipped score of risk for everybody: what a model must beat, too."""
    return next(found for found in shipped_definitions() if found.name == "risk")


def all_definitions(own: Mapping[str, str]) -> tuple[HealthDefinition, ...]:
    """The shipped definitions and a company's own, by name; an own one replaces a shipped namesake.

    own: file name -> its text.
    Raises: ConfigError for one that cannot be used, two of one name, or two between which an account
    could not be told.
    """
    found = {definition.name: definition for definition in shipped_definitions()}
    named: dict[str, str] = {}
    for where, text in sorted(own.items()):
        definition = parse_definition(text, where)
        if definition.name in named:
            raise ConfigError(
                f"{where}: found a second health score named {definition.name!r} (the first: "
                f"{named[definition.name]}). Expected one of each name. Rename one."
            )
        named[definition.name] = where
        found[definition.name] = definition
    ordered = tuple(found[name] for name in sorted(found))
    for place, one in enumerate(ordered):
        for other in ordered[:place]:
            if _clash(one, other):
                _refuse(one, other, named)
    return ordered


def _clash(one: HealthDefinition, other: HealthDefinition) -> bool:
    """Whether an account can fit both, and neither says more about it."""
    return (
        one.purpose == other.purpose
        and one.says == other.says
        and _meet(one.needs, other.needs)
        and _meet(one.segments, other.segments)
    )


def _meet(one: Iterable[str], other: Iterable[str]) -> bool:
    one, other = set(one), set(other)
    return bool(one & other) if one and other else True


def _refuse(one: HealthDefinition, other: HealthDefinition, named: Mapping[str, str]) -> None:
    where, beside = (named.get(found.name, f"health/{found.name}.toml") for found in (one, other))
    raise ConfigError(
        f"{where} and {beside}: found two health scores of the purpose {one.purpose!r} for the same "
        f"accounts ({one.name!r} and {other.name!r}). Expected one for each. Give them other needs or "
        "segments, or the same name, so that the company's own replaces the shipped one."
    )


def definitions_for(
    definitions: Iterable[HealthDefinition], need: str | None, segment: str | None
) -> tuple[HealthDefinition, ...]:
    """The definition that an account is judged by, of each purpose that has one for it."""
    best: dict[Purpose, HealthDefinition] = {}
    for definition in definitions:
        before = best.get(definition.purpose)
        if definition.fits(need, segment) and (before is None or definition.says > before.says):
            best[definition.purpose] = definition
    return tuple(best[purpose] for purpose in PURPOSES if purpose in best)
