"""Snapshots whose contract cannot end inside the window. Owns who they are and what they are told.

They are no survivors of the same kind: a year's contract that has eight months to go teaches nothing about
who stays, and is an easy success in every measure. Where the data show that contracts bind, such rows are
left out of learning, calibration and test, and are told their own small probability (decision 0015)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnml.config import TargetConfig
from churnml.scoring.outlook import renewal_days
from churnml.scoring.predict import RENEWAL, FloatArray
from churnml.training.assemble import BoolArray, TrainingTable

BINDS_SHARE = 0.1  # of the others' rate: with more outcomes than that, contracts don't bind
LEAST_EXPECTED = 5.0  # accounts with the outcome, if they left as the others do; below, cannot tell


@dataclass(frozen=True)
class Lock:
    """Rows that renew later than `beyond_days` after as_of, and what they are told.

    rows, accounts, outcomes: of them in the train part; outcomes counts accounts.
    """

    beyond_days: int
    probability: float
    rows: int
    accounts: int
    outcomes: int

    def holds(self, table: TrainingTable) -> BoolArray:
        """Which rows' contracts cannot end inside the window, (rows,)."""
        return locked(renewal_days(table.columns, table.x), self.beyond_days)


def locked(renewal: FloatArray, beyond_days: int) -> BoolArray:
    """Whether the contract is known to renew after `beyond_days`, (rows,); unknown is no."""
    with np.errstate(invalid="ignore"):
        found: BoolArray = renewal > beyond_days
    return found


def contract_lock(train: TrainingTable, declared: TargetConfig) -> Lock | None:
    """The lock that the train part's rows show or the configuration declares; None if there is none.

    `renewals = "auto"`: contracts bind where next to nobody has the outcome while theirs cannot end,
    and enough accounts stood there to see it.
    """
    if declared.renewals == "open" or RENEWAL not in train.columns:
        return None
    beyond = declared.lead_days + declared.horizon_days
    inside = locked(renewal_days(train.columns, train.x), beyond)
    if not inside.any() or inside.all():
        return None
    held, free = train.where(inside), train.where(~inside)
    accounts, outcomes = _accounts(held)
    others, left = _accounts(free)
    rate = left / others
    if declared.renewals == "auto" and (
        rate * accounts < LEAST_EXPECTED or outcomes > BINDS_SHARE * rate * accounts
    ):
        return None
    # Half an account's worth of rows with the outcome, in one account more: never quite 0.
    per_account = len(held) / accounts
    probability = (float(held.y.sum()) + 0.5 * per_account * rate) / (len(held) + per_account)
    return Lock(beyond, probability, len(held), accounts, outcomes)


def _accounts(table: TrainingTable) -> tuple[int, int]:
    """Accounts, and those with the outcome."""
    return len(set(table.accounts)), len(set(table.accounts[table.y > 0.5]))
