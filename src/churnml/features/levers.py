"""Which features a CSM moves, and which of them together. Owns the steps and the good side of each.

What follows from a move by arithmetic is follow.py's."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from churnml.features.catalog import BY_NAME
from churnml.features.spec import Driver, Feature

StepName = Literal[
    "use", "adoption", "breadth", "key_users", "support", "satisfaction", "onboarding"
]
# What a person would call one thing: how much they use and whether it grows are one.
STEPS: Mapping[StepName, tuple[Driver, ...]] = {
    "use": ("usage_level", "usage_trend", "seat_use"),
    "adoption": ("adoption",),
    "breadth": ("breadth",),
    "key_users": ("key_users",),
    "support": ("support",),
    "satisfaction": ("satisfaction",),
    "onboarding": ("onboarding",),
}


def step_of(feature: Feature) -> StepName | None:
    """The step that a feature belongs to; None if no CSM moves it."""
    # What the team did follows from risk as it saw it: more of it is no way to say what would help.
    if not feature.lever or feature.categorical or feature.metric_class == "process":
        return None
    return next((step for step, drivers in STEPS.items() if feature.driver in drivers), None)


def wished(feature: Feature, target: str) -> int:
    """+1 if more of the feature is to be wished for, -1 if less, 0 if its declaration leaves it open."""
    direction = feature.direction.get(target, 0)
    return direction if target == "expansion" else -direction


def movable(
    columns: Sequence[str], followed: Collection[int], target: str
) -> dict[StepName, tuple[int, ...]]:
    """Step -> places among a model's columns of the features that it moves; empty steps are left out.

    followed: places whose value follows from others (`Identities.followed`): they don't move by themselves.
    """
    found: dict[StepName, list[int]] = {step: [] for step in STEPS}
    for at, name in enumerate(columns):
        feature = BY_NAME.get(name)
        if feature is None or at in followed or not wished(feature, target):
            continue
        step = step_of(feature)
        if step is not None:
            found[step].append(at)
    return {step: tuple(places) for step, places in found.items() if places}
