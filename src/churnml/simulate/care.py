"""What the CS team did, as it was written down, and what it did to the chance of leaving.

Owns the tables interventions and truth_treatments; who is picked and what a play does is treatments.py's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulate.arrow import days, moments, numbered, numbers, texts
from churnml.simulate.causes import HAZARD, planted
from churnml.simulate.history import History
from churnml.simulate.settings import Floats, Ints
from churnml.simulate.state import NO_PLAY
from churnml.simulate.treatments import PROPENSITY, TREATMENTS, eased_share
from churnml.simulate.truth import ROWS_AT_ONCE, roll

FRIDAY = 4  # what is decided in a week is decided before the team gets to it
ARMS = ("treated", "held_out")
A_DAY = 86_400


def care_tables(
    history: History, account_ids: pa.Array, csm_ids: pa.ChunkedArray, rng: np.random.Generator
) -> dict[str, pa.Table]:
    """interventions, and truth_treatments beside it, a row each for every account that was picked.

    Held out: the row says when and which play it would have been. eased_share: what the play takes away of
    the weekly chance that the account's causes add. churn_if_treated, churn_if_held_out: the share of futures
    with churn 14 to 104 days after as_of, the Monday that follows, lived from the full state under either
    arm; missing without rollouts. Both tables are left out where there are no treatments.
    """
    if not history.settings.treatments:
        return {}
    week, account = _picked(history)
    n = len(week)
    play = history.of("play")[week, account]
    held_out = history.of("held_out")[week, account]
    day = history.settings.day(0) + 7 * week + FRIDAY
    second = day * A_DAY + rng.integers(8 * 3600, 17 * 3600, n)
    closed = second + rng.integers(3 * A_DAY, 21 * A_DAY, n)
    done = ~held_out & (closed < history.settings.end_day * A_DAY)
    names = [one.play for one in TREATMENTS]
    shared = {
        "intervention_id": numbered("I", n, 6),
        "account_id": account_ids.take(pa.array(account)),
        "performed_at": moments(second),
        "play": texts(play, names),
        "arm": texts(held_out.astype(np.int64), ARMS),
    }
    interventions = pa.table(
        {
            **shared,
            "csm_id": csm_ids.take(pa.array(account)),
            "propensity": numbers(np.full(n, PROPENSITY)),
            "outcome": texts(np.zeros(n, dtype=np.int64), ("done",), done),
            "closed_at": moments(closed, done),
        }
    )
    treated, left_alone = _chances(history, week, account, rng)
    known = ~np.isnan(treated)
    truth = pa.table(
        {
            **shared,
            "as_of": days(history.settings.day(0) + 7 * (week + 1)),
            "eased_share": numbers(_eased(history, week, account, play)),
            "churn_if_treated": numbers(treated, known),
            "churn_if_held_out": numbers(left_alone, known),
        }
    )
    return {"interventions": interventions, "truth_treatments": truth}


def _picked(history: History) -> tuple[Ints, Ints]:
    """(week, account) of every choice of the team in a recorded week."""
    played, play = history.of("played"), history.of("play")
    own = np.arange(history.settings.weeks)[:, None]
    week, account = np.nonzero((played == own) & (play > NO_PLAY))
    return week, account


def _eased(history: History, week: Ints, account: Ints, play: Ints) -> Floats:
    onset, strength = history.of("onset"), history.of("strength")
    pressing = np.zeros((onset.shape[1], len(week)))
    for own in np.unique(week):
        rows = np.flatnonzero(week == own)
        work = planted(onset[own][:, account[rows]], strength[own][:, account[rows]], int(own) + 1)
        np.add.at(pressing, (work.cause, rows[work.account]), work.presses * HAZARD[work.cause])
    return eased_share(play, pressing)


def _chances(
    history: History, week: Ints, account: Ints, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """(treated, held out): chances of churn, (rows,) each; NaN where no future has a label."""
    told = np.full((2, len(week)), np.nan)
    futures = history.settings.rollouts
    if not futures:
        return told[0], told[1]
    for own in np.unique(week):
        state = history.at(int(own) + 1)
        rows = np.flatnonzero(week == own)
        for part in np.array_split(rows, max(1, -(-len(rows) * futures // ROWS_AT_ONCE))):
            some = np.repeat(account[part], futures)
            for arm in range(2):
                lived = state.take(some)
                lived.held_out[:] = arm == 1
                outcome = roll(history, lived, history.traits.take(some), int(own) + 1, rng)
                hit, counted = outcome[:, 0].reshape(2, -1, futures).sum(axis=2)
                told[arm, part] = np.divide(
                    hit, counted, out=np.full(len(part), np.nan), where=counted > 0
                )
    return told[0], told[1]
