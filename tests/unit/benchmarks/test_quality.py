"""What could fail quietly in the comparison of models: a peer that is not what its name says, rows that are
not churnml's, a level that is taken for knowledge."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.quality import judge as judging
from benchmarks.quality import step
from benchmarks.quality.contenders import fight_churn, linear, rfm
from benchmarks.quality.contenders.learned import Learned, Size, log_odds
from benchmarks.quality.prepare import TRAINED, table_of
from benchmarks.quality.rows import Cut, Rows, held_back, load, save
from benchmarks.quality.run import tuned_params
from benchmarks.quality.show import cost_table, goal, quality_table, sentences
from churnml.training.baselines import LOGISTIC, baselines
from churnml.training.calibrate import calibrate
from churnml.training.learn import Parts, accounts_of, learn
from churnml.training.params import MIN_SLOPE_OUTCOMES, FitParams

NAN = float("nan")


def rows(columns: dict[str, list[float]], y: list[float] | None = None, **others: object) -> Rows:
    """Rows of an account each, a day apart, that pay 1."""
    x = np.column_stack([np.asarray(values, dtype=float) for values in columns.values()])
    n = len(x)
    given = {
        "categories": {},
        "accounts": np.array([f"a{number}" for number in range(n)], dtype=object),
        "as_of": np.array([datetime(2025, 1, 1) + timedelta(days=d) for d in range(n)], dtype="datetime64[us]"),
        "mrr": np.ones(n),
        "treated": np.zeros(n, dtype=bool),
        **others,
    }  # fmt: skip
    return Rows(
        x=x, columns=tuple(columns), y=np.asarray(y or [0.0, 1.0] * n, dtype=float)[:n], **given
    )


def made(accounts: int, seed: int) -> Rows:
    """Three snapshots of each account; one column and one category know of the outcome."""
    rng = np.random.default_rng(seed)
    n = accounts * 3
    known, noise, kind = rng.normal(size=n), rng.normal(size=n), rng.integers(0, 3, n)
    chance = 1 / (1 + np.exp(-(1.5 * known + (kind == 2) - 1)))
    known[rng.random(n) < 0.1] = NAN
    return rows(
        {
            "days_since_last_event": known,
            "events_28d_per_week": noise,
            "segment": np.where(kind == 1, NAN, kind),
        },
        list((rng.random(n) < chance).astype(float)),
        categories={"segment": ("large", "none", "small")},
        accounts=np.repeat([f"a{number}" for number in range(accounts)], 3).astype(object),
    )


@pytest.fixture(scope="module")
def cut() -> Cut:
    """A target that can be learnt."""
    facts = {
        "project": "made", "target": "churn", "seed": 7, "bootstrap_rounds": 60, "interval": 0.95,
        "capacity": {"accounts": None, "share": 0.1},
    }  # fmt: skip
    return Cut(made(150, 1), made(80, 2), made(120, 3), facts)


# ------------------------------------------------------------------------------------- RFM


def test_rfm_gives_marks_by_the_fifths_of_the_training_rows() -> None:
    train = rows(
        {"days_since_last_event": list(range(10)), "events_28d_per_week": list(range(10))},
        mrr=np.arange(10.0),
    )
    rule = rfm.fit(train, "churn")
    later = rows(
        {"days_since_last_event": [0, 9, 4.5, NAN], "events_28d_per_week": [99, 0, 4.5, NAN]},
        mrr=np.array([99.0, -1.0, 4.5, NAN]),
    )
    # The best of all has 5 + 5 + 5; never seen, nothing used, nothing paid 1 + 1 + 1.
    assert rule.raw(later) / rfm.UNIT == pytest.approx([-15.0, -3.0, -9.0, -3.0])
    assert rule.explain is not None
    assert rule.explain(later)[0] / rfm.UNIT == pytest.approx([-5.0, -5.0, -5.0])


def test_rfm_thinks_that_good_accounts_stay_and_buy_more() -> None:
    train = rows({"days_since_last_event": list(range(10))})
    churn, expansion = (rfm.fit(train, target).raw(train) for target in ("churn", "expansion"))
    assert churn[0] < churn[9]
    assert expansion.tolist() == (-churn).tolist()


def test_rfm_lives_without_a_column_that_the_tables_cannot_carry() -> None:
    rule = rfm.fit(rows({"modules_28d": [1.0, 2.0, 3.0]}, mrr=np.array([1.0, 2.0, 3.0])), "churn")
    assert rule.raw(rows({"modules_28d": [0.0]}, [0.0])).shape == (1,)
    assert "no recency" in rule.note


# ----------------------------------------------------------------------------- fight-churn


def test_its_metrics_are_counts_ratios_changes_and_tenure_alone() -> None:
    books = ("events_28d_per_week", "events_change_28d_share", "tenure_days", "mrr", "region")
    ours = (
        "events_slope_8w_share", "events_own_cadence_share", "events_change_7d_against_book",
        "modules_segment_rank", "quiet_weeks_8w", "module_mix_shift_28d_share",
    )  # fmt: skip
    assert fight_churn.metrics_of((*ours[:3], *books, *ours[3:])) == books


def test_scores_are_standardised_and_heavy_tails_go_through_a_logarithm() -> None:
    heavy = [0.0] * 30 + [1.0] * 9 + [10_000.0]
    even = [float(number) for number in range(40)]
    train = rows({"counts": heavy, "changes": [-v for v in heavy], "levels": even})
    scores_of, names = fight_churn.scorer(train)
    scores = scores_of(train)
    assert names == ("counts", "changes", "levels")
    assert scores.mean(axis=0) == pytest.approx(0.0, abs=1e-12)
    assert scores.std(axis=0) == pytest.approx(1.0)
    counts, changes = (
        (v - v.mean()) / v.std() for v in (np.log1p(heavy), np.arcsinh(-np.array(heavy)))
    )
    assert scores[:, 0] == pytest.approx(counts)
    assert scores[:, 1] == pytest.approx(changes)
    assert np.ptp(np.diff(scores[:, 2])) == pytest.approx(0.0, abs=1e-12)


def test_what_is_missing_scores_as_the_average_and_rare_categories_not_at_all() -> None:
    segment = [0.0] * 10 + [1.0] * 29 + [2.0]  # the last is one row in forty
    train = rows(
        {"levels": [*range(39), NAN], "segment": segment},
        categories={"segment": ("a", "b", "c")},
    )
    scores_of, names = fight_churn.scorer(train)
    assert names == ("levels", "segment=0", "segment=1")
    assert scores_of(train)[-1].tolist() == [0.0, 0.0, 0.0]
    assert scores_of(train)[0, 1:].tolist() == [1.0, 0.0]


def test_scores_that_move_together_are_one_group() -> None:
    rng = np.random.default_rng(0)
    first, other = rng.normal(size=(2, 400))
    near = first + 0.3 * rng.normal(size=400)
    groups = fight_churn.group(np.column_stack([first, other, near, -first]))
    # Opposite scores tell the same, but their average would tell nothing.
    assert groups[0] == groups[2]
    assert len({groups[0], groups[1], groups[3]}) == 3


def test_its_folds_learn_from_the_past_alone() -> None:
    train = rows({"levels": [float(number) for number in range(40)]})
    folds = fight_churn.folds_of(train)
    assert len(folds) == fight_churn.FOLDS
    assert all(earlier.max() < later.min() for earlier, later in folds)


def test_its_regression_learns_and_says_what_each_group_adds(cut: Cut) -> None:
    learned = fight_churn.fit_regression(cut.train)
    raw = learned.raw(cut.test)
    assert raw[cut.test.y > 0.5].mean() > raw[cut.test.y < 0.5].mean() + 0.5
    assert learned.explain is not None
    assert learned.explain(cut.test).sum(axis=1) == pytest.approx(raw)


# -------------------------------------------------------------------- rows, rule and clock


def test_rows_come_back_as_they_were_saved(cut: Cut, tmp_path: Path) -> None:
    save(cut, tmp_path)
    again = load(tmp_path)
    for part in ("train", "later", "test"):
        before, after = getattr(cut, part), getattr(again, part)
        np.testing.assert_array_equal(before.x, after.x)
        assert (before.columns, before.categories) == (after.columns, dict(after.categories))
        for own in ("accounts", "as_of", "mrr", "y", "treated"):
            np.testing.assert_array_equal(getattr(before, own), getattr(after, own))
    pd.testing.assert_frame_equal(cut.train.frame(), again.train.frame())


def test_libraries_get_categories_by_name() -> None:
    known = {"segment": ("large", "none", "small")}
    segment = rows({"segment": [2.0, NAN, 0.0]}, categories=known).frame()["segment"]
    assert segment.tolist()[::2] == ["small", "large"]
    assert segment.isna().tolist() == [False, True, False]


def test_validation_cuts_through_no_account(cut: Cut) -> None:
    held = held_back(cut.train, 7)
    assert 0.1 < held.mean() < 0.3
    assert not set(cut.train.accounts[held]) & set(cut.train.accounts[~held])


def test_the_logistic_contender_is_churnmls_baseline(cut: Cut) -> None:
    parts = Parts(*(table_of(part) for part in (cut.train, cut.later, cut.test)))
    mine = next(found for found in baselines(parts) if found.name == LOGISTIC)
    learned = linear.fit(cut.train)
    level = calibrate(
        learned.raw(cut.later), cut.later.y, min(accounts_of(parts.later)), MIN_SLOPE_OUTCOMES
    )
    assert level.apply(learned.raw(cut.test)) == pytest.approx(mine.probability, abs=1e-7)


def test_forests_that_are_sure_are_as_sure_as_half_a_row() -> None:
    odds = log_odds(np.array([0.0, 0.5, 1.0]), 0.005)
    assert odds == pytest.approx([-np.log(199), 0.0, np.log(199)])


def ran(cut: Cut, folder: Path, names: tuple[str, ...]) -> None:
    """The contenders' files, and what `churnml train` would tell."""
    save(cut, folder)
    parts = Parts(*(table_of(part) for part in (cut.train, cut.later, cut.test)))
    np.save(folder / TRAINED, learn(parts, FitParams(), 7).probability(cut.test.x))
    for name in names:
        step.run(name, folder, Namespace(budget=1.0, params=None))


def test_contenders_are_judged_on_the_same_rows_by_one_rule(cut: Cut, tmp_path: Path) -> None:
    ran(cut, tmp_path, ("churnml", "logistic", "rfm"))
    judged = judging.judge(tmp_path, ("churnml", "logistic", "rfm"))
    assert set(judged.peers) == {"logistic", "rfm"}
    assert judged.best_peer == "logistic"
    mine, rule = judged.figures["churnml"], judged.figures["rfm"]
    assert mine["fits_timed"] == 3
    assert mine["explain_us_per_row"] > rule["explain_us_per_row"] > 0
    assert rule["own_log_loss"] is None
    assert rule["differences"]["log_loss"]["value"] == pytest.approx(
        mine["log_loss"]["value"] - rule["log_loss"]["value"]
    )
    assert judging.verdict(judged, "rfm") == "better"
    assert any("better than RFM rule" in sentence for sentence in sentences(judged))
    assert quality_table(judged).row_count == cost_table(judged).row_count == 3
    json.dumps(goal([judged]))


def test_a_level_of_its_own_costs_a_contender_nothing(cut: Cut, tmp_path: Path) -> None:
    ran(cut, tmp_path, ("churnml", "logistic"))
    before = judging.judge(tmp_path, ("churnml", "logistic")).figures["logistic"]
    path = tmp_path / "logistic.parquet"
    told = pd.read_parquet(path)
    told.assign(raw=3 * told["raw"] + 2).to_parquet(path, index=False)
    after = judging.judge(tmp_path, ("churnml", "logistic")).figures["logistic"]
    assert after["log_loss"]["value"] == pytest.approx(before["log_loss"]["value"], abs=1e-6)
    assert after["own_log_loss"] > before["own_log_loss"] + 0.1


def test_a_churnml_that_train_would_not_make_is_refused(cut: Cut, tmp_path: Path) -> None:
    ran(cut, tmp_path, ("churnml",))
    np.save(tmp_path / TRAINED, np.load(tmp_path / TRAINED) + 1e-6)
    with pytest.raises(ValueError, match="other probabilities than `churnml train`"):
        judging.judge(tmp_path, ("churnml",))


def test_reasons_that_are_not_the_scores_are_refused(cut: Cut) -> None:
    raw = np.ones(len(cut.test))
    wrong = Learned(lambda part: raw, lambda part: np.zeros((len(part), 2)), Size(0, 0, 0))
    with pytest.raises(ValueError, match="add up to something else"):
        step.explaining(wrong, cut.test, raw)


def test_tuned_values_are_found_where_tuning_leaves_them(cut: Cut, tmp_path: Path) -> None:
    save(cut, tmp_path / "cut")
    assert tuned_params(tmp_path / "cut", None) is None
    assert tuned_params(tmp_path / "cut", tmp_path) is None
    params = tmp_path / "made" / "models" / "churn" / "params.toml"
    params.parent.mkdir(parents=True)
    params.write_text(
        "[fit]\nnum_leaves = 4\n[search]\nnum_leaves = { low = 4, high = 8 }\n", encoding="utf-8"
    )
    assert tuned_params(tmp_path / "cut", tmp_path) == params
    found = step.run("churnml_tuned", tmp_path / "cut", Namespace(budget=1.0, params=params))
    assert isinstance(found["trees"], int)
    assert found["leaves"] <= 4 * found["trees"]
