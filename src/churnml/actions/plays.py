"""Plays: what a CSM team does, declared in TOML. Owns the shape of a play and reads the shipped
ones; chooses none and opens no file of a company (the caller hands over its text)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from churnml.config import LANGUAGES, TARGETS, TargetName
from churnml.errors import ConfigError
from churnml.explain.reading import is_missing
from churnml.explain.text import placeholders
from churnml.features.catalog import BY_NAME
from churnml.features.spec import Driver

Who = Literal["csm", "support", "product", "executive_sponsor"]
TierName = Literal["low", "medium", "high", "critical"]

LEAVE_ALONE = "leave_alone"  # where no other play fires
GET_DATA = "get_data"  # where the tool abstains
REASON = "reason"  # what a play's text may quote beside features


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Frozen):
    """One condition on a feature. A missing value fulfils it only where `or_missing` says so."""

    feature: str
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    or_missing: bool = False

    @model_validator(mode="after")
    def _can_hold(self) -> Condition:
        if self.feature not in BY_NAME:
            raise ValueError(
                f"the catalogue has no feature {self.feature!r}; docs/features.md lists them"
            )
        bounds = self.at_least is not None or self.at_most is not None
        if bounds == bool(self.one_of):
            raise ValueError("give at_least and/or at_most, or one_of")
        if bool(self.one_of) != BY_NAME[self.feature].categorical:
            raise ValueError("use one_of for categories, at_least and at_most for numbers")
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:  # type: ignore[operator]
            raise ValueError("at_least must not exceed at_most")
        return self

    def holds(self, features: Mapping[str, Any]) -> bool:
        """Whether the account's value fulfils it."""
        value = features.get(self.feature)
        if value is None or is_missing(value):
            return self.or_missing
        if self.one_of:
            return value in self.one_of
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)


class When(_Frozen):
    """When a play fires: all that is given must hold; what is left out doesn't matter.

    drivers: one of them is among the reasons that raise the probability.
    features: all of these conditions hold.
    """

    targets: tuple[TargetName, ...] = TARGETS
    tiers: tuple[TierName, ...] = ("medium", "high", "critical")
    drivers: tuple[Driver, ...] = ()
    features: tuple[Condition, ...] = ()


class Words(_Frozen):
    """A title for a list and one or two sentences that say what to do."""

    title: str = Field(min_length=1, max_length=80)
    text: str = Field(min_length=1)

    @field_validator("title")
    @classmethod
    def _plain(cls, title: str) -> str:
        if placeholders(title):
            raise ValueError("a title holds no placeholders; put them into the text")
        return title

    @field_validator("text")
    @classmethod
    def _known_numbers(cls, text: str) -> str:
        for name, may_lack in placeholders(text).items():
            if name != REASON and name not in BY_NAME:
                raise ValueError(f"{{{name}}} is neither {{reason}} nor a feature of the catalogue")
            if not may_lack:
                raise ValueError(
                    f"put {{{name}}} and the words around it into [square brackets]: they are "
                    "left out where the account lacks it"
                )
        return text


class Play(_Frozen):
    """One play. Of those that fire, the highest priority wins.

    effect_share: by how much of itself the play is assumed to lower the probability of a loss, or to
    raise that of an expansion. None: nobody assumes anything, and no plan weighs it.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    priority: int = Field(ge=0, le=100)
    who: Who
    due_days: int = Field(ge=0, le=366)
    effort_hours: float = Field(ge=0, le=200)
    effect_share: float | None = Field(None, gt=0, le=1)
    when: When = When()
    words: dict[str, Words]

    @field_validator("words")
    @classmethod
    def _every_language(cls, words: dict[str, Words]) -> dict[str, Words]:
        if set(words) != set(LANGUAGES):
            raise ValueError(f"give words in {', '.join(LANGUAGES)}, and in no other language")
        return words


def parse_play(text: str, where: str) -> Play:
    """Read the text of one play.

    where: the file's name, for messages.
    Raises: ConfigError naming every key that is wrong, what was found and what is expected.
    """
    try:
        return Play.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{where}: not valid TOML: {error}. Expected key = value lines under [sections]. "
            "Correct that line."
        ) from None
    except ValidationError as error:
        lines = "\n".join(f"  - {_say(item)}" for item in error.errors())
        raise ConfigError(f"{where} is no play that can be run:\n{lines}") from None


def _say(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "(top level)"
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key. Remove it, or look for a typing error."
    message = item["msg"].removeprefix("Value error, ")
    found = "" if isinstance(item.get("input"), dict) else f" Found {item.get('input')!r}."
    return f"{key}: {message}.{found}"


@cache
def shipped_plays() -> tuple[Play, ...]:
    """The plays that come with churnml, by name."""
    folder = resources.files("churnml.actions") / "plays"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(parse_play(file.read_text("utf-8"), f"plays/{file.name}") for file in files)


def all_plays(own: Mapping[str, str]) -> tuple[Play, ...]:
    """The shipped plays and a company's own, by name; an own play replaces a shipped namesake.

    own: file name -> its text.
    Raises: ConfigError for a play that cannot be run, or two own plays of one name.
    """
    plays = {play.name: play for play in shipped_plays()}
    named: dict[str, str] = {}
    for where, text in sorted(own.items()):
        play = parse_play(text, where)
        if play.name in named:
            raise ConfigError(
                f"{where}: found a second play named {play.name!r} (the first: "
                f"{named[play.name]}). Expected one of each name. Rename one."
            )
        named[play.name] = where
        plays[play.name] = play
    return tuple(plays[name] for name in sorted(plays))
