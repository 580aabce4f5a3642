"""How large a company to simulate, and when. Owns the settings and the weeks; draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from churnml.errors import ConfigError
from churnml.timeline import as_moment, day_number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

BURN_WEEKS = 52  # lived before the first recorded week, so that week 0 finds causes already at work


@dataclass(frozen=True)
class SimulationSettings:
    """What to simulate.

    accounts: rows of the table `accounts`: all that ever paid in the recorded weeks. The book (those
    paying at one time) is smaller and about constant: sign-ups replace what churns.
    weeks: recorded weeks; the first begins `weeks` before `ends`.
    ends: the Monday on which the record ends (exclusive).
    rollouts: futures drawn per account and date for the true probabilities; 0 leaves them out.
    treatments: whether a CS team acts on what it sees (`treatments.py`): another company than without.
    """

    accounts: int = 600
    weeks: int = 104
    seed: int = 7
    ends: date = date(2025, 12, 29)
    rollouts: int = 64
    treatments: bool = False

    def __post_init__(self) -> None:
        for name, low in (("accounts", 1), ("weeks", 1), ("seed", 0), ("rollouts", 0)):
            found = getattr(self, name)
            if found < low:
                raise ConfigError(
                    f"simulate.{name}: found {found}. Expected {low} or more. Choose another number."
                )
        if self.ends.weekday() != 0:
            raise ConfigError(
                f"simulate.ends: found {self.ends:%A %Y-%m-%d}. Expected a Monday, because the "
                "company lives by whole weeks. Choose the Monday before or after."
            )
        if self.day(-BURN_WEEKS) < day_number(datetime(1990, 1, 1)):
            raise ConfigError(
                f"simulate: {self.weeks} weeks before {self.ends} begin too early. Expected a start "
                "after 1991. Choose fewer weeks or a later end."
            )

    def day(self, week: int) -> int:
        """Day number (from 1970-01-01) of the Monday that begins `week`; week 0 is the first."""
        return day_number(as_moment(self.ends)) - 7 * (self.weeks - week)

    @property
    def end_day(self) -> int:
        """Day number of `ends`."""
        return self.day(self.weeks)
