"""Why accounts leave: the planted causes, what each does to an account, and how strongly.

Owns the declarations and how a cause rises and fades with its age; moves no account."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churnml.simulate.settings import Flags, Floats, Ints

ACAUSAL = "acausal"


@dataclass(frozen=True)
class Cause:
    """One planted cause. Its signals come first, the wish to leave after `lag_weeks`.

    weekly: chance that it starts in a week (0: started by a rule of its own).
    rise_weeks: until signals, and later the wish, are in full force.
    lasts_weeks: until it is over for those who stayed.
    hazard: weekly chance of leaving that it adds at full force and strength 1.
    use, depth, satisfaction: full effect on log activity, on the share of what was adopted, and on
    satisfaction (standard deviations). seats: weekly change of log seats needed while it rises.
    reasons: what the customer writes on the cancellation.
    """

    name: str
    weekly: float
    rise_weeks: float
    lag_weeks: int
    lasts_weeks: int
    hazard: float
    use: float
    depth: float
    satisfaction: float
    seats: float
    reasons: tuple[str, ...]


CAUSES = (
    Cause("champion_left", 0.0018, 4, 3, 26, 0.040, -0.65, 0.2, -0.5, 0.0,
          ("champion_left",)),
    Cause("fading_use", 0.0026, 8, 6, 30, 0.044, -1.7, 0.3, -0.3, 0.0,
          ("product_fit", "budget")),
    # Every sixth sign-up or so; population.py plants it.
    Cause("never_adopted", 0.0, 1, 8, 44, 0.028, -0.8, 0.8, -0.7, 0.0,
          ("product_fit",)),
    Cause("contraction", 0.0016, 8, 6, 26, 0.036, -0.4, 0.0, -0.1, -0.075,
          ("budget",)),
    Cause("support_pain", 0.0020, 3, 4, 18, 0.040, -0.2, 0.0, -2.6, 0.0,
          ("support",)),
    # Started when the discount ends (monthly, quarterly) or the renewal offer comes (annual).
    Cause("price", 0.0, 2, 2, 16, 0.036, -0.2, 0.0, -1.9, 0.0,
          ("price", "competitor")),
    Cause("need_changed", 0.0017, 6, 5, 26, 0.040, -0.6, 0.85, -0.2, 0.0,
          ("product_fit", "competitor")),
)  # fmt: skip
NAMES = tuple(cause.name for cause in CAUSES)
CHAMPION, FADING, NEVER_ADOPTED, SHRINKING, SUPPORT, PRICE, NEED = range(len(CAUSES))
ACAUSAL_REASONS = ("budget", "competitor", "payment_failed", "other")

NOT_PLANTED = -10_000  # the week of a cause that is not there
FADES_WEEKS = 5.0  # a cause that ends does so over its last weeks


LONGEST_WEEKS = max(cause.lasts_weeks for cause in CAUSES)
WEEKLY = np.array([cause.weekly for cause in CAUSES])
RISE = np.array([cause.rise_weeks for cause in CAUSES])
LAG = np.array([float(cause.lag_weeks) for cause in CAUSES])
LASTS = np.array([float(cause.lasts_weeks) for cause in CAUSES])
HAZARD = np.array([cause.hazard for cause in CAUSES])
USE = np.array([cause.use for cause in CAUSES])
DEPTH = np.array([cause.depth for cause in CAUSES])
SATISFACTION = np.array([cause.satisfaction for cause in CAUSES])
SEATS = np.array([cause.seats for cause in CAUSES])


@dataclass(frozen=True)
class Planted:
    """The causes that are at work in a week: one entry per cause and account that has it.

    shows: how far its signals are out, 0 to about 1.6. presses: how far it makes the account wish
    to leave, 0 before its lag is over. grows: whether its signals are still on the rise.
    """

    cause: Ints
    account: Ints
    shows: Floats
    presses: Floats
    grows: Flags
    accounts: int

    def per_account(self, weight: Floats) -> Floats:
        """Sum of `weight` (per entry) by account: (accounts,)."""
        total = np.bincount(self.account, weight, minlength=self.accounts)
        return total.astype(np.float64, copy=False)

    def shown(self, cause: int) -> Floats:
        """How far one cause shows: (accounts,)."""
        return self.per_account(self.shows * (self.cause == cause))

    @property
    def hazard(self) -> Floats:
        """Weekly chance of leaving that the causes add: (accounts,)."""
        return self.per_account(self.presses * HAZARD[self.cause])


def planted(onset: Ints, strength: Floats, week: int) -> Planted:
    """The causes at work in `week`. onset, strength: (causes, accounts)."""
    # Few accounts have any cause: look only at those entries.
    cause, account = np.divmod(np.flatnonzero(onset > week - LONGEST_WEEKS), onset.shape[1])
    age = week - onset[cause, account]
    here = (age >= 0) & (age < LASTS[cause])
    cause, account, age = cause[here], account[here], age[here]
    power = strength[cause, account]
    ending = (LASTS[cause] - age) / FADES_WEEKS
    rise = RISE[cause]
    shows = np.clip(np.minimum((age + 1) / rise, ending), 0, 1) * np.sqrt(power)
    presses = np.clip(np.minimum((age + 1 - LAG[cause]) / rise, ending), 0, 1) * power
    return Planted(cause, account, shows, presses, age < rise, onset.shape[1])
