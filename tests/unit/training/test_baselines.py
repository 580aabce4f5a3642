from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churnml.config import SplitConfig
from churnml.scoring.health import health_scores
from churnml.scoring.health_definition import default_definition
from churnml.training import baselines as module
from churnml.training.assemble import assemble
from churnml.training.baselines import COX, HEALTH, LAST_ACTIVITY, LOGISTIC, PREVALENCE, baselines
from churnml.training.learn import Parts, cut_parts
from churnml.training.split import Needs, choose_split


@pytest.fixture(scope="module")
def parts(good_company, catalog_features, settings) -> Parts:
    features, labels = good_company
    # Quiet for days, and not for hours: so that the health score has something to say.
    quiet = features.assign(days_since_last_event=8 * features["days_since_last_event"])
    whole = assemble(quiet, labels, catalog_features)
    split = choose_split(whole, 49, SplitConfig(), Needs(20, 20, 10))
    return cut_parts(whole, split, settings.training, "")


@pytest.fixture(scope="module")
def found(parts):
    return {rival.name: rival for rival in baselines(parts)}


def without(parts: Parts, *names: str) -> Parts:
    kept = [name for name in parts.train.columns if name not in names]
    return Parts(*(part.with_columns(kept) for part in (parts.train, parts.later, parts.test)))


def auc(parts, probability):
    y = parts.test.y > 0.5
    return np.mean(probability[y][:, None] > probability[~y])


def test_five_rivals_tell_probabilities_of_the_test_rows(found, parts):
    assert list(found) == [PREVALENCE, LAST_ACTIVITY, HEALTH, LOGISTIC, COX]
    for rival in found.values():
        assert rival.probability.shape == (len(parts.test),)
        assert ((rival.probability > 0) & (rival.probability < 1)).all()


def test_health_ranks_as_the_health_score_does(found, parts):
    health = health_scores(_frame(parts.test), default_definition())["health"].to_numpy()
    probability = found[HEALTH].probability
    ranks = [
        np.unique(values.round(9), return_inverse=True)[1] for values in (-health, probability)
    ]
    assert (ranks[0] == ranks[1]).all()
    assert auc(parts, probability) > 0.55


def test_what_health_knows_nothing_of_gets_the_mean(parts):
    signals = ("days_since_last_event", "events_change_28d_share", "nps_last")
    places = [parts.test.columns.index(name) for name in signals]
    x = parts.test.x.copy()
    x[0, places] = np.nan
    blank = replace(parts, test=replace(parts.test, x=x))
    by_name = {rival.name: rival.probability for rival in baselines(blank)}
    mean = float((100 - health_scores(_frame(parts.train), default_definition())["health"]).mean())
    ill = 100 - health_scores(_frame(blank.test), default_definition())["health"].to_numpy()
    assert np.isnan(ill[0])
    above, below = by_name[HEALTH][1:][ill[1:] > mean], by_name[HEALTH][1:][ill[1:] < mean]
    assert below.max() <= by_name[HEALTH][0] <= above.min()


def _frame(table):
    return pd.DataFrame(dict(zip(table.columns, table.x.T, strict=True)))


def test_without_any_feature_of_health_it_is_absent_and_a_sentence_says_so(parts):
    said: list[str] = []
    bare = without(parts, "days_since_last_event", "events_change_28d_share", "nps_last")
    assert HEALTH not in [rival.name for rival in baselines(bare, said.append)]
    assert said == ["Baseline health: none of its features is there, or they are all the same."]


def test_health_is_read_the_way_round_that_the_train_part_shows(parts):
    turned = Parts(*(replace(p, y=1 - p.y) for p in (parts.train, parts.later, parts.test)))
    rival = next(r for r in baselines(turned) if r.name == HEALTH)
    assert auc(turned, rival.probability) > 0.55


def test_cox_knows_about_as_much_as_logistic_regression(found, parts):
    aucs = [auc(parts, found[name].probability) for name in (COX, LOGISTIC)]
    assert min(aucs) > 0.75
    assert abs(aucs[0] - aucs[1]) < 0.03


def test_where_nobody_knows_when_outcomes_came_cox_is_absent_and_a_sentence_says_so(parts):
    said: list[str] = []
    train = replace(parts.train, days=np.full(len(parts.train), np.nan))
    names = [rival.name for rival in baselines(replace(parts, train=train), said.append)]
    assert names == [PREVALENCE, LAST_ACTIVITY, HEALTH, LOGISTIC]
    assert said == ["Baseline cox: when the outcomes came is not known."]


def test_cox_learns_from_whole_accounts_where_rows_are_many_and_says_so(parts, monkeypatch):
    monkeypatch.setattr(module, "COX_ROWS", len(parts.train) // 2)
    rival = baselines(parts)[-1]
    assert rival.name == COX
    assert f"of {len(parts.train):,} train rows (whole accounts)" in rival.what
    assert auc(parts, rival.probability) > 0.7


def test_nothing_of_later_parts_reaches_a_rivals_order(parts, found):
    # Another test part changes what is told of it, and nothing else.
    half = np.arange(len(parts.test)) % 2 == 0
    fewer = {rival.name: rival for rival in baselines(replace(parts, test=parts.test.where(half)))}
    for name, rival in found.items():
        assert fewer[name].probability == pytest.approx(rival.probability[half]), name


def test_the_order_of_rows_changes_no_rival(parts, found):
    order = np.random.default_rng(1).permutation(len(parts.train))
    train = parts.train
    turned = replace(
        train, x=train.x[order], y=train.y[order], accounts=train.accounts[order],
        as_of=train.as_of[order], mrr=train.mrr[order], treated=train.treated[order],
        days=train.days[order],
    )  # fmt: skip
    for rival in baselines(replace(parts, train=turned)):
        assert rival.probability == pytest.approx(found[rival.name].probability, abs=1e-4)
