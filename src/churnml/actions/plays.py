"""Plays: what a CSM team does, declared in TOML. Owns the shape of a play and reads the shipped
ones; chooses none and opens no file of a company (the caller hands over its text)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from churnml.actions.condition import Condition
from churnml.actions.steps import Disagreement, Recovery, Schedule, Step, Who
from churnml.config import LANGUAGES, TARGETS, TargetName, declared_in
from churnml.errors import ConfigError
from churnml.explain.text import placeholders
from churnml.features.catalog import BY_NAME
from churnml.features.spec import Driver

TierName = Literal["low", "medium", "high", "critical"]
Stage = Literal["onboarding", "adopting", "steady", "renewing"]

LEAVE_ALONE = "leave_alone"  # where no other play fires
GET_DATA = "get_data"  # where the tool abstains
REASON = "reason"  # what a play's text may quote beside features


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class When(_Frozen):
    """When a play fires: all that is given must hold; what is left out doesn't matter.

    drivers: one of them is among the reasons that raise the probability.
    features: all of these conditions hold. needs, segments, stages: the account's is among them (stages: of
    `lifecycle_stage`). schedule: the play comes by the calendar, beside the one that answers to the
    score; its targets, tiers and drivers count only where they are given.
    """

    targets: tuple[TargetName, ...] = TARGETS
    tiers: tuple[TierName, ...] = ("medium", "high", "critical")
    drivers: tuple[Driver, ...] = ()
    features: tuple[Condition, ...] = ()
    needs: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    schedule: Schedule | None = None

    def suits(self, features: Mapping[str, Any]) -> bool:
        """Whether the account is one that the play is for, whatever its score."""
        named = (("need", self.needs), ("segment", self.segments), ("lifecycle_stage", self.stages))
        return all(not wanted or features.get(name) in wanted for name, wanted in named) and all(
            condition.holds(features) for condition in self.features
        )

    def asks_for(self, name: str) -> bool:
        """Whether a schedule's play asks for targets, tiers or drivers: only where they are given."""
        return name in self.model_fields_set


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
    escalation: the next steps if nothing happens. recovery: how it is told; default: the tier, in 60
    days. judgement: the CSM's own meets the score, and who comes in where they disagree. lapse_days: an
    action that nobody took up so long after it was due is closed. again_after_days: after an action
    ended, how long none of this or a lower priority opens. may_hold_out: whether it may be withheld
    from a few to learn what it does.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    priority: int = Field(ge=0, le=100)
    who: Who
    due_days: int = Field(ge=0, le=366)
    effort_hours: float = Field(ge=0, le=200)
    effect_share: float | None = Field(None, gt=0, le=1)
    when: When = When()
    words: dict[str, Words]
    escalation: tuple[Step, ...] = ()
    recovery: Recovery | None = None
    judgement: Disagreement | None = None
    lapse_days: int | None = Field(None, ge=1, le=366)
    again_after_days: int = Field(60, ge=1, le=366)
    may_hold_out: bool = True

    @field_validator("words")
    @classmethod
    def _every_language(cls, words: dict[str, Words]) -> dict[str, Words]:
        if set(words) != set(LANGUAGES):
            raise ValueError(f"give words in {', '.join(LANGUAGES)}, and in no other language")
        return words

    @field_validator("escalation")
    @classmethod
    def _later_and_later(cls, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        days = [step.after_days for step in steps]
        if days != sorted(set(days)):
            raise ValueError("each step's after_days must be more than the one's before")
        return steps

    @property
    def answers_a_score(self) -> bool:
        """Whether it is chosen by an account's score, not by the calendar."""
        return self.when.schedule is None and self.name != LEAVE_ALONE

    @property
    def told_by(self) -> Recovery | None:
        """How recovery is told; None for a play that is no answer to a risk."""
        if self.recovery is not None or not self.answers_a_score:
            return self.recovery
        calm = "low" in self.when.tiers or set(self.when.targets) == {"expansion"}
        return None if calm else Recovery()


def parse_play(text: str, where: str) -> Play:
    """Read the text of one play.

    where: the file's name, for messages.
    Raises: ConfigError naming every key that is wrong, what was found and what is expected.
    """
    return declared_in(Play, text, where, "is no play that can be run")


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
