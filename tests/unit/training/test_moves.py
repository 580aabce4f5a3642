"""How far accounts move: pairs by calendar, reaches by where they start, steps that move together."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from churnml.config import CalendarConfig
from churnml.features.catalog import BY_NAME
from churnml.scoring.moves import SIZES, bin_of, reach_at, share_together, stretched
from churnml.snapshots.calendar import as_of_dates
from churnml.training import moves as learning
from churnml.training.assemble import TrainingTable
from churnml.training.moves import moves, pairs_of
from churnml.training.papers import reference_of

COLUMNS = ("events_28d_per_week", "days_since_last_event", "nps_last", "tenure_days", "segment")


def table_of(dates, accounts=60, seed=1, columns=COLUMNS) -> TrainingTable:
    """Accounts whose use and silence move against each other, on their own paths."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(2, 40, accounts)
    rows, names, moments = [], [], []
    for date in dates:
        level = np.maximum(1, level + rng.normal(0, 6, accounts))
        for at in range(accounts):
            values = {
                "events_28d_per_week": np.rint(4 * level[at]) / 4,
                "days_since_last_event": 60 / level[at],
                "nps_last": np.nan if at % 3 else 5 + level[at] / 10,
                "tenure_days": 400.0 + (date - dates[0]).days,
                "segment": float(at % 2),
            }
            rows.append([values[name] for name in columns])
            names.append(f"a{at:03d}")
            moments.append(date)
    n = len(rows)
    return TrainingTable(
        x=np.array(rows),
        columns=columns,
        categories={"segment": ("mid", "smb")} if "segment" in columns else {},
        y=np.zeros(n),
        accounts=np.array(names, dtype=object),
        as_of=np.array(moments, dtype="datetime64[us]"),
        mrr=np.ones(n),
        treated=np.zeros(n, dtype=bool),
        days=np.full(n, np.nan),
    )


def every(days: int, count: int) -> list[datetime]:
    return [datetime(2024, 1, 1) + timedelta(days=days * at) for at in range(count)]


def months(count: int) -> list[datetime]:
    first = datetime(2024, 1, 1)
    found = as_of_dates(CalendarConfig(every="month", start=first), first, datetime(2026, 1, 1))
    return list(found[:count])


@pytest.mark.parametrize(
    ("dates", "gaps"),
    [
        (every(7, 20), {28, 35, 42, 49, 56}),  # the last weeks' have less ahead of them
        (months(12), {30, 31, 60}),  # two months where they fit into 60 days
        (every(28, 6), {28, 56}),
        ([datetime(2024, 1, 1), datetime(2024, 1, 20), datetime(2024, 6, 1)], {19}),
    ],
    ids=["weekly", "monthly", "a list of every fourth week", "a list with one near pair"],
)
def test_pairs_are_as_far_apart_as_the_calendar_gives_within_60_days(dates, gaps) -> None:
    table = table_of(dates, accounts=40)
    pairs = pairs_of(table)
    assert set(pairs.gap_days) == gaps
    assert (table.accounts[pairs.first] == table.accounts[pairs.last]).all()
    apart = (table.as_of[pairs.last] - table.as_of[pairs.first]) / np.timedelta64(1, "D")
    assert (apart == pairs.gap_days).all()
    one_voice = np.bincount(pairs.accounts, weights=pairs.weight)
    assert one_voice == pytest.approx(1.0)


@pytest.mark.parametrize("dates", [every(90, 6), every(7, 1)], ids=["quarters", "one date"])
def test_without_pairs_the_paper_says_so_and_knows_nothing(dates) -> None:
    table = table_of(dates)
    found = moves(table, reference_of(table), "churn")
    assert (found["pairs"], found["reach"], found["steps"], found["together"]) == (0, {}, {}, {})


def test_a_reach_is_what_one_in_ten_of_those_that_started_alike_went_beyond() -> None:
    table = table_of(every(28, 14), accounts=200)
    found = moves(table, reference_of(table), "churn")
    reach = found["reach"]["events_28d_per_week"]
    pairs = pairs_of(table)
    start, end = table.x[pairs.first, 0], table.x[pairs.last, 0]
    move = stretched(end, True) - stretched(start, True)
    places = np.searchsorted(reach["edges"], start, side="right")
    for place in range(len(reach["up"])):
        own = places == place
        beyond_up = np.average(move[own] > reach["up"][place], weights=pairs.weight[own])
        beyond_down = np.average(move[own] < reach["down"][place], weights=pairs.weight[own])
        assert beyond_up == pytest.approx(0.1, abs=0.05)  # values repeat
        assert beyond_down == pytest.approx(0.1, abs=0.05)
    # Whoever is low has farther up to go than down, and the other way round.
    assert reach["up"][0] > -reach["down"][0]
    assert reach["up"][-1] < -reach["down"][-1]
    assert reach_at(reach, 0.0) == (reach["down"][0], reach["up"][0])
    assert reach["grain"] == 0.25
    assert bin_of([1.0, 2.0], 1.0) == 1


def test_only_numbers_that_a_csm_can_move_have_a_reach() -> None:
    table = table_of(every(28, 6))
    found = moves(table, reference_of(table), "churn")
    assert set(found["reach"]) == {"events_28d_per_week", "days_since_last_event", "nps_last"}


def test_few_accounts_leave_a_reach_unknown() -> None:
    table = table_of(every(28, 6), accounts=learning.LEAST_ACCOUNTS - 1)
    found = moves(table, reference_of(table), "churn")
    reach = found["reach"]["events_28d_per_week"]
    assert set(reach["up"]) == set(reach["down"]) == {None}
    assert found["steps"] == {}
    assert found["pairs"] > 0


@pytest.mark.parametrize("target", ["churn", "contraction", "expansion"])
def test_a_step_moves_each_feature_to_its_good_side_or_not_at_all(target) -> None:
    table = table_of(every(28, 10), accounts=150)
    found = moves(table, reference_of(table), target)
    use = found["steps"]["use"]
    assert set(use["moves"]) == {"events_28d_per_week", "days_since_last_event"}
    assert min(use["moves"]["events_28d_per_week"]) >= 0
    assert max(use["moves"]["days_since_last_event"]) <= 0
    # The two move against each other, so whoever rises does so in both.
    assert use["moves"]["events_28d_per_week"][0] > 0 > use["moves"]["days_since_last_event"][0]
    assert BY_NAME["days_since_last_event"].direction["expansion"] == -1


def test_steps_together_are_rarer_than_each_and_one_in_ten_comes_as_far_as_the_reach() -> None:
    table = table_of(every(28, 14), accounts=200)
    found = moves(table, reference_of(table), "churn")
    alone = found["together"]["use"]
    assert alone == sorted(alone, reverse=True)
    assert alone[-1] == pytest.approx(0.1, abs=0.02)
    both = found["together"]["use+satisfaction"]
    assert len(both) == len(SIZES) ** 2
    assert share_together(found, {"use": 0.25, "satisfaction": 0.25}) == both[0]
    assert share_together(found, {"use": 0.25, "satisfaction": 1.0}) == both[3]
    assert share_together(found, {"use": 0.3}) == alone[1]  # between two sizes, the farther
    assert share_together(found, {"use": 1.01}) == 0
    assert share_together(found, {"onboarding": 0.25}) == 0


def test_the_paper_is_strict_json_small_and_the_same_again() -> None:
    table = table_of(every(7, 40), accounts=100)
    text = json.dumps(moves(table, reference_of(table), "churn"), allow_nan=False)
    assert text == json.dumps(moves(table, reference_of(table), "churn"), allow_nan=False)
    assert len(text) < 10_000


def test_many_pairs_are_thinned_evenly(monkeypatch) -> None:
    table = table_of(every(7, 30), accounts=50)
    whole = len(pairs_of(table).first)
    monkeypatch.setattr(learning, "MOST_PAIRS", 100)
    thinned = pairs_of(table)
    assert 50 < len(thinned.first) <= 100 < whole
    assert len(set(thinned.accounts)) == 50


def test_training_keeps_the_paper_in_the_bundle(trained) -> None:
    found = trained.bundle.papers["moves"]
    assert found["days"] == 60
    assert found["pairs"] > 0
    assert set(found["reach"]) == {
        "events_28d_per_week", "days_since_last_event", "events_change_28d_share", "nps_last",
    }  # fmt: skip
