"""Tuning on a small company: the same trials whatever happens on the way, and the choice among them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
import tomllib
from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from churnml.config import SplitConfig
from churnml.errors import ChurnmlError, Refused
from churnml.scoring.predict import log_odds_of
from churnml.training.assemble import assemble
from churnml.training.calibrate import calibrate
from churnml.training.fit import lightgbm_settings
from churnml.training.learn import accounts_of
from churnml.training.params import DEFAULT_SEARCH, FitParams, Range, fit_params, search_space
from churnml.training.split import choose_split
from churnml.training.train import needs_of
from churnml.training.tune import (
    BATCH,
    Trial,
    choose,
    difference,
    fingerprint,
    is_hopeless,
    tune,
)
from churnml.training.tune_folds import (
    GROUPS,
    Bench,
    FoldTold,
    cut_folds,
    fold_told,
    groups_of,
    halves,
    log_losses,
    rows_of,
    tree_costs,
)
from churnml.training.tune_journal import Journal
from churnml.training.tune_papers import TuneFacts, draw_front, trials_csv, tuned_toml
from churnml.training.tune_workers import Crew

GAP = 7 + 28 + 14
SPACE = {"num_leaves": Range(2, 16, log=True), "learning_rate": Range(0.05, 0.3, log=True)}
TODAY = FitParams(max_rounds=40, early_stopping_rounds=8, learning_rate=0.15)
TRIALS = 13  # a batch, and some of the next that know it


@pytest.fixture(scope="module")
def whole(good_company, catalog_features):
    return assemble(*good_company, catalog_features)


@pytest.fixture(scope="module")
def folds(whole, settings):
    return cut_folds(whole, GAP, settings, "none")


@pytest.fixture(scope="module")
def tuned(folds):
    return tune(folds, TODAY, SPACE, 7, TRIALS)


def plain(trial):
    return (
        trial.number,
        trial.state,
        trial.params.model_dump(),
        [fold.as_dict() for fold in trial.folds],
    )


# --------------------------------------------------------------------------------- the folds


def test_every_fold_lies_before_the_test_part_and_is_purged(whole, folds, settings):
    main = choose_split(whole, GAP, settings.split, needs_of(settings))
    assert folds.test == main.test
    assert len(folds.folds) > 1
    for fold in folds.folds:
        learn, judged = rows_of(folds.table, fold)
        latest = folds.table.as_of[judged].max() + np.timedelta64(GAP, "D")
        assert latest <= np.datetime64(main.test.first)
        gap = folds.table.as_of[judged].min() - folds.table.as_of[learn].max()
        assert gap >= np.timedelta64(GAP, "D")


def test_nothing_of_the_test_part_reaches_the_study(
    good_company, catalog_features, folds, settings
):
    features, labels = (frame.copy() for frame in good_company)
    late = features["as_of"] > folds.table.as_of.max()
    features.loc[late, "events_28d_per_week"] *= 50
    changed = cut_folds(assemble(features, labels, catalog_features), GAP, settings, "none")
    same = fingerprint(folds, TODAY, SPACE, 7)
    assert fingerprint(changed, TODAY, SPACE, 7) == same
    features.loc[~late, "events_28d_per_week"] *= 50
    changed = cut_folds(assemble(features, labels, catalog_features), GAP, settings, "none")
    assert fingerprint(changed, TODAY, SPACE, 7) != same


def test_another_configuration_is_another_study(folds):
    same = fingerprint(folds, TODAY, SPACE, 7)
    assert fingerprint(folds, TODAY, SPACE, 8) != same
    assert fingerprint(folds, TODAY, DEFAULT_SEARCH, 7) != same
    assert fingerprint(folds, TODAY.model_copy(update={"max_depth": 4}), SPACE, 7) != same
    assert fingerprint(replace(folds, folds=folds.folds[1:]), TODAY, SPACE, 7) != same


def test_treated_rows_neither_teach_nor_judge(whole, folds, settings):
    assert whole.treated.any()
    assert not folds.table.treated.any()
    kept = replace(
        settings, training=settings.training.model_copy(update={"leave_out_treated": False})
    )
    assert cut_folds(whole, GAP, kept, "none").table.treated.any()


def test_a_short_history_is_judged_by_the_calibrate_part_alone(whole, settings):
    dates = np.unique(whole.as_of)
    early = whole.where(whole.as_of <= dates[9])
    main = choose_split(early, GAP, SplitConfig(), needs_of(settings))
    (fold,) = cut_folds(early, GAP, settings, "none").folds
    assert fold.judge == main.calibrate
    assert fold.learn_until == np.datetime64(main.train.last)


def test_too_few_outcomes_are_refused(whole, settings):
    wanting = replace(settings, training=settings.training.model_copy(update={"min_outcomes": 200}))
    with pytest.raises(
        Refused, match=r"rows before the fold .* hold \d+ accounts.* Expected at least 200 of each"
    ):
        cut_folds(whole, GAP, wanting, "unmatured 12")


def test_halves_hold_whole_accounts_and_as_many_outcomes(folds):
    table = folds.table
    one, other = halves(table)
    assert (one ^ other).all()
    assert not set(table.accounts[one]) & set(table.accounts[other])
    counts = [accounts_of(table.where(half)) for half in (one, other)]
    assert abs(counts[0][0] - counts[1][0]) <= 2
    order = np.random.default_rng(0).permutation(len(table))
    assert (halves(table.where(order))[0] == one[order]).all()


def test_a_row_is_told_by_trees_and_a_sigmoid_of_the_other_half(folds):
    """The same by lightgbm.train, its own early stopping and plain predictions."""
    told = Bench(folds, 7).judge(0, TODAY)
    learn, judged = (folds.table.where(rows) for rows in rows_of(folds.table, folds.folds[0]))
    seen = learn.seen_categories()
    learn, judged = learn.with_categories(seen), judged.with_categories(seen)
    settings = lightgbm_settings(learn, TODAY, 7)
    losses, trees = np.empty(len(judged)), []
    pair = halves(judged)
    for half, other in (pair, pair[::-1]):
        data = lightgbm.Dataset(
            learn.x,
            learn.y,
            params=settings,
            categorical_feature=[learn.columns.index(name) for name in learn.categories],
        )
        stops = judged.where(half)
        booster = lightgbm.train(
            settings, data, TODAY.max_rounds,
            valid_sets=[data.create_valid(stops.x, stops.y)],
            callbacks=[lightgbm.early_stopping(TODAY.early_stopping_rounds, verbose=False)],
        )  # fmt: skip
        trees.append(booster.best_iteration)
        short = lightgbm.Booster(
            model_str=booster.model_to_string(num_iteration=booster.best_iteration)
        )
        raw = log_odds_of(short, judged.x)
        sigmoid = calibrate(raw[half], stops.y, min(accounts_of(stops)), 20)
        losses[other] = log_losses(sigmoid.apply(raw[other]), judged.y[other])
    assert told.trees == tuple(trees)
    assert told.loss == pytest.approx(losses.mean(), abs=1e-9)
    assert told.groups.sum() == pytest.approx(0, abs=1e-12)
    (group,) = set(groups_of(judged.accounts[:1]))
    mine = groups_of(judged.accounts) == group
    share = (losses[mine] - losses.mean()).sum() / len(losses)
    assert told.groups[group] == pytest.approx(share, abs=1e-9)


def test_the_cost_of_explaining_is_leaves_by_their_depth_squared():
    leaf = {"leaf_value": 0.0}

    def node(left, right):
        return {"split_feature": 0, "left_child": left, "right_child": right}

    trees = [leaf, node(leaf, leaf), node(node(leaf, node(leaf, leaf)), leaf)]
    model = {"tree_info": [{"tree_structure": tree} for tree in trees]}
    # No split, two leaves of depth 1, and leaves of depths 2, 3, 3 and 1.
    assert tree_costs(model) == [0.0, 2.0, 23.0]


def test_the_cost_is_of_the_trees_that_the_folds_wanted():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    data = lightgbm.Dataset(x, (x[:, 0] * x[:, 1] > 0).astype(float))
    settings = {"objective": "binary", "num_leaves": 4, "max_depth": 2, "verbosity": -1}
    booster = lightgbm.train(settings, data, 5)
    assert tree_costs(booster.dump_model()) == [16.0] * 5  # four leaves of depth 2 each


# ------------------------------------------------------------------------------------ trials


def test_the_first_trial_is_todays_parameters_and_the_rest_lie_in_the_space(tuned):
    assert [trial.number for trial in tuned.trials] == list(range(TRIALS))
    assert tuned.current.params == TODAY
    for trial in tuned.trials[1:]:
        assert 2 <= trial.params.num_leaves <= 16
        assert 0.05 <= trial.params.learning_rate <= 0.3
        assert trial.params.max_depth == TODAY.max_depth
    assert len({plain(trial)[2]["learning_rate"] for trial in tuned.trials}) == TRIALS


def test_two_workers_give_the_same_bytes_as_one(folds, tuned):
    again = tune(folds, TODAY, SPACE, 7, TRIALS, workers=2)
    assert [plain(trial) for trial in again.trials] == [plain(trial) for trial in tuned.trials]
    assert again.chosen.number == tuned.chosen.number


def test_another_seed_tries_other_parameters(folds, tuned):
    other = tune(folds, TODAY, SPACE, 8, 2)
    assert other.trials[1].params != tuned.trials[1].params


@pytest.mark.parametrize("left", [(), (0,), (0, 2, 5), tuple(range(BATCH)), tuple(range(12))])
def test_what_was_kept_is_not_tried_again_and_changes_nothing(folds, tuned, left):
    known = [tuned.trials[number] for number in left]
    tried = []
    again = tune(folds, TODAY, SPACE, 7, TRIALS, known=known, keep=tried.append)
    assert sorted(trial.number for trial in tried) == [
        number for number in range(TRIALS) if number not in left
    ]
    assert [plain(trial) for trial in again.trials] == [plain(trial) for trial in tuned.trials]


def test_more_trials_begin_with_the_same_ones(folds, tuned):
    fewer = tune(folds, TODAY, SPACE, 7, 11, known=tuned.trials)
    assert [plain(trial) for trial in fewer.trials] == [plain(t) for t in tuned.trials[:11]]


def test_time_that_runs_out_before_anything_is_told_is_refused(folds):
    with pytest.raises(Refused, match="before today's parameters were tried"):
        tune(folds, TODAY, SPACE, 7, TRIALS, timeout_s=-1)


def test_time_that_runs_out_later_leaves_what_is_done(folds, tuned):
    found = tune(folds, TODAY, SPACE, 7, TRIALS, known=tuned.trials[:4], timeout_s=-1)
    assert len(found.trials) == 4
    assert found.asked == TRIALS


def test_a_worker_that_is_killed_is_told_in_words(folds):
    # Other tests' pools may still wait for work in this process.
    others = {child.pid for child in multiprocessing.active_children()}

    def mine():
        return [c.pid for c in multiprocessing.active_children() if c.pid not in others]

    with Crew(folds, 7, 2) as crew:
        running = [crew.judge(0, TODAY) for _ in range(2)]
        while len(mine()) < 2:
            time.sleep(0.01)
        for pid in mine():
            os.kill(pid, signal.SIGKILL)

        def go_on():
            while running:
                for done in crew.wait(running):
                    running.remove(done)
                running.append(crew.judge(0, TODAY))

        with pytest.raises(ChurnmlError, match="Set CHURNML_WORKERS=1, or free memory"):
            go_on()


# ------------------------------------------------------------------------------------ choice


def made(number, losses, cost, groups=None, state="complete"):
    """A trial by hand: a loss per fold, and how each of two groups of accounts lies off the mean."""
    off = np.zeros(GROUPS)
    if groups:
        off[: len(groups)] = groups
    told = tuple(FoldTold(loss, cost, (number + 1, number + 1), off) for loss in losses)
    return Trial(number, FitParams(learning_rate=0.01 * (number + 1)), state, told)


def test_a_standard_error_is_that_of_the_paired_difference():
    one, other = made(0, [0.30, 0.20], 9, (0.03, -0.03)), made(1, [0.20, 0.22], 9, (0.02, -0.02))
    found = difference(one, other)
    assert found.value == pytest.approx(0.04)
    # Each group's difference is ±0.01: the square root of the sum of squares.
    assert found.error == pytest.approx(np.sqrt(2 * 0.01**2 * GROUPS / (GROUPS - 1)))
    assert difference(one, other, 1).value == pytest.approx(0.1)


def test_the_cheapest_within_one_standard_error_of_the_best_is_chosen():
    error = (0.01, -0.01)  # against the best: 0.0142
    trials = [
        made(0, [0.250], 900, error),
        made(1, [0.200], 500),  # the best
        made(2, [0.212], 90, error),  # within
        made(3, [0.210], 95, error),  # within, better, but dearer
        made(4, [0.216], 20, error),  # cheaper, but worse by more than the error
        made(5, [0.190], 1, state="pruned"),  # never judged in full
    ]
    found = choose(trials, 6)
    assert found.best.number == 1
    assert [trial.number for trial in found.front] == [4, 2, 3, 1]
    assert found.chosen.number == 2
    assert found.params.fixed_rounds == 3
    assert found.current.number == 0


def test_a_model_that_is_told_to_be_better_is_not_given_up_for_a_cheap_one():
    # Levels vary widely, together: the difference hardly does.
    wide = (0.05, -0.05)
    trials = [made(0, [0.21], 10, wide), made(1, [0.20], 500, (0.051, -0.051))]
    assert choose(trials, 2).chosen.number == 1


def test_where_nothing_is_better_todays_parameters_stand():
    trials = [made(0, [0.2], 10), made(1, [0.2], 10), made(2, [0.2], 11)]
    found = choose(trials, 3)
    assert found.chosen is found.current
    assert found.params == found.current.params


def test_a_trial_is_pruned_by_a_cheaper_one_that_is_better_beyond_the_error():
    error = (0.01, -0.01)
    trial = made(9, [0.25], 100, error, "pruned")
    assert is_hopeless(trial, [made(1, [0.20, 0.2], 100)])
    assert not is_hopeless(trial, [made(1, [0.24, 0.2], 100)])  # within the error
    assert not is_hopeless(trial, [made(1, [0.20, 0.2], 101)])  # better, but dearer
    assert not is_hopeless(trial, [made(1, [0.20, 0.2], 100, state="pruned")])


# ------------------------------------------------------------------------- journal and papers


def test_a_journal_gives_back_what_it_was_given(tuned, tmp_path):
    path = tmp_path / "tune.journal"
    journal = Journal(path, "churn", "abc", SPACE)
    for trial in tuned.trials:
        journal.keep(trial)
    again = Journal(path, "churn", "abc", SPACE)
    assert [plain(trial) for trial in again.trials] == [plain(trial) for trial in tuned.trials]
    assert not Journal(path, "churn", "another", SPACE).trials
    assert Journal(path, "churn", "another", SPACE).others == ("churn-abc",)


def test_a_torn_last_line_costs_one_trial_and_no_more(tuned, tmp_path):
    path = tmp_path / "tune.journal"
    journal = Journal(path, "churn", "abc", SPACE)
    for trial in tuned.trials[:3]:
        journal.keep(trial)
    path.write_bytes(path.read_bytes()[:-40])
    again = Journal(path, "churn", "abc", SPACE)
    assert [trial.number for trial in again.trials] == [0, 1]
    again.keep(tuned.trials[2])
    assert len(Journal(path, "churn", "abc", SPACE).trials) == 3


@pytest.mark.parametrize("text", ["what is this\n", '{"op_code": 99}\n', "[1]\nx\n"])
def test_a_file_that_is_no_journal_is_told_in_words(text, tmp_path):
    path = tmp_path / "tune.journal"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ChurnmlError, match="is no journal of `churnml tune`"):
        Journal(path, "churn", "abc", SPACE)


def test_a_fold_survives_being_written_down(tuned):
    told = tuned.chosen.folds[0]
    again = fold_told(json.loads(json.dumps(told.as_dict())))
    assert (again.loss, again.cost, again.trees) == (told.loss, told.cost, told.trees)
    assert (again.groups == told.groups).all()


def test_the_choice_is_a_params_toml_of_exactly_what_was_tried(tuned, folds):
    text = tuned_toml(tuned, TuneFacts("churn", "abc", 7, SPACE, folds))
    document = tomllib.loads(text)
    assert fit_params(document) == tuned.params
    assert search_space(document) == SPACE
    assert f"chosen    {tuned.chosen.number:>5}   {tuned.chosen.loss:.5f}" in text
    assert f"test part from {folds.test.first:%Y-%m-%d} on" in text


def test_the_table_and_the_picture_are_the_same_bytes_again(tuned, tmp_path):
    lines = trials_csv(tuned, SPACE).splitlines()
    assert len(lines) == TRIALS + 1
    assert lines[1].startswith("0,complete,today")
    for name in ("a.png", "b.png"):
        draw_front(tuned, "churn", tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
