"""What only a simulation can tell: why each account left, and how likely each outcome really was.

Owns the tables truth_causes and truth_probabilities. The probabilities come from many futures lived
with the transition of the record itself (`behaviour.step`), from the full state of the account."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from churnml.simulate.arrow import days, texts
from churnml.simulate.behaviour import step
from churnml.simulate.causes import ACAUSAL, CAUSES, LONGEST_WEEKS, NAMES, planted
from churnml.simulate.history import History
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import MERGED, NEVER, PAYING, State, Traits, list_mrr

EVERY_WEEKS = 4
FIRST_WEEK = 4
LEAD_DAYS = 14
HORIZON_DAYS = 90
MIN_CHANGE_SHARE = 0.05
TARGETS = ("churn", "contraction", "expansion")
ROWS_AT_ONCE = 4096  # larger arrays fall out of the processor's cache


def causes_table(history: History, account_ids: pa.Array) -> pa.Table:
    """One row per planted cause (account_id, cause, planted_at, churned_at), and one, `acausal`, per
    churn with no cause at work, planted on the day of the decision.

    churned_at is set where the account left while the cause pressed it; ends that say nothing about
    us (merged) are no churn. Causes that were over before the record began are left out.
    """
    left_week, left_day = _churns(history)
    account: list[Ints] = []
    cause: list[Ints] = []
    planted_day: list[Ints] = []
    churned: list[Ints] = []
    onset = history.of("onset", first=True)
    for kind in range(len(CAUSES)):
        fresh = np.diff(onset[:, kind], axis=0) > 0
        fresh |= _alive_at_first(onset[0, kind], kind, history)[None] & (
            np.arange(history.settings.weeks)[:, None] == 0
        )
        weeks, rows = np.nonzero(fresh)
        for week, row in zip(weeks, rows, strict=True):
            pass
    raise NotImplementedError
