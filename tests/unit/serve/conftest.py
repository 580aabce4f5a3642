"""A project with a tiny model, a store with a small book, and the app over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from starlette.testclient import TestClient

from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.champions import export_champion
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

MONDAY = datetime(2024, 3, 4)
NOW = datetime(2024, 3, 6, 12)
FEATURES = ("events_28d_per_week", "events_change_28d_share", "segment")


@cache
def a_bundle(target: str = "churn", version: str = "2024-03-03-aaaaaaaa") -> Bundle:
    rng = np.random.default_rng(7)
    x = np.column_stack(
        [rng.uniform(0, 200, 400), rng.uniform(-1, 1, 400), rng.integers(0, 2, 400)]
    )
    x[:80, 1] = np.nan  # a trend that is missing is a bad sign
    y = ((x[:, 1] < -0.3) | np.isnan(x[:, 1])).astype(float)
    train = lightgbm.Dataset(x, y, feature_name=list(FEATURES), categorical_feature=["segment"])
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}, train, 8
    )
    text = booster.model_to_string()
    number = {
        "median": 90.0,
        "deciles": [10.0 * step for step in range(1, 10)],
        "missing_share": 0.0,
    }
    return Bundle(
        target=target,
        horizon_days=90,
        lead_days=14,
        grace_days=30,
        mode="window_end",
        basis=None,
        model_version=version,
        catalog_fingerprint="0123456789ab",
        features=FEATURES,
        categories={"segment": ("enterprise", "smb")},
        calibrator={"kind": "sigmoid", "slope": 1.0, "intercept": 0.0},
        reference={
            FEATURES[0]: number,
            FEATURES[1]: {
                **number,
                "median": 0.0,
                "deciles": [-0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4],
            },
            "segment": {"shares": {"smb": 0.6, "enterprise": 0.4}, "missing_share": 0.0},
        },
        metrics={"roc_auc": {"value": 0.8, "low": 0.7, "high": 0.9}},
        data_through="2024-03-03T00:00:00",
        trained_rows=400,
        trained_outcomes=120,
        papers={"promoted_at": "2024-03-04T08:00:00"},
        model_text=text,
        loaded=booster_of(text),
        card="# Churn\n",
    )


def a_score(account_id: str, target: str = "churn", play: str = "leave_alone") -> ScoreRow:
    reason = {
        "driver": "usage_trend",
        "feature": "events_change_28d_share",
        "value": -0.5,
        "unit": "share",
        "contribution": 0.9,
        "text": "as it was stored",
        "protective": False,
    }
    return ScoreRow(
        account_id, MONDAY, target, 90, 14, 0.31, "high", "ok", [reason], play, 250.0, "USD",
        "2024-03-03-aaaaaaaa", MONDAY,
    )  # fmt: skip


def write_book(project: Path, *scores: ScoreRow) -> None:
    store = open_store(sqlite_url((project / "store.db").resolve()))
    run = ScoringRun(
        f"run-{len(store.runs())}",
        MONDAY,
        MONDAY,
        NOW,
        "champion",
        {"churn": "2024-03-03-aaaaaaaa"},
    )
    features: dict[str, float | str | None] = {
        "events_28d_per_week": 50.0, "events_change_28d_share": -0.5, "segment": "smb",
    }  # fmt: skip
    ids = dict.fromkeys(score.account_id for score in scores)
    evidence = {
        "moves": {"events": {"moved": -200, "module": "<b>analyse</b>", "users": 2}},
        "peers": {"of": "segment", "medians": {"events_change_28d_share": 0.0}},
    }
    accounts = [
        AccountRow(
            name, MONDAY, "smb", "reporting", "mia", 250.0, "USD", features,
            evidence if name == "a1" else {},
        )
        for name in ids
    ]  # fmt: skip
    store.write_book(run, scores, accounts)
    store.close()


def a_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    return folder


def a_served_project(folder: Path) -> Path:
    export_champion(a_bundle(), a_project(folder) / "bundles")
    write_book(folder, a_score("a1"), a_score("a1", "expansion"), a_score("a2"))
    return folder


def a_client(desk: Desk) -> TestClient:
    desk.held(at_once=True)
    return TestClient(
        build_app(desk),  # type: ignore[arg-type]
        base_url="http://127.0.0.1:3000",
        client=("127.0.0.1", 50000),
        raise_server_exceptions=False,
    )


@pytest.fixture(autouse=True, scope="session")
def _no_other_store() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CHURNML_STORE_URL", raising=False)
        yield


@pytest.fixture
def one_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that limits count by stands still: a minute that passes meanwhile would let more through."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without a model."""
    return a_project(tmp_path / "project")


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A project with a champion and a book of two accounts."""
    return a_served_project(tmp_path / "project")


@pytest.fixture
def client_of() -> Iterator[Callable[..., TestClient]]:
    """A client of the app over a project, at a moment."""
    desks: list[Desk] = []

    def make(project: Path, now: datetime = NOW) -> TestClient:
        desks.append(Desk(project, now=lambda: now))
        return a_client(desks[-1])

    yield make
    for desk in desks:
        desk.close()


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a served project that nobody changes."""
    desk = Desk(a_served_project(tmp_path_factory.mktemp("served") / "project"), now=lambda: NOW)
    yield a_client(desk)
    desk.close()


@pytest.fixture
def bundle_of() -> Callable[..., Bundle]:
    """A tiny bundle of a target and version."""
    return a_bundle
