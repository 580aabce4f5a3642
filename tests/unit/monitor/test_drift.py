"""Drift: what moved is named, what chance does is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnml.monitor.drift import drift, population_stability_index

TRAINED_ROWS = 20_000


def deciles(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(values, np.arange(1, 10) / 10)]


def reference_of(values: np.ndarray, missing_share: float = 0.0) -> dict[str, dict[str, object]]:
    return {"events_7d": {"deciles": deciles(values), "missing_share": missing_share}}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_index_of_equal_shares_is_zero_and_a_known_shift_has_its_known_value() -> None:
    assert population_stability_index([0.5, 0.5], [0.5, 0.5]) == 0
    expected = (0.7 - 0.5) * np.log(0.7 / 0.5) + (0.3 - 0.5) * np.log(0.3 / 0.5)
    assert population_stability_index([0.5, 0.5], [0.7, 0.3]) == pytest.approx(expected)


def test_a_fresh_sample_of_the_same_accounts_is_stable(rng: np.random.Generator) -> None:
    before = rng.normal(size=TRAINED_ROWS)
    for size in (60, 200, 5_000):
        told = drift(
            reference_of(before), pd.DataFrame({"events_7d": rng.normal(size=size)}), TRAINED_ROWS
        )
        assert told.status == "stable", size


def test_a_shift_of_one_deviation_is_called_shifted(rng: np.random.Generator) -> None:
    told = drift(
        reference_of(rng.normal(size=TRAINED_ROWS)),
        pd.DataFrame({"events_7d": rng.normal(1.0, size=2_000)}),
        TRAINED_ROWS,
    )
    assert told.features[0].status == "shifted"
    assert told.status == "shifted"


@pytest.mark.parametrize("zeros", [0.35, 0.95, 0.999, 1.0])
def test_counts_that_are_mostly_zero_do_not_look_like_drift(
    rng: np.random.Generator, zeros: float
) -> None:
    def sample(size: int) -> np.ndarray:
        return np.where(rng.random(size) < zeros, 0.0, rng.poisson(3, size) + 1.0)

    told = drift(
        reference_of(sample(TRAINED_ROWS)), pd.DataFrame({"events_7d": sample(3_000)}), TRAINED_ROWS
    )
    assert told.features[0].status == "stable"


def test_a_count_that_stops_being_zero_is_drift(rng: np.random.Generator) -> None:
    before = np.where(rng.random(TRAINED_ROWS) < 0.95, 0.0, 1.0)
    now = np.where(rng.random(3_000) < 0.4, 0.0, 1.0)
    told = drift(reference_of(before), pd.DataFrame({"events_7d": now}), TRAINED_ROWS)
    assert told.features[0].status == "shifted"


def test_a_feature_that_goes_missing_is_named_though_its_values_stand_still(
    rng: np.random.Generator,
) -> None:
    now = rng.normal(size=1_000)
    now[:400] = np.nan
    told = drift(
        reference_of(rng.normal(size=TRAINED_ROWS)), pd.DataFrame({"events_7d": now}), TRAINED_ROWS
    )
    feature = told.features[0]
    assert feature.status == "stable"
    assert feature.missing_jump
    assert feature.missing_share == pytest.approx(0.4)
    assert told.status == "shifted"


def test_a_feature_that_the_frame_lacks_is_wholly_missing() -> None:
    told = drift(
        reference_of(np.arange(100.0)), pd.DataFrame({"other": np.ones(200)}), TRAINED_ROWS
    )
    assert told.features[0].missing_share == 1
    assert told.features[0].missing_jump
    assert told.features[0].psi is None


def test_a_new_category_is_drift_and_the_same_mix_is_not(rng: np.random.Generator) -> None:
    told = {"segment": {"shares": {"smb": 0.7, "enterprise": 0.3}, "missing_share": 0.0}}
    same = pd.DataFrame({"segment": rng.choice(["smb", "enterprise"], 1_000, p=[0.7, 0.3])})
    new = pd.DataFrame({"segment": rng.choice(["smb", "startup"], 1_000, p=[0.7, 0.3])})
    assert drift(told, same, TRAINED_ROWS).status == "stable"
    assert drift(told, new, TRAINED_ROWS).status == "shifted"


def test_a_handful_of_accounts_is_too_few_to_tell() -> None:
    told = drift(
        reference_of(np.arange(100.0)), pd.DataFrame({"events_7d": np.full(10, 1e6)}), TRAINED_ROWS
    )
    assert told.features[0].status == "too_few_rows"
    assert told.status == "too_few_rows"


def test_the_summary_names_what_moved_first(rng: np.random.Generator) -> None:
    before = rng.normal(size=TRAINED_ROWS)
    reference = {
        name: {"deciles": deciles(before), "missing_share": 0.0}
        for name in ("still", "far", "near")
    }
    frame = pd.DataFrame(
        {
            "still": rng.normal(size=4_000),
            "far": rng.normal(3, size=4_000),
            "near": rng.normal(0.4, size=4_000),
        }
    )
    summary = drift(reference, frame, TRAINED_ROWS).summary()
    assert [item["feature"] for item in summary["moved"]] == ["far", "near"]
    assert (summary["shifted"], summary["moving"], summary["features"]) == (1, 1, 3)
