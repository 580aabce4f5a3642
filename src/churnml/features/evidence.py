"""What stands behind an account's features at one `as_of`: modules, roles, peers, milestones, by name.

Owns the shape of this evidence, as plain JSON, and what the account's peers did over the same days;
`engine_evidence` reads the rest out of the tables. No user id and no personal name is in it: roles and
counts alone. A piece is absent where the tables don't tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

FEWEST_PEERS = 20  # a segment with fewer accounts says little: all accounts are the peers then

# The changes that are told beside those of the peers.
COMPARED = (
    "events_change_7d_share",
    "events_change_28d_share",
    "logins_change_28d_share",
    "active_users_change_28d_share",
    "completed_change_28d_share",
    "modules_change_28d_share",
    "sessions_change_28d_share",
    "time_change_28d_share",
    "events_own_cadence_share",
    "events_28d_own_cadence_share",
)


class Names(TypedDict):
    """Modules: the first few by name, and how many they are in all."""

    names: list[str]
    count: int


class Move(TypedDict, total=False):
    """Where most of a change of the last 28 days against the 28 before came from.

    moved: now less before. module: in which at least half of it is. users: how many made at least
    half of it (in that module, where there is one), if they are few among many.
    """

    moved: int
    module: str
    users: int


class Role(TypedDict, total=False):
    """One key role. holders: who hold it now. left_days: since somebody in it left for good;
    left_90d: how many did in the last 90 days. silent_days: since a holder did anything, None if no
    holder ever did; absent where the log names nobody."""

    holders: int
    left_days: int
    left_90d: int
    silent_days: int | None


class Peers(TypedDict):
    """The peers' median of each change feature at the same `as_of`. of: who they are."""

    of: Literal["segment", "all"]
    medians: dict[str, float]


class Step(TypedDict):
    """One milestone of an account's plan. due_day, reached_day: days of the account's age; None: not
    reached as far as could be known. owner: us, customer or None."""

    name: str
    due_day: int
    owner: str | None
    reached_day: int | None


class Plan(TypedDict):
    """An account's milestones, in the order of the plan, and its age at the `as_of`."""

    age_days: int
    steps: list[Step]


class Evidence(TypedDict, total=False):
    """modules: by what was done there (see `engine_evidence`). moves: of events, completed, logins.
    roles: by key role. critics: key roles of those who answered an NPS of 6 or less in 180 days.
    milestones: absent where none are planned.
    promoted_days: since a holder of another key role became an executive, if it is less than 180."""

    milestones: Plan
    modules: dict[str, Names]
    moves: dict[str, Move]
    roles: dict[str, Role]
    critics: list[str]
    promoted_days: int
    peers: Peers


def with_peers(
    evidence: Mapping[str, Evidence], frame: pd.DataFrame, segments: pd.Series
) -> list[Evidence]:
    """The evidence of each row of a features frame of one `as_of`, its peers' changes added.

    segments: of the same rows, missing where an account has none.
    """
    names = [name for name in COMPARED if name in frame]
    values = frame[names].to_numpy(dtype=float, na_value=np.nan)
    overall = _medians(names, values)
    by_segment = {
        segment: _medians(names, values[places])
        for segment, places in segments.groupby(segments).indices.items()
        if len(places) >= FEWEST_PEERS
    }
    found: list[Evidence] = []
    for account_id, segment in zip(frame["account_id"], segments, strict=True):
        own = Evidence(**evidence.get(account_id, {}))
        medians = by_segment.get(segment)
        if medians:
            own["peers"] = {"of": "segment", "medians": medians}
        elif overall:
            own["peers"] = {"of": "all", "medians": overall}
        found.append(own)
    return found


def _medians(names: list[str], values: np.ndarray) -> dict[str, float]:
    """The median of each column that enough accounts have a value in."""
    medians = {}
    for name, column in zip(names, values.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known) >= FEWEST_PEERS:
            medians[name] = float(np.median(known))
    return medians
