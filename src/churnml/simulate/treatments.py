"""What the CS team does about the planted causes: the plays, who gets one, who is held out, what it does.

Owns the declarations, the choice and the effect; writes no table (`care.py` does).

A play takes away a share of what its own causes add to the weekly chance of leaving, from the week after it
was done until it is over. It changes no signal: what shows goes on showing. The team sees signals, not
causes, so it picks accounts that show something (those who were treated are not like the others), and now
and then picks the wrong play, which then does nothing. Of those picked, lots hold some out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from churnml.simulate.causes import (
    CAUSES,
    CHAMPION,
    FADING,
    NEED,
    NEVER_ADOPTED,
    PRICE,
    SHRINKING,
    SUPPORT,
    Planted,
)
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import NEVER, NO_PLAY, State


@dataclass(frozen=True)
class Treatment:
    """One play. causes: what it acts on (none: it does nothing, and is done all the same). eases: the share
    of their weekly chance of leaving that it takes away. lasts_weeks: for how long."""

    play: str
    causes: tuple[int, ...]
    eases: float
    lasts_weeks: int


# The names are those of actions/plays.
TREATMENTS = (
    Treatment("key_contact_left", (CHAMPION,), 0.55, 16),
    Treatment("fading_usage", (FADING,), 0.35, 12),
    Treatment("never_activated", (NEVER_ADOPTED,), 0.4, 20),
    Treatment("contraction_review", (SHRINKING,), 0.3, 16),
    Treatment("slow_support", (SUPPORT,), 0.6, 12),
    Treatment("renewal_ahead", (PRICE,), 0.3, 12),
    Treatment("passive_modules_training", (NEED,), 0.25, 16),
    Treatment("quarterly_review", (), 0.0, 12),
)
ROUTINE = len(TREATMENTS) - 1
PROPENSITY = 0.75  # of those picked get the play; the others are held out
NOTICED = 0.07  # weekly chance that the team picks an account whose signals are out in full
ROUTINE_WEEKLY = 0.004  # weekly chance of a routine review of any account
MISTAKEN = 0.15  # share of plays chosen by lot instead of by what shows most
_PLAY_OF = np.array(
    [
        next(place for place, one in enumerate(TREATMENTS) if cause in one.causes)
        for cause in range(len(CAUSES))
    ]
)
_LASTS = np.array([one.lasts_weeks for one in TREATMENTS])
# Share taken away of each cause's chance, by play: (plays, causes).
EASES = np.zeros((len(TREATMENTS), len(CAUSES)))
for _place, _one in enumerate(TREATMENTS):
    EASES[_place, list(_one.causes)] = _one.eases


def eased(causes: Planted, state: State, week: int) -> Planted:
    """The causes with what the plays in force take away. The same object where none is."""
    if not (state.play > NO_PLAY).any():
        return causes
    play = state.play[causes.account]
    given = week - state.played[causes.account]
    works = (play > NO_PLAY) & ~state.held_out[causes.account]
    works &= (given >= 1) & (given <= _LASTS[play])
    share = np.where(works, EASES[play, causes.cause], 0.0)
    return replace(causes, presses=causes.presses * (1 - share))


def treat(
    state: State, causes: Planted, paying: Flags, week: int, rng: np.random.Generator
) -> None:
    """Pick this week's accounts, choose a play for each, and draw who is held out.

    An account that has a play (or is held out from one) gets no other until that would be over.
    """
    shown = np.zeros((len(CAUSES), len(state)))
    np.add.at(shown, (causes.cause, causes.account), causes.shows)
    most = shown.max(axis=0)
    drawn, lots = rng.random(len(state)), rng.random((3, len(state)))
    idle = (state.play == NO_PLAY) | (week - state.played > _LASTS[state.play])
    free = paying & (state.end_day == NEVER) & idle
    noticed = free & (drawn < NOTICED * np.minimum(most, 1.0))
    routine = free & ~noticed & (drawn > 1 - ROUTINE_WEEKLY)
    mistaken = np.floor(lots[1] * len(TREATMENTS)).astype(np.int64)
    seen = _PLAY_OF[np.argmax(shown, axis=0)]
    play = np.where(routine, ROUTINE, np.where(lots[0] < MISTAKEN, mistaken, seen))
    picked = noticed | routine
    state.play[picked] = play[picked]
    state.played[picked] = week
    state.held_out[picked] = lots[2, picked] >= PROPENSITY


def eased_share(play: Ints, pressing: Floats) -> Floats:
    """What a play takes away of the chance that the causes add: (rows,). pressing: (causes, rows), the
    weekly chance that each cause adds without it; 0 where none adds any."""
    total = pressing.sum(axis=0)
    taken = (EASES[play].T * pressing).sum(axis=0)
    return np.divide(taken, total, out=np.zeros(len(play)), where=total > 0)
