"""A simulated company as the contract's tables, and the truth about it.

Owns the order of things and the streams of random numbers; every table has a module of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churnml.simulate.accounts import accounts_table, created_days
from churnml.simulate.arrow import numbered
from churnml.simulate.care import care_tables
from churnml.simulate.events import events_table
from churnml.simulate.history import live
from churnml.simulate.people import draw_roster, users_table
from churnml.simulate.settings import SimulationSettings
from churnml.simulate.subscriptions import subscriptions_table
from churnml.simulate.support import (
    milestones_table,
    referrals_table,
    surveys_table,
    tickets_table,
)
from churnml.simulate.truth import causes_table, decoys_table, probabilities_table


@dataclass(frozen=True)
class Simulation:
    """The tables of the contract by name (accounts, users, events, subscriptions, tickets, surveys,
    milestones, referrals; interventions where a CS team acts), and truth_causes, truth_probabilities and
    truth_decoys (truth_treatments too)."""

    settings: SimulationSettings
    tables: Mapping[str, pa.Table]


def simulate(settings: SimulationSettings) -> Simulation:
    """A company of `settings.accounts` accounts over `settings.weeks` weeks.

    The same settings give the same tables, to the byte. Every table draws from a stream of its own:
    whether probabilities are drawn, or how many, changes no other table.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(10)]
    history = live(settings, streams[0])
    ids = numbered("A", history.accounts, 5)
    roster = draw_roster(history, streams[1])
    created, trial = created_days(history, streams[2])
    tables = {
        "accounts": accounts_table(history, ids, created, trial, streams[2]),
        "users": users_table(roster, ids),
        "events": events_table(history, roster, ids, streams[3]),
        "subscriptions": subscriptions_table(history, ids, streams[4]),
        "tickets": tickets_table(history, roster, ids, streams[5]),
        "surveys": surveys_table(history, roster, ids, streams[6]),
        "milestones": milestones_table(history, ids, created, streams[7]),
        "referrals": referrals_table(history, ids, streams[7]),
        "truth_causes": causes_table(history, ids),
        "truth_decoys": decoys_table(history, roster, ids),
        "truth_probabilities": probabilities_table(history, ids, streams[8]),
    }
    tables |= care_tables(history, ids, tables["accounts"]["csm_id"], streams[9])
    return Simulation(settings, tables)
