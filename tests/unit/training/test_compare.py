"""Two models on the same rows: differences, where they part, segments, the picture."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churnml.config import CapacityConfig, TierConfig
from churnml.training.compare import (
    Judging,
    PairedRows,
    better,
    compare_rows,
    kept_rows,
    rows_of_kept,
)
from churnml.training.evaluate import RIVAL, Estimate
from churnml.training.forest import draw_forest
from churnml.training.metrics import METRICS

JUDGING = Judging("churn", CapacityConfig(share=0.1), TierConfig(), 100, 3, 0.9, 20)
DATES = 3


def rows(noise: float = 1.5, accounts: int = 600, seed: int = 5) -> PairedRows:
    """A knows the truth; B sees it through noise, and more of it in `small` accounts than in others."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1.8, 1.2, accounts)
    y = (rng.random(accounts) < 1 / (1 + np.exp(-odds))).astype(float)
    segment = rng.choice(["small", "large", None], accounts, p=[0.6, 0.39, 0.01])
    blur = noise * rng.normal(size=accounts) * (segment == "small")
    day = np.datetime64("2024-01-01", "us") + np.arange(accounts) % DATES * np.timedelta64(7, "D")
    kept = pd.DataFrame(
        {
            "account_id": [f"a{i:04d}" for i in range(accounts)],
            "as_of": day,
            "mrr": rng.lognormal(6, 1, accounts).round(2),
            "treated": False,
            "days": np.where(y > 0.5, 40.0, np.nan),
            "segment": segment,
            "tenure_days": rng.uniform(0, 900, accounts),
        }
    )
    return rows_of_kept(kept, y, 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds - blur)))


@pytest.fixture(scope="module")
def found():
    return compare_rows(rows(), JUDGING)


def test_every_metric_has_a_paired_difference_with_an_interval_and_a_verdict(found):
    assert tuple(found.metrics["metric"]) == METRICS
    told = found.metrics.set_index("metric")
    assert (told["difference"] - (told["a"] - told["b"])).abs().max() < 1e-12
    assert told.loc["log_loss", "difference"] < 0
    assert told.loc["log_loss", "better"] == told.loc["roc_auc", "better"] == "A"
    assert told.loc["calibration_slope", "better"] == ""
    inside = told["low"].le(told["difference"]) & told["difference"].le(told["high"])
    assert inside.all()


def test_turned_round_the_other_model_is_better_by_as_much():
    pair = rows()
    turned = compare_rows(PairedRows(pair.table, pair.b, pair.a, pair.slices), JUDGING)
    told = turned.metrics.set_index("metric")
    here = compare_rows(pair, JUDGING).metrics.set_index("metric")
    assert told.loc["log_loss", "better"] == "B"
    assert told["difference"].to_numpy() == pytest.approx(-here["difference"].to_numpy())
    assert told["low"].to_numpy() == pytest.approx(-here["high"].to_numpy())


def test_a_model_against_itself_parts_nowhere():
    pair = rows(noise=0.0)
    found = compare_rows(pair, JUDGING)
    assert not found.metrics[["difference", "low", "high"]].to_numpy().any()
    assert set(found.metrics["better"]) == {"cannot tell", ""}
    assert len(found.tiers) == len(found.apart) == 0
    assert found.flagged.set_index("by").loc[["A alone", "B alone"], "rows"].sum() == 0


def test_with_too_few_outcomes_nobody_is_better(found):
    sure = Estimate(-0.1, -0.2, -0.05)
    assert better("log_loss", sure, 20, 20) == "A"
    assert better("roc_auc", sure, 20, 20) == "B"
    assert better("log_loss", sure, 19, 20) == "cannot tell"
    assert better("log_loss", Estimate(-0.1, math.nan, math.nan), 20, 20) == "cannot tell"


def test_who_flags_whom_adds_up_to_all_rows_and_to_capacity_on_each_date(found):
    told = found.flagged.set_index("by")
    assert told["rows"].sum() == 600
    by_a = told.loc[["both", "A alone"], "rows"].sum()
    assert by_a == told.loc[["both", "B alone"], "rows"].sum() == DATES * 20
    # The model that knows finds more of the outcomes among those it flags alone.
    assert told.loc["A alone", "outcome_share"] > told.loc["B alone", "outcome_share"]
    assert told["outcome_rows"].sum() == rows().table.y.sum()
    assert (told["outcome_mrr"] <= told["mrr"]).all()


def test_mrr_of_an_account_seen_often_is_counted_once():
    pair = rows(accounts=60)
    often = pd.concat([pair.slices] * DATES, ignore_index=True).assign(
        account_id=np.tile(pair.table.accounts, DATES),
        as_of=np.repeat(np.unique(pair.table.as_of)[:DATES], 60),
        mrr=np.tile(pair.table.mrr, DATES),
        treated=False,
        days=np.nan,
    )
    thrice = rows_of_kept(
        often, np.tile(pair.table.y, DATES), np.tile(pair.a, DATES), np.tile(pair.a, DATES)
    )
    told = compare_rows(thrice, JUDGING).flagged.set_index("by")
    assert told["mrr"].sum() == pytest.approx(pair.table.mrr.sum())
    assert told["accounts"].sum() == 60


def test_where_tiers_differ_both_are_held_against_what_was_seen(found):
    told = found.tiers
    assert len(told)
    assert (told["tier_a"] != told["tier_b"]).all()
    enough = told[told["nearer"] != "cannot tell"]
    gap_a, gap_b = ((enough[f"told_{m}"] - enough["outcome_share"]).abs() for m in "ab")
    assert (enough["nearer"] == np.where(gap_a < gap_b, "A", "B")).all()


def test_the_widest_apart_come_first_one_snapshot_an_account(found):
    told = found.apart
    assert told["apart"].abs().is_monotonic_decreasing
    assert told["account_id"].is_unique
    first = told.iloc[0]
    assert first["nearer"] == (
        "A"
        if abs(first["probability_a"] - first["label"])
        < abs(first["probability_b"] - first["label"])
        else "B"
    )


def test_segments_show_for_whom_it_is_better_and_say_so_where_too_few_are_there(found):
    told = found.segments.set_index(["cut", "value"])
    assert told.loc[("segment", "small"), "log_loss_better"] == "A"
    assert told.loc[("segment", "large"), "log_loss"] == 0  # B is blurred in small accounts alone
    assert set(found.segments["cut"]) == {"segment", "mrr", "tenure"}
    few = compare_rows(rows(accounts=60), JUDGING).segments
    assert set(few["log_loss_better"]) == {"cannot tell"}
    assert told.loc["mrr", "rows"].sum() == 600


def test_a_way_of_cutting_with_one_value_is_left_out():
    pair = rows()
    table = replace(pair.table, mrr=np.ones(600))
    same = PairedRows(table, pair.a, pair.b, pair.slices.assign(segment="all"))
    assert set(compare_rows(same, JUDGING).segments["cut"]) == {"tenure"}


def test_it_is_plain_json_with_null_where_undefined(found):
    plain = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert plain["rows"] == 600
    assert {"metrics", "flagged", "tiers", "apart", "segments"} <= set(plain)
    assert plain["apart"][0]["as_of"].startswith("2024-01-")


def test_the_picture_is_drawn_with_and_without_segments(found, tmp_path):
    for number, told in enumerate((found, compare_rows(rows(accounts=60), JUDGING))):
        path = draw_forest(told, "churn: A x, B y", tmp_path / f"{number}.png")
        assert path.read_bytes().startswith(b"\x89PNG")


def test_what_a_run_keeps_of_its_test_rows_gives_the_same_rows_again(trained):
    kept = kept_rows(trained.test)
    assert list(kept) == ["account_id", "as_of", "mrr", "treated", "days", "segment"]
    assert set(kept["segment"].dropna()) == {"small", "mid", "large"}
    p = trained.probability
    pair = rows_of_kept(kept, trained.test.y, p, p)
    again = compare_rows(pair, JUDGING).evaluation
    for metric, estimate in again.metrics[RIVAL].items():
        own = trained.evaluation.model[metric].value
        assert estimate.value == pytest.approx(own, nan_ok=True), metric
