"""What follows from a move is what the engine would have found, had it happened."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churnml.config import CohortConfig, LedgerConfig, parse_config
from churnml.features.catalog import BY_NAME, CATALOG, available
from churnml.features.engine import build_features, feature_frame
from churnml.features.follow import Identities
from churnml.features.levers import STEPS, movable, step_of, wished
from churnml.features.spec import AgainstBook, Change, Falling, Parts, Rank, Volatility
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

AS_OF = datetime(2024, 9, 2)
CONFIG = parse_config(
    '[source]\npath = "."\ndata_through = 2024-09-02\n'
    '[events.meaning]\nlogin = ["login"]\npage_view = ["view"]\nhelp_view = ["help"]'
)
# Whose values depend on which of the days, people or other accounts it is that do more.
OPEN = (Falling, Volatility, Rank)
NUMBERS = [feature.name for feature in CATALOG if not feature.categorical]


def log(account: str, users: int, more: int = 1, seed: int = 0) -> pd.DataFrame:
    """Weeks that are all alike, busier before the last 28 days; those happen `more` times.

    Each time anew: in sessions of their own, in which as much is done.
    """
    rng = np.random.default_rng(seed)
    week = [
        (int(rng.integers(7)), f"{account}u{user}", *kind, int(rng.integers(1, 9)))
        for user in range(users)
        for kind in (
            ("login", None, "home"), ("view", "view", "m1"), ("save", "complete", "m1"),
            ("begin", "start", "m2"), ("help", "view", "m2"), ("save", "complete", "m2"),
        )
    ]  # fmt: skip
    rows = []
    for number in range(20):  # weeks ago
        for day, user, event, stage, module, size in week:
            for again in range(more if number < 4 else 2 if number < 8 else 1):
                at = pd.Timestamp(AS_OF) - pd.Timedelta(days=7 * number + day, hours=6)
                rows.append(
                    (account, at, event, user, module, stage, f"{user}-{at:%m%d}-{again}",
                     60.0 * size, float(size), False)
                )  # fmt: skip
        rows.append((account, at, "sync", None, None, None, None, None, None, True))
    columns = ["account_id", "occurred_at", "event", "user_id", "module", "stage", "session_id",
               "duration_s", "quantity", "is_automated"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def features_of(folder: Path, own: pd.DataFrame) -> tuple[pd.Series, tuple[str, ...]]:
    """The features of account A, beside accounts that stay as they are."""
    others = [log(name, 3, seed=at + 1) for at, name in enumerate("BCD")]
    accounts = pd.DataFrame(
        {"account_id": list("ABCD"), "created_at": pd.Timestamp("2024-01-01"), "segment": "smb",
         "employee_count": 100}
    )  # fmt: skip
    people = pd.DataFrame(
        [
            ("Au0", "A", "champion"), ("Au1", "A", "admin"), ("Au2", "A", "member"),
            ("Au3", "A", "member"), ("Au4", "A", "champion"),
        ],
        columns=["user_id", "account_id", "role"],
    ).assign(valid_from=pd.Timestamp("2024-01-02"))  # fmt: skip
    paid = pd.DataFrame(
        {"account_id": list("ABCD"), "started_at": pd.Timestamp("2024-01-01"), "mrr": 100.0,
         "seats": 10}
    )  # fmt: skip
    tickets = pd.DataFrame(
        {"ticket_id": ["t"], "account_id": ["A"], "opened_at": pd.Timestamp("2024-08-20")}
    )
    tables = {"accounts": accounts, "users": people, "subscriptions": paid, "tickets": tickets,
              "events": pd.concat([own, *others], ignore_index=True)}  # fmt: skip
    folder.mkdir()
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    workspace = open_workspace(CONFIG, folder, {}, datetime(2026, 1, 1), threads=1)
    build_spine(workspace.connection, [AS_OF], LedgerConfig(), CohortConfig(min_age_days=0))
    features = available(workspace.columns, workspace.meanings)
    build_features(workspace.connection, features, workspace.columns, workspace.meanings, "list")
    frame = feature_frame(workspace.connection).set_index("account_id")
    names = tuple(feature.name for feature in features if not feature.categorical)
    return frame.loc["A", list(names)].astype(float), names


def moved(row: pd.Series, names: tuple[str, ...], **levers: float) -> pd.Series:
    wanted = np.full((1, len(names)), np.nan)
    for name, value in levers.items():
        wanted[0, names.index(name)] = value
    return pd.Series(Identities(names).follow(row.to_numpy(), wanted)[0], index=list(names))


def test_more_of_the_same_use_is_what_the_engine_finds_when_all_of_it_happens_twice(
    tmp_path: Path,
) -> None:
    row, names = features_of(tmp_path / "is", log("A", 5))
    twice, _ = features_of(tmp_path / "twice", log("A", 5, more=2))
    levers = {"events_28d_per_week": 2 * row["events_28d_per_week"]}
    told = moved(row, names, **levers)
    compared = [
        name
        for name in names
        if not isinstance(BY_NAME[name].fn, OPEN)
        and "largest" not in name
        and name != "events_slope_13w_share"
    ]
    changed = [name for name in compared if not _same(row[name], twice[name])]
    assert len(changed) >= 30
    assert not {
        name: (row[name], told[name], twice[name])
        for name in compared
        if not _same(told[name], twice[name])
    }
    # The mean of 13 weeks is taken from 90 days, which lack one.
    assert told["events_slope_13w_share"] == pytest.approx(
        twice["events_slope_13w_share"], rel=0.01
    )


def test_people_who_come_back_are_what_the_engine_finds(tmp_path: Path) -> None:
    """Of five people two have gone: one comes back, and does as much as the others."""
    own = log("A", 5)
    late = own["occurred_at"] > pd.Timestamp(AS_OF) - pd.Timedelta(days=28)
    gone = own[~(late & own["user_id"].isin(["Au2", "Au3"]))]
    back = own[~(late & own["user_id"].isin(["Au3"]))]
    row, names = features_of(tmp_path / "is", gone)
    real, _ = features_of(tmp_path / "back", back)
    told = moved(row, names, active_users_28d=4.0, events_28d_per_week=real["events_28d_per_week"])
    compared = [
        "active_users_28d", "active_users_90d", "active_users_change_28d_share", "users_lost_28d",
        "users_new_28d", "active_users_28d_seat_share", "active_users_28d_headcount_share",
        "users_inactive_28d", "events_28d_per_week", "events_90d_per_week",
        "events_change_28d_share", "events_change_28d_against_book", "events_28d_own_cadence_share",
    ]  # fmt: skip
    assert {name for name in compared if not _same(told[name], real[name])} == set()
    assert told["users_lost_28d"] == row["users_lost_28d"] - 1


def _same(one: float, other: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(
        one, other, rel_tol=1e-9, abs_tol=1e-12
    )


@pytest.fixture(scope="module")
def usual(tmp_path_factory) -> tuple[pd.Series, tuple[str, ...]]:
    return features_of(tmp_path_factory.mktemp("usual") / "data", log("A", 5))


def test_nothing_asked_nothing_moved(usual) -> None:
    row, names = usual
    pd.testing.assert_series_equal(moved(row, names), row, check_names=False)


def test_what_is_missing_stays_missing(usual) -> None:
    row, names = usual
    row = row.copy()
    row[["logins_28d_per_week", "events_change_28d_share"]] = np.nan
    told = moved(row, names, logins_28d_per_week=50.0, events_28d_per_week=100.0)
    assert math.isnan(told["logins_28d_per_week"])
    assert math.isnan(told["events_change_28d_share"])


def test_a_part_of_the_use_that_grows_makes_all_use_grow(usual) -> None:
    row, names = usual
    told = moved(row, names, completed_28d_per_week=row["completed_28d_per_week"] + 5)
    assert told["events_28d_per_week"] == row["events_28d_per_week"] + 5
    assert told["completed_of_events_28d_share"] == pytest.approx(
        told["completed_28d_per_week"] / told["events_28d_per_week"]
    )
    assert told["logins_28d_per_week"] == row["logins_28d_per_week"]


def test_an_account_that_has_stopped_is_not_moved_in_its_use(usual) -> None:
    row, names = usual
    row = row.copy()
    row["events_28d_per_week"] = 0.0
    told = moved(row, names, events_28d_per_week=9.0, active_users_28d=3.0)
    used = [name for name in names if BY_NAME[name].table == "events"]
    pd.testing.assert_series_equal(told[used], row[used], check_names=False)
    assert Identities(names).stopped(row.to_numpy())


def test_a_level_does_not_move_where_what_it_was_measured_against_is_not_known(usual) -> None:
    row, names = usual
    row = row.copy()
    # Logins stopped, and no longer window says how many there were.
    row[["logins_28d_per_week", "logins_change_28d_share"]] = (0.0, -1.0)
    told = moved(row, names, logins_28d_per_week=5.0)
    assert told["logins_28d_per_week"] == 0
    # Of completions the last 90 days do say it: 62 days' worth, of which 28 are the ones before.
    row[["completed_28d_per_week", "completed_change_28d_share"]] = (0.0, -1.0)
    row["completed_90d_per_week"] = 3.1
    told = moved(row, names, completed_28d_per_week=1.0)
    before = 3.1 * 90 / 7 * 28 / 62
    assert told["completed_change_28d_share"] == pytest.approx(4 / before - 1)


def test_a_part_never_outgrows_its_whole(usual) -> None:
    row, names = usual
    told = moved(row, names, key_users_active_28d=50.0)
    assert told["key_users_active_28d"] <= told["key_users"]
    assert told["key_users_silent_28d"] >= 0


def test_a_key_user_seen_yesterday_is_a_user_seen_yesterday(usual) -> None:
    row, names = usual
    row = row.copy()
    row[["days_since_last_event", "days_since_key_user_event", "days_since_admin_event"]] = (
        5.0, 8.0, 12.0,
    )  # fmt: skip
    told = moved(row, names, days_since_admin_event=1.0)
    assert told["days_since_key_user_event"] == told["days_since_last_event"] == 1


def test_a_place_among_others_moves_only_with_what_it_is_of(usual) -> None:
    row, names = usual
    ranks = {"active_users_segment_rank": 0.9, "events_segment_rank": 0.95}
    row = row.copy()
    row[list(ranks)] = 0.4
    more = {"events_28d_per_week": row["events_28d_per_week"] + 5}
    told = moved(row, names, **ranks, **more)
    assert (told["events_segment_rank"], told["active_users_segment_rank"]) == (0.95, 0.4)


@pytest.mark.parametrize("target", ["churn", "contraction", "expansion"])
def test_only_levers_are_moved_and_each_by_one_step(target: str) -> None:
    steps = movable(NUMBERS, Identities(NUMBERS).followed, target)
    places = [at for own in steps.values() for at in own]
    assert set(steps) == set(STEPS)
    assert len(places) == len(set(places))
    for at in places:
        feature = BY_NAME[NUMBERS[at]]
        assert feature.lever
        assert wished(feature, target)
        assert feature.metric_class == "predictive"


def test_what_no_csm_can_move_is_in_no_step() -> None:
    fixed = (
        "tenure_days", "mrr", "seats", "days_to_renewal", "contractions_90d", "employee_count",
        "segment", "key_users_left_90d", "days_since_key_user_left", "users_removed_90d",
        "detractors_180d", "severe_tickets_90d", "milestones_met_30d_share", "activation_days",
        "touches_28d",
    )  # fmt: skip
    assert [name for name in fixed if step_of(BY_NAME[name]) is not None] == []
    assert step_of(BY_NAME["key_users"]) == "key_users"  # a successor can come


def test_every_change_over_28_days_follows_from_a_level_that_is_there() -> None:
    followed = {NUMBERS[at] for at in Identities(NUMBERS).followed}
    alone = {
        feature.name
        for feature in CATALOG
        if isinstance(feature.fn, Change | AgainstBook) and feature.name not in followed
    }
    # Its level looks back 90 days: what was completed in which modules is not told for 28.
    assert alone == {"modules_completed_change_28d_share"}
    assert not any(isinstance(BY_NAME[name].fn, Parts) for name in followed)
