"""Why churns were missed. Owns the causes and that each churn has exactly one; reads no store, no ledger.

A churn is looked at through the books whose window held its date and that could have seen it: the account
paid, and its end was not known yet. Where one of them put it into a high or critical tier it was flagged, and
the cause is what was done; otherwise the last of them decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from churnml.actions.record import LAPSED, LEFT_BOOK, OBSERVED, PASSED, ActionRow
from churnml.monitor.matured import FLAGGED

Cause = Literal[
    "no_data", "no_signal", "below_threshold", "held_out", "ignored", "nothing_could_be_done"
]
CAUSES: tuple[Cause, ...] = (
    "no_data", "no_signal", "below_threshold", "held_out", "ignored", "nothing_could_be_done",
)  # fmt: skip
_BY_ITSELF = (LEFT_BOOK, PASSED, LAPSED, OBSERVED)  # outcomes that no person wrote


@dataclass(frozen=True)
class Sight:
    """What one book could see of a churn. probability None: it had too little data, or not the account."""

    as_of: datetime
    probability: float | None
    tier: str
    mean: float  # probability, of the book


@dataclass(frozen=True)
class Miss:
    """One churn and its cause. lost: the MRR that left, in minor units. as_of, probability, tier: what was
    told last, or where it was flagged at first."""

    account_id: str
    churned_at: datetime
    lost: int
    cause: Cause
    as_of: datetime
    probability: float | None
    tier: str


@dataclass(frozen=True)
class CauseSum:
    """How many churns have a cause, and the MRR that left with them."""

    cause: Cause
    churns: int
    lost: int


def miss_of(
    account_id: str,
    churned_at: datetime,
    lost: int,
    sights: Sequence[Sight],
    actions: Sequence[ActionRow] = (),
    treated: Sequence[datetime] = (),
) -> Miss:
    """sights: of the books that could have seen it, oldest first, at least one. actions: the account's on
    record. treated: when it was treated by the company's own records."""
    flagged = next((sight for sight in sights if sight.tier in FLAGGED), None)
    told = flagged or sights[-1]
    if flagged is not None:
        cause = _after_the_flag(flagged.as_of, churned_at, actions, treated)
    else:
        cause = _without_flag(told)
    return Miss(account_id, churned_at, lost, cause, told.as_of, told.probability, told.tier)


def sums_of(misses: Sequence[Miss]) -> tuple[CauseSum, ...]:
    """By cause, in the order of CAUSES, zeros too."""
    own: Mapping[Cause, list[Miss]] = {
        cause: [miss for miss in misses if miss.cause == cause] for cause in CAUSES
    }
    return tuple(
        CauseSum(cause, len(found), sum(miss.lost for miss in found))
        for cause, found in own.items()
    )


def _without_flag(told: Sight) -> Cause:
    if told.probability is None:
        return "no_data"
    if told.tier == "low" and told.probability <= told.mean:
        return "no_signal"
    return "below_threshold"


def _after_the_flag(
    flagged_at: datetime,
    churned_at: datetime,
    actions: Sequence[ActionRow],
    treated: Sequence[datetime],
) -> Cause:
    own = [
        action
        for action in actions
        if action.opened_at <= churned_at
        and (action.closed_at is None or action.closed_at >= flagged_at)
    ]
    if any(flagged_at <= at <= churned_at for at in treated) or any(
        _taken(action, churned_at) for action in own
    ):
        return "nothing_could_be_done"
    return "held_out" if any(action.arm == "held_out" for action in own) else "ignored"


def _taken(action: ActionRow, churned_at: datetime) -> bool:
    """Whether somebody closed it as done before the churn; dismissing it is not doing it."""
    return (
        action.state == "closed"
        and action.outcome not in _BY_ITSELF
        and action.closed_at is not None
        and action.closed_at <= churned_at
    )
