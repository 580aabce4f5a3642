"""What the clock sees of a book: accounts, their scores and healths. Owns these shapes; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from churnml.scoring.health_definition import Purpose

HEALTH_RISK, HEALTH_UPSELL = "health:risk", "health:upsell"  # as targets of actions, by purpose
# Whose reasons say why where a health score opened an action: it has none of its own.
_REASONS_OF = {HEALTH_RISK: "churn", HEALTH_UPSELL: "expansion"}


def told_of(target: str) -> str:
    """The model's target that an action of this target takes its probability and reasons from."""
    return _REASONS_OF.get(target, target)


@dataclass(frozen=True)
class SeenScore:
    """What the book says about an account for one target. reasons: as stored."""

    target: str
    probability: float | None
    tier: str
    play: str
    reasons: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class SeenHealth:
    """An account's health score by one definition, which is the only one of its purpose for it.

    asks: whether it asks for its play now. settled: whether it is past its threshold by the margin, so
    that an action is done with. Where the score is unknown, both are False.
    """

    purpose: Purpose
    definition: str
    play: str
    score: float | None
    threshold: int
    asks: bool
    settled: bool

    @property
    def target(self) -> str:
        """The target of the actions that it opens. By purpose, not by definition: where another
        definition comes to be for the account, that one tells what becomes of them."""
        return f"health:{self.purpose}"


@dataclass(frozen=True)
class SeenAccount:
    """An account in the book. promoted_days: since a key user of it became an executive, if known."""

    account_id: str
    csm_id: str | None
    features: Mapping[str, Any]
    scores: tuple[SeenScore, ...]
    promoted_days: int | None = None
    healths: tuple[SeenHealth, ...] = ()

    def score(self, target: str) -> SeenScore | None:
        """Its score for a target."""
        return next((score for score in self.scores if score.target == target), None)

    def health(self, target: str) -> SeenHealth | None:
        """Its health score for a target of actions."""
        return next((health for health in self.healths if health.target == target), None)


@dataclass(frozen=True)
class SeenBook:
    """The newest book that is known, by account."""

    as_of: datetime
    accounts: Mapping[str, SeenAccount]
