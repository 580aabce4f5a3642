"""Contributions of our own against LightGBM's, shap's and the definition."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import warnings
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
import shap

from churnml.scoring import explainer
from churnml.scoring.contributions import explain_matrix
from churnml.scoring.trees import Unread, cleaned, read_trees, went_left
from churnml.scoring.treeshap import Forest
from churnml.scoring.treeshap_compiled import BLOCK, FEW, compiled

CATEGORIES = 2  # the first columns
ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-36, -1e-35, 1e10, -1.0, -0.5, 2.7, 999.0)


def made_rows(rows: int, features: int, seed: int, missing: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features))
    x[:, :CATEGORIES] = rng.integers(0, 40, (rows, CATEGORIES))
    x[:, CATEGORIES] = np.where(rng.random(rows) < 0.5, 0.0, x[:, CATEGORIES])  # often zero
    x[rng.random(x.shape) < missing] = math.nan
    return x


def made_model(features: int, seed: int, trees: int, **settings: object) -> lightgbm.Booster:
    x = made_rows(1500, features, seed, 0.0 if settings.get("linear_tree") else 0.1)
    rng = np.random.default_rng(seed)
    odds = np.nan_to_num(x[:, CATEGORIES:]).sum(axis=1) * 0.4
    odds = odds + (np.nan_to_num(x[:, 0]) % 3 == 1) - np.isnan(x[:, CATEGORIES + 1])
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-odds))).astype(float)
    if settings.get("objective") == "multiclass":
        y = y + (rng.random(len(x)) < 0.3)
    booster = lightgbm.train(
        {
            "objective": "binary", "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1,
            "max_cat_to_onehot": 2, "learning_rate": 0.1, "num_threads": 1, "verbosity": -1,
            "seed": seed, "deterministic": True, "force_row_wise": True, **settings,
        },
        lightgbm.Dataset(x, y, categorical_feature=list(range(CATEGORIES))),
        num_boost_round=trees,
    )  # fmt: skip
    return lightgbm.Booster(model_str=booster.model_to_string())


def odd_rows(features: int, seed: int, rows: int = BLOCK + FEW + 3) -> np.ndarray:
    """Rows as in training, and rows with every value that a table can hold."""
    rng = np.random.default_rng(seed + 1)
    x = made_rows(rows, features, seed + 2)
    odd = rng.choice(ODD, x.shape)
    share = np.linspace(0, 1, rows)[:, None]
    return np.where(rng.random(x.shape) < share, odd, x)


CASES = {
    "default": (30, 60, {"num_leaves": 6, "max_depth": 3, "extra_trees": True}),
    "one tree": (5, 1, {"num_leaves": 6}),
    "a table's most": (5, 20, {"num_leaves": 8}),
    "one more than a table": (5, 20, {"num_leaves": 9}),
    "stumps": (4, 15, {"num_leaves": 2}),
    "small and large trees": (12, 40, {"num_leaves": 14, "min_data_in_leaf": 90}),
    "deep": (10, 12, {"num_leaves": 255, "max_depth": 12}),
    "deep, many features": (60, 8, {"num_leaves": 200, "extra_trees": True}),
    "one feature asked for again and again": (4, 10, {"num_leaves": 63, "extra_trees": True}),
    "zeros are missing": (8, 15, {"num_leaves": 20, "zero_as_missing": True}),
    "nothing is missing": (8, 15, {"num_leaves": 20, "use_missing": False}),
    "one category against the rest": (4, 15, {"num_leaves": 20, "max_cat_to_onehot": 99}),
    "no split at all": (4, 3, {"min_data_in_leaf": 5000}),
    "some of the rows": (6, 20, {"num_leaves": 12, "bagging_fraction": 0.5, "bagging_freq": 1}),
    "dropped trees": (6, 20, {"num_leaves": 12, "boosting": "dart"}),
    "squares": (6, 20, {"num_leaves": 31, "objective": "regression"}),
}  # fmt: skip


@pytest.fixture(scope="module", params=[*CASES])
def case(request):
    features, trees, settings = CASES[request.param]
    seed = len(request.param)
    booster = made_model(features, seed, trees, **settings)
    return booster, odd_rows(features, seed)


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.abs(ours - theirs).max() <= 1e-9 * max(1.0, np.abs(theirs).max()))


def test_contributions_are_those_of_lightgbm_and_add_up(case):
    booster, x = case
    trees = read_trees(booster.model_to_string())
    ours, theirs = Forest(trees).contributions(x), booster.predict(x, pred_contrib=True)
    assert close(ours, theirs[:, :-1])
    assert trees.base == pytest.approx(theirs[0, -1], rel=1e-9)
    assert close(trees.base + ours.sum(axis=1), booster.predict(x, raw_score=True))


def test_contributions_are_those_of_shap(case):
    booster, x = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it once gave a list
        theirs = np.asarray(shap.TreeExplainer(booster).shap_values(x))
    assert close(Forest(read_trees(booster.model_to_string())).contributions(x), theirs)


def test_compiled_and_in_numpy_alone_and_in_a_batch_every_bit_is_the_same(case):
    booster, x = case
    forest = Forest(read_trees(booster.model_to_string()))
    fast = compiled(forest)
    whole = forest.contributions(x)
    assert np.array_equal(fast.contributions(x), whole)
    for way in (forest, fast):
        alone = [way.contributions(row[None]) for row in x]
        assert np.array_equal(np.vstack(alone), whole)
        parts = [way.contributions(part) for part in np.array_split(x, 9)]
        assert np.array_equal(np.vstack(parts), whole)


@pytest.mark.parametrize("seed", range(4))
def test_shaps_own_algorithm_agrees_on_numbers(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(800, 9))
    y = (x[:, 0] * x[:, 1] + x[:, 2] + rng.normal(size=800) > 0).astype(float)
    settings = {"objective": "binary", "num_leaves": 25, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y), 15)
    theirs = shap.TreeExplainer(booster)
    theirs.model.model_type = "internal"  # else it asks LightGBM, which is the other oracle
    ours = Forest(read_trees(booster.model_to_string())).contributions(x[:50])
    assert close(ours, np.asarray(theirs.shap_values(x[:50])))


def expected(trees, node: int, left: np.ndarray, known: set[int]) -> float:
    """The mean leaf below a node with the features of `known` known: the definition."""
    if node < 0:
        return float(trees.leaves[-1 - node])
    sides = [expected(trees, int(side[node]), left, known) for side in (trees.left, trees.right)]
    if int(trees.feature[node]) in known:
        return sides[0] if left[node] else sides[1]
    return float(trees.ratio[node] * sides[0] + (1 - trees.ratio[node]) * sides[1])


@pytest.mark.parametrize("leaves", [6, 40])
def test_contributions_are_shapley_values_by_definition(leaves):
    features, seed = 5, 11
    booster = made_model(features, seed, 3, num_leaves=leaves)
    trees = read_trees(booster.model_to_string())
    forest = Forest(trees)
    for row in odd_rows(features, seed)[::9]:
        left = went_left(trees, cleaned(row[None]))[:, 0]
        roots = trees.start[1:] - 1

        def worth(known: tuple[int, ...], left=left, roots=roots) -> float:
            return sum(expected(trees, int(root), left, set(known)) for root in roots)

        told = np.zeros(features)
        for feature in range(features):
            others = [f for f in range(features) if f != feature]
            for size in range(features):
                weight = 1 / (features * math.comb(features - 1, size))
                for known in itertools.combinations(others, size):
                    told[feature] += weight * (worth((*known, feature)) - worth(known))
        assert close(forest.contributions(row[None])[0], told)


UNREAD = {
    "several classes": {"objective": "multiclass", "num_class": 3},
    "averaged trees": {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
    "linear trees": {"linear_tree": True},
}


@pytest.mark.parametrize("words", [*UNREAD])
def test_what_the_arrays_have_no_place_for_is_not_read(words):
    booster = made_model(5, 2, 4, **UNREAD[words])
    with pytest.raises(Unread, match=words):
        read_trees(booster.model_to_string())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("leaf_count=", "leaf_count=1", "covers"), ("leaf_count=", "other=", "KeyError"),
     ("left_child=", "left_child=x", "ValueError")],
)  # fmt: skip
def test_a_model_text_that_contradicts_itself_is_not_read(bundle, old, new, words):
    with pytest.raises(Unread, match=words):
        read_trees(bundle.model_text.replace(old, new))


@pytest.fixture
def matrix(bundle) -> np.ndarray:
    x = made_rows(30, 4, 5)
    x[:, 3] = np.random.default_rng(5).choice([0.0, 1.0, 2.0, 7.0, math.nan], 30)
    return x


def test_a_model_that_cannot_be_read_is_left_to_lightgbm(bundle, matrix):
    unread = replace(bundle, model_text=bundle.model_text.replace("leaf_count=", "other="))
    theirs = bundle.booster.predict(matrix, pred_contrib=True, num_threads=1)
    explained = explain_matrix(unread, matrix)
    assert np.array_equal(explained.contributions, theirs[:, :-1])
    assert explained.base == theirs[0, -1]
    assert close(explain_matrix(bundle, matrix).contributions, explained.contributions)


def test_a_model_of_other_features_than_its_bundle_is_left_to_lightgbm(bundle):
    fewer = replace(bundle, features=bundle.features[:3])
    assert explainer._keep(fewer).forest is None


def test_a_large_batch_is_compiled_and_a_small_one_is_not(bundle, matrix, monkeypatch):
    own = replace(bundle)
    told = explain_matrix(own, matrix).contributions
    assert explainer._keep(own).compiled is None
    monkeypatch.setattr(explainer, "COMPILE_ABOVE_S", 0.0)
    assert np.array_equal(explain_matrix(own, matrix).contributions, told)
    assert explainer._keep(own).compiled is not None


def test_a_bundle_that_was_warmed_is_compiled_before_its_first_row(bundle, matrix):
    own = replace(bundle)
    explainer.warm(own)
    assert explainer._keep(own).compiled is not None
    told = explain_matrix(bundle, matrix).contributions
    alone = [explain_matrix(own, row[None]).contributions for row in matrix]
    assert np.array_equal(np.vstack(alone), told)


def test_without_numba_the_values_are_the_same(bundle, matrix, monkeypatch):
    told = explain_matrix(bundle, matrix).contributions
    monkeypatch.setattr(explainer, "COMPILE_ABOVE_S", 0.0)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.delitem(sys.modules, "churnml.scoring.treeshap_compiled")
    without = replace(bundle)
    assert np.array_equal(explain_matrix(without, matrix).contributions, told)
    kept = explainer._keep(without)
    assert kept.compiled is None
    assert kept.tried


def test_a_forest_goes_with_its_bundle(bundle):
    before = len(explainer._kept)
    own = replace(bundle)
    explainer.warm(own)
    assert len(explainer._kept) == before + 1
    del own
    assert len(explainer._kept) == before


FULL_DISK = """
import numpy, sys
from numba.core import caching
calls = []
def full(self, signature, data):
    calls.append(signature)
    raise OSError(28, "No space left on device")
def nowhere(self, function):
    calls.append(function)
    raise RuntimeError("cannot cache function: no locator available")
if sys.argv[1] == "full":
    caching.Cache.save_overload = full
else:
    caching.FunctionCache.__init__ = nowhere
from churnml.scoring.trees import read_trees
from churnml.scoring.treeshap import Forest
from churnml.scoring.treeshap_compiled import compiled
forest = Forest(read_trees(sys.stdin.read()))
rows = numpy.ones((9, forest.trees.features))
assert numpy.array_equal(compiled(forest).contributions(rows), forest.contributions(rows))
assert calls
"""


@pytest.mark.parametrize("fault", ["full", "nowhere"])
def test_where_no_cache_can_be_written_it_is_compiled_all_the_same(
    bundle, fault, tmp_path, monkeypatch
):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))  # empty: nothing is there to be loaded
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, fault],
        input=bundle.model_text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
