"""The weeks as they were lived, week by week. Owns the record and the choice of who is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from churnml.simulate.behaviour import step
from churnml.simulate.population import draw_population
from churnml.simulate.settings import BURN_WEEKS, Ints, SimulationSettings
from churnml.simulate.state import PAYING, State, Traits


@dataclass
class History:
    """What happened to the accounts. `before` is how week 0 found them, `after[w]` how week w left
    them, `moved[w]` the day in week w on which an account's contract moved, if it did."""

    settings: SimulationSettings
    traits: Traits
    before: State
    after: list[State]
    moved: Ints

    @property
    def accounts(self) -> int:
        """How many accounts."""
        return len(self.before)

    def at(self, week: int) -> State:
        """How the beginning of `week` finds the accounts."""
        return self.before if week == 0 else self.after[week - 1]

    def of(self, name: str, first: bool = False) -> NDArray[Any]:
        """One array of the states after every week: (weeks, ..., accounts).

        first: with the state before week 0 in front.
        """
        states = [self.before, *self.after] if first else self.after
        return np.stack([getattr(state, name) for state in states])


def live(settings: SimulationSettings, rng: np.random.Generator) -> History:
    """Live through all weeks, and keep as many accounts as were asked for.

    Accounts don't touch each other, so leaving some out at random changes nothing for the rest.
    """
    slack = 1.35
    while True:
        history, kept = _live_pool(settings, rng, slack)
        if len(kept) >= settings.accounts:
            break
        slack *= 1.5
    rows = rng.permutation(kept)[: settings.accounts]
    rows = rows[np.argsort(history.traits.signup_day[rows], kind="stable")]
    return History(
        settings,
        history.traits.take(rows),
        history.before.take(rows),
        [state.take(rows) for state in history.after],
        history.moved[:, rows],
    )


def _live_pool(
    settings: SimulationSettings, rng: np.random.Generator, slack: float
) -> tuple[History, Ints]:
    traits, state = draw_population(settings, rng, slack)
    for week in range(-BURN_WEEKS, 0):
        step(state, traits, settings.day(week), week, rng, settings.treatments)
    before, after, moved = state.copy(), [], []
    for week in range(settings.weeks):
        moved.append(step(state, traits, settings.day(week), week, rng, settings.treatments))
        after.append(state.copy())
    history = History(settings, traits, before, after, np.stack(moved))
    kept = (before.status == PAYING) | (traits.signup_day >= settings.day(0))
    return history, np.flatnonzero(kept)
