"""Nothing that was not known at a date changes what the features of that date say: bit for bit."""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churnml.config import CohortConfig, LedgerConfig, parse_config
from churnml.features.catalog import available
from churnml.features.engine import build_features, feature_frame
from churnml.features.spec import FAMILIES
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "oracle"))
import company

AS_OF = datetime(2024, 6, 3)
CONFIG = parse_config('[source]\npath = "."\ndata_through = 2024-06-03')
OCCURRED = {
    "accounts": "created_at",
    "users": "valid_from",
    "events": "occurred_at",
    "subscriptions": "started_at",
    "tickets": "opened_at",
    "surveys": "answered_at",
    "referrals": "referred_at",
    "interventions": "performed_at",
}
# column -> the time from which it can be seen (the coalesce is the contract's, for ends)
FILLED = {
    "users": {
        "valid_to": ("end_known_at", "valid_to"),
        "end_known_at": ("end_known_at", "valid_to"),
    },
    "accounts": {"converted_at": ("converted_at",)},
    "subscriptions": {"end_reason": ("ended_at",), "ended_at": ("ended_at",)},
    "tickets": {
        "csat": ("closed_at",),
        "closed_at": ("closed_at",),
        "first_reply_at": ("first_reply_at",),
    },
    "milestones": {"reached_at": ("reached_at",)},
    "referrals": {"converted_at": ("converted_at",)},
    "interventions": {"closed_at": ("closed_at",)},
}


def features(folder: Path, threads: int = 2) -> pd.DataFrame:
    workspace = open_workspace(CONFIG, folder, {}, datetime(2026, 1, 1), threads=threads)
    build_spine(workspace.connection, [AS_OF], LedgerConfig(), CohortConfig(min_age_days=0))
    build_features(
        workspace.connection,
        available(workspace.columns, workspace.meanings, FAMILIES),
        workspace.columns,
        workspace.meanings,
        "list",
    )
    frame = feature_frame(workspace.connection)
    workspace.close()
    return frame


def cut(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables as they stood at AS_OF: rows and values not yet known are gone."""
    found = {}
    for name, table in tables.items():
        frame = table.copy()
        if name in OCCURRED:
            frame = frame[frame[OCCURRED[name]] <= AS_OF]
            if "known_at" in frame:
                frame = frame[frame["known_at"] <= AS_OF]
        for column, times in FILLED.get(name, {}).items():
            seen = table.loc[frame.index, times[0]]
            for other in times[1:]:
                seen = seen.fillna(table.loc[frame.index, other])
            frame[column] = frame[column].where(seen <= AS_OF)
        found[name] = frame
    return found


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    for name in left.select_dtypes("float64"):
        assert np.array_equal(
            left[name].to_numpy().view(np.int64), right[name].to_numpy().view(np.int64)
        ), f"{name} differs in its bits"


@pytest.mark.parametrize("seed", [3, 4])
def test_data_cut_at_a_date_give_the_same_features_as_the_full_data(
    tmp_path: Path, seed: int
) -> None:
    tables = company.tables(seed, accounts=14)
    shorter = cut(tables)
    assert len(shorter["events"]) < len(tables["events"])
    full = features(company.write(tables, tmp_path / "full"))
    assert len(full) > 5
    assert_same(full, features(company.write(shorter, tmp_path / "cut")))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """A company, and its features at AS_OF."""
    tables = company.tables(8, accounts=8)
    return tables, features(company.write(tables, tmp_path_factory.mktemp("known")))


def unknown_rows(tables: dict[str, pd.DataFrame]) -> dict[str, list[int]]:
    """The rows of each table that could not be known at AS_OF."""
    seen = cut(tables)
    return {
        name: [place for place in tables[name].index if place not in seen[name].index]
        for name in ("events", "subscriptions", "tickets", "surveys", "referrals", "interventions")
    }


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_row_not_yet_known_can_go_or_change(
    known: tuple[dict[str, pd.DataFrame], pd.DataFrame], data: st.DataObject
) -> None:
    tables, told = known
    places = unknown_rows(tables)
    table = data.draw(st.sampled_from([name for name, rows in places.items() if rows]))
    rows = data.draw(st.lists(st.sampled_from(places[table]), min_size=1, unique=True))
    frame = tables[table].copy()
    if data.draw(st.booleans(), label="goes"):
        frame = frame.drop(index=rows)
    else:
        # Another unknown row's values, under its own key: anything but when it could be known.
        kept = {
            "account_id",
            "ticket_id",
            "intervention_id",
            "product",
            OCCURRED[table],
            "known_at",
        }
        other = data.draw(st.sampled_from(places[table]))
        for column in set(frame) - kept:
            if not column.endswith("_at"):
                frame.loc[rows, column] = frame.loc[other, column]
    with tempfile.TemporaryDirectory() as folder:
        changed = features(company.write({**tables, table: frame}, Path(folder)))
    assert_same(told, changed)


def test_order_of_rows_files_and_threads_change_nothing(tmp_path: Path) -> None:
    tables = company.tables(5, accounts=14)
    first = features(company.write(tables, tmp_path / "a"), threads=1)
    shuffled = {name: t.sample(frac=1, random_state=1) for name, t in tables.items()}
    events = shuffled.pop("events")
    folder = company.write(shuffled, tmp_path / "b")
    (folder / "events").mkdir()
    for part, place in enumerate(np.array_split(np.arange(len(events)), 5)):
        events.iloc[place].to_parquet(folder / "events" / f"{9 - part}.parquet", index=False)
    assert_same(first, features(folder, threads=2))


def test_a_late_event_appears_exactly_when_it_is_known(tmp_path: Path) -> None:
    tables = company.tables(6, accounts=4)
    late = tables["events"].iloc[:1].assign(
        occurred_at=pd.Timestamp(AS_OF) - pd.Timedelta(hours=5), is_automated=False, module="new",
        stage="complete",
    )  # fmt: skip
    counts = {}
    for name, known in (
        ("in time", AS_OF),
        ("too late", pd.Timestamp(AS_OF) + pd.Timedelta(seconds=1)),
    ):
        more = {**tables, "events": pd.concat([tables["events"], late.assign(known_at=known)])}
        frame = features(company.write(more, tmp_path / name)).set_index("account_id")
        counts[name] = frame.loc[late.account_id.iloc[0], "events_7d"]
    assert counts["in time"] == counts["too late"] + 1


@pytest.mark.parametrize(
    "table", ["users", "tickets", "surveys", "milestones", "referrals", "interventions"]
)
def test_an_absent_table_removes_its_features_and_zeroes_none(tmp_path: Path, table: str) -> None:
    tables = company.tables(7)
    whole = features(company.write(tables, tmp_path / "whole"))
    less = features(
        company.write({n: t for n, t in tables.items() if n != table}, tmp_path / "less")
    )
    gone = set(whole) - set(less)
    assert gone
    assert_same(whole.drop(columns=sorted(gone)), less)
