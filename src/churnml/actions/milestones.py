"""Where an account stands on its way: what it reached (A), what comes next (B), the steps between, and how
far it is behind. Owns this arithmetic; reads no table (the plan comes with the account's evidence).

All days are days of the account's age. A step is overdue when its day is over and it is not reached, as
the features of milestones count it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MARKS = (30, 60, 90)
OWNERS = ("us", "customer", "nobody")  # nobody: the table doesn't say


@dataclass(frozen=True)
class Milestone:
    """One step. days_late: past its day without being reached; 0 if reached or not due yet."""

    name: str
    due_day: int
    owner: str
    reached_day: int | None
    days_late: int


@dataclass(frozen=True)
class Mark:
    """Which of the milestones due by that day were met in time, missed (reached late or not at all), and
    which are still ahead."""

    day: int
    met: tuple[str, ...]
    missed: tuple[str, ...]
    ahead: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """Where an account stands.

    at: the furthest that it reached (A); None at the very start. next: the first that it has not reached
    and whose day is not over; where all such days are over, the last one (B); None if all are reached.
    between: what is not reached and due before B, so it lies on the way. days_behind: of the step that
    is overdue longest. overdue: how many are, by owner.
    """

    day: int
    reached: int
    steps: tuple[Milestone, ...]
    at: Milestone | None
    next: Milestone | None
    between: tuple[Milestone, ...]
    days_behind: int
    overdue: Mapping[str, int]
    marks: tuple[Mark, ...]


def standing_of(evidence: Mapping[str, Any]) -> Standing | None:
    """Where an account with this evidence stands; None where no milestones are planned for it, or the
    book was scored before they were kept."""
    plan = evidence.get("milestones")
    return standing(plan["steps"], plan["age_days"]) if plan and plan["steps"] else None


def standing(plan: Sequence[Mapping[str, Any]], age_days: int) -> Standing:
    """Where an account of that age stands in a plan of at least one step (name, due_day, owner,
    reached_day), in any order."""
    steps = tuple(
        _milestone(step, age_days)
        for step in sorted(plan, key=lambda step: (step["due_day"], step["name"]))
    )
    reached = [step for step in steps if step.reached_day is not None]
    left = [step for step in steps if step.reached_day is None]
    late = [step for step in left if step.days_late]
    ahead = [step for step in left if not step.days_late]
    following = ahead[0] if ahead else left[-1] if left else None
    return Standing(
        day=age_days,
        reached=len(reached),
        steps=steps,
        at=reached[-1] if reached else None,
        next=following,
        between=tuple(left[: left.index(following)]) if following else (),
        days_behind=max((step.days_late for step in late), default=0),
        overdue={owner: sum(step.owner == owner for step in late) for owner in OWNERS},
        marks=tuple(_mark(day, steps, age_days) for day in MARKS),
    )


def _milestone(step: Mapping[str, Any], age_days: int) -> Milestone:
    reached = step["reached_day"]
    late = max(0, age_days - step["due_day"]) if reached is None else 0
    return Milestone(step["name"], step["due_day"], step["owner"] or "nobody", reached, late)


def _mark(day: int, steps: Sequence[Milestone], age_days: int) -> Mark:
    met, missed, ahead = [], [], []
    for step in steps:
        if step.due_day > day:
            continue
        if step.reached_day is not None and step.reached_day <= step.due_day:
            met.append(step.name)
        elif step.reached_day is not None or age_days > step.due_day:
            missed.append(step.name)
        else:
            ahead.append(step.name)
    return Mark(day, tuple(met), tuple(missed), tuple(ahead))
