"""An action on record: one row, what happens to it, and the ids and arms that follow from its account.

Owns their shapes; moves nothing (clock.py and hand.py do) and stores nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

State = Literal["open", "snoozed", "escalated", "recovered", "closed", "dismissed"]
Arm = Literal["treated", "held_out"]
Recovered = Literal["recovered", "not_recovered"]

# Outcomes that the clock writes; people write their own.
LEFT_BOOK = "left_book"  # the account is scored no more: it ended, or is leaving
PASSED = "occasion_passed"  # growth is likely no more
LAPSED = "lapsed"  # nobody took it up
OBSERVED = "observed"  # held out, and looked at for as long as the others


@dataclass(frozen=True)
class ActionRow:
    """One action of one account.

    occasion: which time this play is for this account, unique for ever. who: whose turn it is now; level:
    the step of the escalation that was reached. recover_by: until when recovery is looked for. as_of,
    probability, tier, reasons: the score that it was opened on (reasons as stored ones, those that raise
    the probability first). judgement: the CSM's own tier. recovery: what was told, even after it was
    closed. It is live while `closed_at` is None.
    """

    action_id: str
    account_id: str
    play: str
    occasion: str
    target: str
    state: State
    arm: Arm
    propensity: float
    who: str
    csm_id: str | None
    opened_at: datetime
    due_at: datetime
    recover_by: datetime | None
    as_of: datetime
    probability: float | None
    tier: str
    reasons: tuple[Mapping[str, Any], ...]
    level: int = 0
    escalated_at: datetime | None = None
    snoozed_until: datetime | None = None
    judgement: str | None = None
    closed_at: datetime | None = None
    outcome: str | None = None
    dismissed_because: str | None = None
    recovery: Recovered | None = None
    recovered_at: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether it is still to be done."""
        return self.closed_at is None


@dataclass(frozen=True)
class ActionEvent:
    """A thing that happened to an action. An action, kind and period happen together only once."""

    action_id: str
    account_id: str
    kind: str
    period: str
    at: datetime
    detail: str = ""


@dataclass(frozen=True)
class Change:
    """An event, and the action as it is after it."""

    action: ActionRow
    event: ActionEvent


def change(after: ActionRow, kind: str, at: datetime, period: str = "", detail: str = "") -> Change:
    """A change of an action to `after`. period: tells events of one kind apart."""
    event = ActionEvent(after.action_id, after.account_id, kind, period, at, detail)
    return Change(after, event)


def action_id_of(account_id: str, play: str, occasion: str) -> str:
    """The id of the action of an account, play and occasion: 16 hexadecimal digits."""
    told = "\0".join((account_id, play, occasion))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def arm_of(account_id: str, seed: int, hold_out_share: float) -> Arm:
    """The arm of an account. A larger share holds out the same accounts and more."""
    digest = hashlib.sha256(f"{seed}\0{account_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "held_out" if place < hold_out_share else "treated"
