"""What a scoring run leaves in the store beside scores: usage, names, renewals, change."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine, inspect, text

from churnml.config import parse_config
from churnml.errors import NotFound
from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.champions import export_champion
from churnml.stages.build import build, open_tables
from churnml.stages.project import Project
from churnml.stages.score import Scored, score, with_change
from churnml.stages.usage import usage
from churnml.store.store import Store, open_store

sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
import company

FEATURES = ("events_28d_per_week", "events_change_28d_share")
EARLY, LATE = datetime(2024, 6, 3), datetime(2024, 6, 17)
TOML = "version = 1\nname = 'acme'\n[source]\npath = 'data'\n[cohort]\nmin_age_days = 0\n[targets.churn]\n"


def a_bundle() -> Bundle:
    rng = np.random.default_rng(7)
    x = np.column_stack([rng.uniform(0, 20, 400), rng.uniform(-1, 1, 400)])
    train = lightgbm.Dataset(x, (x[:, 1] < -0.3).astype(float), feature_name=list(FEATURES))
    settings = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    model = lightgbm.train(settings, train, 8).model_to_string()
    return Bundle(
        "churn", 90, 14, 30, "window_end", None, "2024-03-03-aaaaaaaa", "0123456789ab", FEATURES,
        {}, {"kind": "sigmoid", "slope": 1.0, "intercept": 0.0}, {}, {}, "2024-03-03T00:00:00",
        400, 120, {}, model, booster_of(model),
    )  # fmt: skip


def a_project(folder: Path, named: bool = True) -> Project:
    tables = company.tables(1, accounts=12)
    # The tiny company's last account pays in a year's time alone: every other one stays to be scored.
    tables["subscriptions"] = tables["subscriptions"].assign(ended_at=pd.NaT)
    if named:
        ids = tables["accounts"]["account_id"]
        tables["accounts"]["display_name"] = "Acme the " + ids
        tables["accounts"]["crm_url"] = "https://crm.example/" + ids
        tables["accounts"].loc[ids == "A02", ["display_name", "crm_url"]] = None
    company.write(tables, folder / "data")
    (folder / "churnml.toml").write_text(TOML, encoding="utf-8")
    export_champion(a_bundle(), folder / "bundles")
    return Project(folder, parse_config(TOML), {}, datetime(2024, 9, 20))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Scored, Scored]:
    """A project that was scored at two dates, the earlier first."""
    project = a_project(tmp_path_factory.mktemp("scored"))
    return project, score(project, EARLY), score(project, LATE)


def opened(project: Project) -> Store:
    return open_store(project.store_url)


def test_every_account_of_the_book_has_its_usage(scored: tuple[Project, Scored, Scored]) -> None:
    project, early, late = scored
    store = opened(project)
    for run in (early, late):
        assert len(run.accounts) > 8
        events = 0
        for account in run.accounts:
            kept = store.usage(account.account_id, at=run.run.as_of)
            assert kept is not None
            assert kept["as_of"] == f"{run.run.as_of:%Y-%m-%d}"
            assert len(set(kept["totals"].values())) == 1
            events += kept["totals"]["company"]
        assert events > 100
    store.close()


def test_a_change_is_told_against_the_book_of_an_earlier_date(
    scored: tuple[Project, Scored, Scored],
) -> None:
    project, early, late = scored
    assert {row.change for row in early.rows} == {None}
    was = {row.account_id: row.probability for row in early.rows}
    told = 0
    store = opened(project)
    book = store.latest_book()
    store.close()
    assert book is not None
    for row in book.scores:
        before = was.get(row.account_id)
        if row.probability is None or before is None:
            assert row.change is None
        else:
            assert row.change == row.probability - before
            told += row.change != 0
    assert told > 3
    assert [row.change for row in book.scores] == [row.change for row in late.rows]


def test_scoring_a_date_again_compares_with_the_earlier_date_not_with_itself(
    tmp_path: Path,
) -> None:
    project = a_project(tmp_path)
    score(project, EARLY)
    once, again = score(project, LATE), score(project, LATE)
    assert any(row.change for row in once.rows)
    assert [row.change for row in again.rows] == [row.change for row in once.rows]


def test_another_horizon_or_target_is_no_change(scored: tuple[Project, Scored, Scored]) -> None:
    from dataclasses import replace

    from churnml.store.rows import Book

    _, early, late = scored
    bare = [replace(row, change=None) for row in late.rows]
    other = Book(early.run, tuple(replace(row, horizon_days=30) for row in early.rows))
    assert {row.change for row in with_change(bare, other)} == {None}
    other = Book(early.run, tuple(replace(row, target="expansion") for row in early.rows))
    assert {row.change for row in with_change(bare, other)} == {None}
    assert with_change(bare, Book(early.run, early.rows)) == list(late.rows)


def test_a_renewal_is_the_day_that_its_feature_counts_to(
    scored: tuple[Project, Scored, Scored],
) -> None:
    project, early, _ = scored
    with open_tables(project) as workspace:
        built = build(workspace, project.config, (EARLY,))
    days = dict(zip(built.frame["account_id"], built.frame["days_to_renewal"], strict=True))
    assert {account.account_id for account in early.accounts} == set(days)
    told = 0
    for account in early.accounts:
        expected = days[account.account_id]
        if pd.isna(expected):
            assert account.renews_at is None
        else:
            assert account.renews_at is not None
            assert account.renews_at > EARLY
            assert account.renews_at.date() == (EARLY + timedelta(days=int(expected))).date()
            told += 1
    assert told > 8
    store = opened(project)
    kept = {row.account_id: row.renews_at for row in store.account_rows(at=EARLY)}
    store.close()
    assert kept == {account.account_id: account.renews_at for account in early.accounts}


def test_names_are_kept_of_the_cohort_and_lie_nowhere_else(
    scored: tuple[Project, Scored, Scored],
) -> None:
    project, _, late = scored
    cohort = {account.account_id for account in late.accounts}
    store = opened(project)
    kept = store.names({f"A{number:02d}" for number in range(12)})
    store.close()
    assert set(kept) == cohort - {"A02"}
    assert all(
        name == (f"Acme the {account}", f"https://crm.example/{account}")
        for account, name in kept.items()
    )
    engine = create_engine(project.store_url)
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names():
            rows = str(connection.execute(text(f"select * from {table}")).fetchall())
            assert ("Acme the" in rows) == (table == "account_names"), table
    engine.dispose()
    raw = project.folder / "data/accounts.parquet"
    for path in project.folder.rglob("*"):
        if path.is_file() and path != raw and not path.name.startswith("store.db"):
            assert b"Acme the" not in path.read_bytes(), path


def test_a_book_of_the_past_leaves_the_names_as_they_are(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    score(project, LATE)
    store = opened(project)
    before = store.names(["A00", "A01"])
    assert before
    # The accounts table has new names meanwhile: the newest book's stay until it is scored again.
    accounts = pd.read_parquet(tmp_path / "data/accounts.parquet")
    accounts.assign(display_name="New").to_parquet(tmp_path / "data/accounts.parquet", index=False)
    score(project, EARLY)
    assert store.names(["A00", "A01"]) == before
    score(project, LATE)
    assert {name for name, _ in store.names(["A00", "A01"]).values()} == {"New"}
    store.close()


def test_names_that_the_tables_no_longer_hold_are_dropped(tmp_path: Path) -> None:
    project = a_project(tmp_path)
    score(project, EARLY)
    accounts = pd.read_parquet(tmp_path / "data/accounts.parquet")
    accounts.drop(columns="crm_url").to_parquet(tmp_path / "data/accounts.parquet", index=False)
    score(project, EARLY)
    store = opened(project)
    assert store.names(["A01"]) == {"A01": ("Acme the A01", None)}
    accounts.drop(columns=["crm_url", "display_name"]).to_parquet(
        tmp_path / "data/accounts.parquet", index=False
    )
    score(project, EARLY)
    assert store.names(["A01"]) == {}
    store.close()


def test_usage_of_who_is_not_in_the_book_is_not_found(
    tmp_path: Path, scored: tuple[Project, Scored, Scored]
) -> None:
    project, *_ = scored
    with pytest.raises(NotFound, match="'nobody': not in the book of 2024-06-17"):
        usage(project, "nobody")
    with pytest.raises(NotFound, match="nothing has been scored yet"):
        usage(Project(tmp_path, parse_config(TOML), {}, project.now), "A01")


def test_a_book_of_before_usage_was_kept_says_so(
    tmp_path: Path, scored: tuple[Project, Scored, Scored]
) -> None:
    _, early, _ = scored
    project = Project(tmp_path, parse_config(TOML), {}, datetime(2024, 9, 20))
    store = opened(project)
    store.write_book(early.run, early.rows, early.accounts)
    store.close()
    with pytest.raises(NotFound, match=r"the book of 2024-06-03 keeps no usage.*churnml score"):
        usage(project, early.accounts[0].account_id)
