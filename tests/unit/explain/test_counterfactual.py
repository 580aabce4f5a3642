"""What would have to be true: levers only, within reach, coherent, and said by the model itself."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

import lightgbm
import numpy as np
import pandas as pd
import pytest

from churnml.config import TierConfig
from churnml.errors import NotFound, Refused
from churnml.explain.counterfactual import next_goal, passes, what_if, with_levers
from churnml.features.catalog import BY_NAME
from churnml.features.levers import step_of, wished
from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.moves import reach_at, share_together, stretched
from churnml.scoring.predict import matrix_of_rows, predict, predict_matrix
from churnml.training.assemble import TrainingTable
from churnml.training.moves import moves
from churnml.training.papers import reference_of

COLUMNS = (
    "events_7d",
    "events_28d_per_week",
    "events_90d_per_week",
    "events_change_28d_share",
    "active_users_28d",
    "days_since_last_event",
    "modules_28d",
    "completed_28d_per_week",
    "completed_of_events_28d_share",
    "nps_last",
    "open_tickets",
    "tenure_days",
    "days_to_renewal",
    "mrr",
    "segment",
)
FIXED = ("tenure_days", "days_to_renewal", "mrr", "segment")


def company(accounts: int = 300, dates: int = 8, seed: int = 2) -> TrainingTable:
    """Accounts whose use, breadth, satisfaction and support wander, each on its own path."""
    rng = np.random.default_rng(seed)
    size = rng.lognormal(3, 0.7, accounts)
    mood = rng.normal(size=(4, accounts))
    rows, names, moments, worse = [], [], [], []
    past = np.rint(4 * size * np.exp(0.5 * mood[0]))
    older = past
    for number in range(dates):
        mood = 0.8 * mood + 0.6 * rng.normal(size=(4, accounts))
        now = np.maximum(1, np.rint(4 * size * np.exp(0.5 * mood[0])))
        done = np.rint(now * np.clip(0.2 + 0.1 * mood[1], 0.02, 0.9))
        for at in range(accounts):
            rows.append(
                (
                    np.rint(now[at] / 4),
                    now[at] / 4,
                    (now[at] + past[at] + np.rint(older[at] * 34 / 28)) * 7 / 90,
                    now[at] / past[at] - 1 if past[at] else np.nan,
                    1 + np.rint(np.log1p(now[at])),
                    float(rng.integers(0, 4)),
                    np.clip(np.rint(3 + mood[1, at]), 1, 6),
                    done[at] / 4,
                    done[at] / now[at],
                    np.nan if at % 5 == 0 else np.clip(7 + 1.5 * mood[2, at], 0, 10),
                    np.maximum(0, np.rint(1 - mood[3, at])),
                    100.0 + 28 * number,
                    float((at * 37 + 28 * number) % 360),
                    size[at] * 10,
                    float(at % 2),
                )
            )
            names.append(f"a{at:03d}")
            moments.append(datetime(2024, 1, 1) + timedelta(days=28 * number))
        worse += list(-0.9 * mood[0] - 0.7 * mood[2] - 0.6 * mood[1] - 0.5 * mood[3])
        past, older = now, past
    x = np.array(rows)
    y = (rng.random(len(x)) < 1 / (1 + np.exp(1.2 - np.array(worse)))).astype(float)
    n = len(x)
    return TrainingTable(
        x=x, columns=COLUMNS, categories={"segment": ("mid", "smb")}, y=y,
        accounts=np.array(names, dtype=object), as_of=np.array(moments, dtype="datetime64[us]"),
        mrr=x[:, 13], treated=np.zeros(n, dtype=bool), days=np.full(n, np.nan),
    )  # fmt: skip


def bundle_of(table: TrainingTable, target: str = "churn", **changes: object) -> Bundle:
    y = table.y if target != "expansion" else 1 - table.y
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 8, "min_data_in_leaf": 20, "num_threads": 1,
         "verbosity": -1, "deterministic": True, "force_row_wise": True, "learning_rate": 0.1},
        lightgbm.Dataset(table.x, y, feature_name=list(COLUMNS), categorical_feature=["segment"]),
        num_boost_round=40,
    )  # fmt: skip
    text = booster.model_to_string()
    reference = reference_of(table)
    values: dict[str, object] = {
        "target": target, "horizon_days": 90, "lead_days": 14, "grace_days": 30,
        "mode": "window_end", "basis": None, "model_version": "2024-01-01-aaaaaaaa",
        "catalog_fingerprint": "0123456789ab", "features": COLUMNS,
        "categories": table.categories,
        "calibrator": {"kind": "sigmoid", "slope": 1.1, "intercept": 0.1},
        "reference": reference, "metrics": {}, "data_through": "2024-01-01T00:00:00",
        "trained_rows": len(table), "trained_outcomes": 9,
        "papers": {"moves": moves(table, reference, target)}, "model_text": text,
        "loaded": booster_of(text), **changes,
    }  # fmt: skip
    return Bundle(**values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def table() -> TrainingTable:
    return company()


@pytest.fixture(scope="module")
def bundle(table) -> Bundle:
    return bundle_of(table)


def rows_of(table: TrainingTable, count: int = 40) -> list[dict[str, object]]:
    """Rows spread over the table, as the store keeps them."""
    found = []
    for place in range(0, len(table), len(table) // count + 1):
        row: dict[str, object] = {
            name: None if math.isnan(value) else float(value)
            for name, value in zip(table.columns, table.x[place], strict=True)
        }
        row["segment"] = table.categories["segment"][int(table.x[place, -1])]
        found.append(row)
    return found


@pytest.fixture(scope="module")
def asked(table, bundle):
    """Every row with what would have to be true for a quarter less."""
    found = []
    for row in rows_of(table):
        probability = float(predict_matrix(bundle, matrix_of_rows(bundle, [row]))[0])
        found.append((row, what_if(bundle, row, 0.75 * probability)))
    assert {answer.status for _, answer in found} == {"reached", "infeasible"}
    return found


def ways_of(answer):
    return (*answer.alternatives, *([answer.nearest] if answer.nearest else []))


def test_only_levers_move_and_what_is_fixed_stays(asked) -> None:
    seen = set()
    for _, answer in asked:
        for way in ways_of(answer):
            for step in way.steps:
                assert step.moves
                assert {step_of(BY_NAME[move.feature]) for move in step.moves} == {step.step}
            seen |= {move.feature for move in way.moved()}
    assert seen.isdisjoint(FIXED)
    assert len(seen) > 8


def test_nothing_goes_beyond_what_accounts_have_moved(asked, bundle) -> None:
    paper = bundle.papers["moves"]
    for row, answer in asked:
        for way in ways_of(answer):
            for move in way.moved():
                reach = paper["reach"][move.feature]
                down, up = reach_at(reach, move.before)
                before, after = stretched(np.array([move.before, move.after]), reach["log"])
                assert down - 1e-6 <= after - before <= up + 1e-6, move
                assert move.before == row[move.feature]
            assert all(0 < step.size <= 1 for step in way.steps)
            assert way.share > 0
            assert way.share <= min(share_together(paper, {step.step: 0.25}) for step in way.steps)


def test_what_is_told_is_what_the_model_says_of_that_row(asked, bundle) -> None:
    for row, answer in asked:
        for way in ways_of(answer):
            other = {**row, **{move.feature: move.after for move in way.moved()}}
            frame = pd.DataFrame([other])
            frame["nps_last"] = frame["nps_last"].astype(float)
            assert predict(bundle, frame)[0] == pytest.approx(way.probability, abs=1e-12)
            assert math.isclose(
                predict_matrix(bundle, matrix_of_rows(bundle, [row]))[0],
                answer.probability, abs_tol=1e-12,
            )  # fmt: skip


def test_ways_reach_the_goal_and_the_nearest_does_not(asked) -> None:
    for _, answer in asked:
        assert all(way.probability < answer.goal for way in answer.alternatives)
        assert len(answer.alternatives) <= 3
        if answer.status == "infeasible":
            assert answer.alternatives == ()
            if answer.nearest is not None:
                assert answer.goal <= answer.nearest.probability < answer.probability


def test_ways_have_the_fewest_steps_and_none_that_another_does_without(asked) -> None:
    several = 0
    for _, answer in asked:
        chosen = [{step.step for step in way.steps} for way in answer.alternatives]
        assert [len(steps) for steps in chosen] == sorted(len(steps) for steps in chosen)
        assert not any(one < other for one in chosen for other in chosen)
        several += any(len(steps) > 1 for steps in chosen)
    assert several > 0


def test_a_change_and_its_level_a_share_and_its_sides_agree(asked) -> None:
    checked = 0
    for row, answer in asked:
        for way in ways_of(answer):
            other = {**row, **{move.feature: move.after for move in way.moved()}}
            if row["events_change_28d_share"] is None:
                continue
            before = row["events_28d_per_week"] / (1 + row["events_change_28d_share"])
            assert other["events_28d_per_week"] == pytest.approx(
                before * (1 + other["events_change_28d_share"])
            )
            assert 90 / 7 * (other["events_90d_per_week"] - row["events_90d_per_week"]) == (
                pytest.approx(4 * (other["events_28d_per_week"] - row["events_28d_per_week"]))
            )
            assert other["completed_of_events_28d_share"] == pytest.approx(
                other["completed_28d_per_week"] / other["events_28d_per_week"]
            )
            assert other["events_7d"] <= 4 * other["events_28d_per_week"]
            checked += other["events_28d_per_week"] != row["events_28d_per_week"]
    assert checked > 10


def test_whole_things_stay_whole(asked) -> None:
    for _, answer in asked:
        for way in ways_of(answer):
            for move in way.moved():
                if move.feature in ("active_users_28d", "modules_28d", "open_tickets", "events_7d"):
                    assert move.after == round(move.after)
                if move.feature == "events_28d_per_week":
                    assert 4 * move.after == pytest.approx(round(4 * move.after))


@pytest.mark.parametrize("target", ["churn", "contraction", "expansion"])
def test_no_lever_is_moved_to_its_bad_side(table, target) -> None:
    bundle = bundle_of(table, target)
    moved = 0
    for row in rows_of(table, 20):
        probability = float(predict_matrix(bundle, matrix_of_rows(bundle, [row]))[0])
        goal = 1.2 * probability if target == "expansion" else 0.8 * probability
        answer = what_if(bundle, row, min(goal, 0.99))
        for way in ways_of(answer):
            for move in (move for step in way.steps for move in step.moves):
                assert (move.after - move.before) * wished(BY_NAME[move.feature], target) > 0
                moved += 1
        for way in answer.alternatives:
            assert passes(target, way.probability, answer.goal)
            assert (way.probability > answer.probability) == (target == "expansion")
    assert moved > 20


def test_what_is_missing_is_not_made_up(table, bundle) -> None:
    for row in rows_of(table, 20):
        lacking = {**row, "nps_last": None, "active_users_28d": None}
        for way in ways_of(what_if(bundle, lacking, 0.01)):
            assert not {"nps_last", "active_users_28d"} & {move.feature for move in way.moved()}
            assert "satisfaction" not in [step.step for step in way.steps]


def test_a_row_without_any_lever_has_no_way_and_no_nearest(bundle) -> None:
    row = {**dict.fromkeys(COLUMNS), "tenure_days": 300.0, "mrr": 200.0, "segment": "smb"}
    answer = what_if(bundle, row, 0.001)
    assert (answer.status, answer.alternatives, answer.nearest) == ("infeasible", (), None)


def test_an_account_that_has_stopped_says_so_and_its_use_is_left_alone(table, bundle) -> None:
    row = {
        **rows_of(table, 20)[4], "events_28d_per_week": 0.0, "events_7d": 0.0,
        "events_change_28d_share": -1.0, "completed_28d_per_week": 0.0,
        "completed_of_events_28d_share": None,
    }  # fmt: skip
    answer = what_if(bundle, row, 0.001)
    assert answer.stopped
    steps = {step.step for way in ways_of(answer) for step in way.steps}
    assert steps <= {"support", "satisfaction"}


def test_without_a_goal_or_at_it_already_nothing_is_sought(table, bundle) -> None:
    row = rows_of(table)[0]
    assert what_if(bundle, row, None).status == "already"
    assert what_if(bundle, row, 0.99).status == "already"


def test_a_binding_contract_is_all_that_the_probability_says(table, bundle) -> None:
    lock = {"beyond_days": 104, "log_odds": 0.0}
    held = replace(bundle, papers={**bundle.papers, "contract_lock": lock})
    row = {**rows_of(table)[0], "days_to_renewal": 105.0}
    answer = what_if(held, row, 0.1)
    assert (answer.status, answer.alternatives, answer.nearest) == ("contract_binds", (), None)
    free = what_if(held, {**row, "days_to_renewal": 104.0}, 0.1)
    assert free.status in ("reached", "infeasible")


def test_a_bundle_of_before_and_one_without_pairs_say_so(table, bundle) -> None:
    row = rows_of(table)[0]
    assert what_if(replace(bundle, papers={}), row, 0.01).status == "not_learned"
    alone = table.where(table.as_of == table.as_of[0])
    paper = moves(alone, bundle.reference, "churn")
    assert what_if(replace(bundle, papers={"moves": paper}), row, 0.01).status == "no_pairs"


def test_the_next_goal_is_the_border_of_the_next_better_tier() -> None:
    tiers = TierConfig()
    goals = [next_goal(tiers, "churn", chance) for chance in (0.05, 0.1, 0.25, 0.49, 0.5, 0.9)]
    assert goals == [None, 0.1, 0.25, 0.25, 0.5, 0.5]
    goals = [next_goal(tiers, "expansion", chance) for chance in (0.05, 0.1, 0.25, 0.5)]
    assert goals == [0.1, 0.25, 0.5, None]
    assert passes("churn", 0.1, 0.1) is False
    assert passes("expansion", 0.1, 0.1) is True


# Levers that somebody names


def test_levers_that_are_asked_for_are_scored_with_all_that_follows(table, bundle) -> None:
    row = rows_of(table)[3]
    more = row["events_28d_per_week"] + 1
    asked = with_levers(bundle, row, {"events_28d_per_week": more})
    moved = {move.feature: move.after for move in asked.moves}
    assert moved["events_28d_per_week"] == more
    assert "events_90d_per_week" in moved
    other = matrix_of_rows(bundle, [{**row, **moved}])
    assert asked.probability == pytest.approx(predict_matrix(bundle, other)[0], abs=1e-12)
    assert asked.beyond == ()
    far = with_levers(bundle, row, {"events_28d_per_week": 1000 * more})
    assert "events_28d_per_week" in far.beyond


@pytest.mark.parametrize(
    ("lever", "fault", "words"),
    [
        ("luck", NotFound, "no such feature"),
        ("tenure_days", Refused, "nobody can move it"),
        ("segment", Refused, "nobody can move it"),
        ("events_change_28d_share", Refused, "follows from other features"),
        ("nps_last", Refused, "missing here"),
    ],
)
def test_a_lever_that_is_unknown_or_cannot_move_is_refused(
    table, bundle, lever, fault, words
) -> None:
    row = {**rows_of(table)[0], "nps_last": None}
    with pytest.raises(fault, match=words):
        with_levers(bundle, row, {lever: 5.0})


def test_a_lever_whose_consequences_cannot_be_worked_out_is_refused(table, bundle) -> None:
    row = {**rows_of(table)[0], "events_28d_per_week": 0.0}
    with pytest.raises(Refused, match="cannot be worked out"):
        with_levers(bundle, row, {"events_28d_per_week": 5.0})
