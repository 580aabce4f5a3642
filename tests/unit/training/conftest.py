"""A small company whose truth is known: who leaves depends on a latent mood that features show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from churnml.config import CapacityConfig, GateConfig, SplitConfig, TargetConfig, TrainingConfig
from churnml.features.catalog import BY_NAME
from churnml.training.train import Settings, TrainedTarget, train_target

START = datetime(2023, 1, 2)
THROUGH = datetime(2024, 2, 26)
USED = (
    "events_28d_per_week",
    "days_since_last_event",
    "events_change_28d_share",
    "mrr",
    "nps_last",
    "segment",
)
LEAD, HORIZON, GRACE = 7, 28, 14


@pytest.fixture(scope="session")
def catalog_features():
    return tuple(BY_NAME[name] for name in USED)


@pytest.fixture(scope="session")
def declared() -> TargetConfig:
    return TargetConfig(lead_days=LEAD, horizon_days=HORIZON, horizons=(14,))


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(
        grace_days=GRACE,
        basis="net",
        currency="USD",
        split=SplitConfig(),
        training=TrainingConfig(seed=7, bootstrap_rounds=60, min_outcomes=10),
        capacity=CapacityConfig(),
        gates=GateConfig(min_outcomes=10),
    )


@pytest.fixture(scope="session")
def company() -> Callable[..., tuple[pd.DataFrame, pd.DataFrame]]:
    return make_company


@pytest.fixture(scope="session")
def good_company() -> tuple[pd.DataFrame, pd.DataFrame]:
    return make_company(accounts=400, effect=2.5)


@pytest.fixture(scope="session")
def trained(good_company, catalog_features, declared, settings) -> TrainedTarget:
    return train_target(*good_company, catalog_features, "churn", declared, settings, THROUGH)


def make_company(
    accounts: int = 250,
    weeks: int = 60,
    step_weeks: int = 2,
    effect: float = 1.6,
    rate: float = 0.006,
    seed: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Features and churn labels. effect: how strongly the latent mood drives weekly leaving."""
    rng = np.random.default_rng(seed)
    mood = np.zeros((accounts, weeks))
    mood[:, 0] = rng.normal(size=accounts)
    for week in range(1, weeks):
        mood[:, week] = 0.93 * mood[:, week - 1] + 0.37 * rng.normal(size=accounts)
    hazard = np.minimum(0.5, rate * np.exp(effect * mood))
    leaves = rng.random((accounts, weeks)) < hazard
    left = np.where(leaves.any(axis=1), leaves.argmax(axis=1), 10_000) * 7 + 3
    mrr = np.round(rng.lognormal(6, 0.8, accounts), 2)
    segment = rng.choice(["small", "mid", "large"], accounts)
    features, labels = [], []
    for week in range(4, weeks, step_weeks):
        day = week * 7
        for i in np.flatnonzero(left > day):
            key = (f"a{i:04d}", START + timedelta(days=day))
            level = float(np.exp(3 - 0.6 * mood[i, week] + 0.4 * rng.normal()))
            features.append(
                (
                    *key,
                    level,
                    float(np.exp(0.7 * mood[i, week] + 0.5 * rng.normal())),
                    float(rng.normal()),
                    float(mrr[i]),
                    np.nan if rng.random() < 0.4 else float(rng.integers(0, 11)),
                    None if rng.random() < 0.1 else str(segment[i]),
                )
            )
            label, reason = outcome(day, int(left[i]), weeks * 7)
            came = START + timedelta(days=int(left[i])) if label == 1 else pd.NaT
            treated = bool(rng.random() < 0.05)
            labels.append((*key, label, reason, treated, float(mrr[i]), came))
    feature_frame = pd.DataFrame(features, columns=["account_id", "as_of", *USED])
    label_frame = pd.DataFrame(
        labels,
        columns=[
            "account_id",
            "as_of",
            "label",
            "missing_reason",
            "treated_in_window",
            "mrr",
            "outcome_at",
        ],
    )
    return feature_frame, label_frame


def outcome(day: int, left: int, end: int) -> tuple[float, str | None]:
    if day + LEAD + HORIZON + GRACE > end:
        return np.nan, "unmatured"
    if left <= day + LEAD:
        return np.nan, "ended_in_lead"
    return (1.0 if left <= day + LEAD + HORIZON else 0.0), None
