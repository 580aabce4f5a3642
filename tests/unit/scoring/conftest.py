"""A small bundle and rows to score, with a number that is often missing and a category."""

from __future__ import annotations

import lightgbm
import numpy as np
import pandas as pd
import pytest

from churnml.scoring.bundle import Bundle, booster_of

NAMES = ("events_28d_per_week", "days_since_last_event", "nps_last", "segment")
SEGMENTS = ("large", "mid", "small")


def make_rows(n: int = 400, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "account_id": [f"a{i}" for i in range(n)],
            "as_of": pd.Timestamp("2024-01-01").as_unit("us"),
            "events_28d_per_week": rng.lognormal(2, 1, n),
            "days_since_last_event": np.where(rng.random(n) < 0.1, np.nan, rng.exponential(9, n)),
            "nps_last": np.where(rng.random(n) < 0.5, np.nan, rng.integers(0, 11, n)),
            "segment": rng.choice([*SEGMENTS, None], n),
        }
    )


def make_bundle(version: str = "2024-01-01-aaaaaaaa", seed: int = 3, **changes: object) -> Bundle:
    rows = make_rows(seed=seed)
    codes = pd.Categorical(rows["segment"], categories=list(SEGMENTS)).codes
    x = rows[list(NAMES[:3])].to_numpy(float)
    x = np.column_stack([x, np.where(codes < 0, np.nan, codes)])
    rng = np.random.default_rng(seed)
    odds = 0.8 * np.log1p(np.nan_to_num(x[:, 1], nan=30)) - 2 + (codes == 2)
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-odds))).astype(float)
    booster = lightgbm.train(
        {
            "objective": "binary",
            "num_leaves": 7,
            "min_data_in_leaf": 10,
            "min_data_per_group": 10,
            "cat_smooth": 1,
            "num_threads": 1,
            "verbosity": -1,
            "deterministic": True,
            "force_row_wise": True,
        },
        lightgbm.Dataset(x, y, feature_name=list(NAMES), categorical_feature=["segment"]),
        num_boost_round=20,
    )
    text = booster.model_to_string()
    values: dict[str, object] = {
        "target": "churn",
        "horizon_days": 90,
        "lead_days": 14,
        "grace_days": 30,
        "mode": "window_end",
        "basis": None,
        "model_version": version,
        "catalog_fingerprint": "0123456789ab",
        "features": NAMES,
        "categories": {"segment": SEGMENTS},
        "calibrator": {"kind": "sigmoid", "slope": 0.8, "intercept": -0.3},
        "reference": {"segment": {"shares": {"large": 1.0}, "missing_share": 0.0}},
        "metrics": {"roc_auc": {"value": 0.7, "low": None, "high": None}},
        "data_through": "2024-01-01T00:00:00",
        "trained_rows": len(x),
        "trained_outcomes": int(y.sum()),
        "papers": {"verdict": {"promotable": True, "checks": []}},
        "model_text": text,
        "loaded": booster_of(text),
        "card": "# card\n",
        **changes,
    }
    return Bundle(**values)


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return make_bundle()


@pytest.fixture(scope="session")
def other_bundle() -> Bundle:
    return make_bundle("2024-02-01-bbbbbbbb", seed=9)


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    return make_rows(200, seed=8)
