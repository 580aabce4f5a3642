"""Projects, each made once: a small simulated company, and one with a model made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from tests.integration.postgres import Postgres, running_postgres

from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.champions import export_champion
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

FEATURES = ("events_28d_per_week", "events_change_28d_share")


# A snapshot a month, not a week, and rough intervals: these tests ask whether it works, not how well.
QUICKER = '\n[calendar]\nevery = "month"\n\n[training]\nbootstrap_rounds = 50\n'


def a_bundle() -> Bundle:
    rng = np.random.default_rng(7)
    x = np.column_stack([rng.uniform(0, 200, 400), rng.uniform(-1, 1, 400)])
    train = lightgbm.Dataset(x, (x[:, 1] < -0.3).astype(float), feature_name=list(FEATURES))
    settings = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    text = lightgbm.train(settings, train, 8).model_to_string()
    return Bundle(
        "churn", 90, 14, 30, "window_end", None, "2024-03-03-aaaaaaaa", "0123456789ab", FEATURES,
        {}, {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0}, {}, {}, "2024-03-03T00:00:00",
        400, 120, {}, text, booster_of(text),
    )  # fmt: skip


def a_book(project: Path) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    day -= timedelta(days=1)
    store = open_store(sqlite_url(project / "store.db"))
    features: dict[str, float | str | None] = {FEATURES[0]: 50.0, FEATURES[1]: -0.5}
    score = ScoreRow(
        "a1", day, "churn", 90, 14, 0.31, "high", "ok", [], "leave_alone", 250.0, "USD",
        "2024-03-03-aaaaaaaa", day,
    )  # fmt: skip
    account = AccountRow("a1", day, None, None, None, 250.0, "USD", features)
    store.write_book(ScoringRun("run", day, day, day, "champion", {}), [score], [account])
    store.close()


@pytest.fixture(scope="session")
def company(churnml: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with tables and churnml.toml, nothing trained. Read it, or copy it."""
    folder = tmp_path_factory.mktemp("company")
    churnml("simulate", "--out", "data", "--accounts", 300, "--rollouts", 0, cwd=folder)
    churnml("init", ".", "--data", "data", cwd=folder)
    with (folder / "churnml.toml").open("a", encoding="utf-8") as file:
        file.write(QUICKER)
    return folder


@pytest.fixture(scope="session")
def walked(churnml: Any, company: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with champions of all targets and a scored book. Read it, or copy it."""
    folder = tmp_path_factory.mktemp("walked") / "walked"
    shutil.copytree(company, folder)
    churnml("train", cwd=folder)
    churnml("promote", "--force", "--why", "a small company for tests", cwd=folder)
    churnml("score", "--out", "scores.parquet", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a champion and one account in the book. Read it, and serve it."""
    project = tmp_path_factory.mktemp("promoted").resolve()
    (project / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    export_champion(a_bundle(), project / "bundles")
    a_book(project)
    return project


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; each test makes its own database in it."""
    with running_postgres() as server:
        yield server
