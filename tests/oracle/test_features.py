"""The engine against the oracle, on every feature of the catalogue."""

from __future__ import annotations

import math
import sys
from datetime import datetime
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from churnml.config import CohortConfig, LedgerConfig, parse_config
from churnml.features.catalog import CATALOG, available
from churnml.features.engine import build_features, feature_frame
from churnml.features.engine_tables import EXPRESSIONS
from churnml.features.spec import (
    FAMILIES,
    AgainstBook,
    Difference,
    Feature,
    Function,
    Level,
    Measure,
    Parts,
    Rank,
    Ratio,
    Sql,
    Where,
)
from churnml.snapshots.cohort import build_spine
from churnml.sources.workspace import open_workspace

sys.path.insert(0, str(Path(__file__).parent))
import company
import oracle_tables

import oracle

DATES = {
    "weekly, on Mondays": [datetime(2024, 5, 6), datetime(2024, 5, 13), datetime(2024, 9, 2)],
    "a list, on odd days": [datetime(2024, 2, 1), datetime(2024, 6, 15), datetime(2024, 8, 31)],
}
CONFIG = parse_config('[source]\npath = "."\ndata_through = 2024-09-16')


@pytest.mark.parametrize("calendar", DATES)
@pytest.mark.parametrize(
    ("seed", "many_users", "modules", "make_ups"),
    [(1, 0, 1, True), (2, 150, 1, True), (2, 150, 20, False), (1, 0, 70, False)],
)
def test_every_feature_equals_its_definition(
    tmp_path: Path, seed: int, many_users: int, modules: int, make_ups: bool, calendar: str
) -> None:
    """modules: how many each module is split into (bits fill one word, two, or too many for the
    account's cells). make_ups: with the features that count slot by slot, which moves users and
    modules out of the account's cells."""
    tables = company.tables(seed, many_users=many_users)
    if modules > 1:
        events = tables["events"]
        parts = pd.Series(range(len(events)), index=events.index) * 7919 % modules
        tables["events"] = events.assign(module=events["module"] + "-" + parts.astype(str))
    workspace = open_workspace(
        CONFIG, company.write(tables, tmp_path), {}, datetime(2026, 1, 1), threads=1
    )
    build_spine(workspace.connection, DATES[calendar], LedgerConfig(), CohortConfig(min_age_days=0))
    features = available(workspace.columns, workspace.meanings, FAMILIES)
    if not make_ups:
        features = tuple(f for f in features if not isinstance(f.fn, Parts))
    build_features(workspace.connection, features, workspace.columns, workspace.meanings, "list")
    frame = feature_frame(workspace.connection)
    assert len(frame) > 10
    wrong = []
    rows = frame.to_dict("records")
    told = {
        (row["account_id"], row["as_of"]): oracle.Oracle(tables, row["account_id"], row["as_of"])
        for row in rows
    }
    for row in rows:
        own = told[row["account_id"], row["as_of"]]
        book = [other for (_, as_of), other in told.items() if as_of == row["as_of"]]
        others = [other for other in book if other is not own]
        for feature in features:
            got = row[feature.name]
            match feature.fn:
                case AgainstBook(change):
                    expected = oracle.against_book(change, own, others)
                case Rank(of):
                    expected = oracle.rank(of, own, others)
                case _:
                    expected = own.function(feature.fn)
            if not _same(expected, got):
                wrong.append((row["account_id"], row["as_of"], feature.name, expected, got))
    assert not wrong, wrong[:10]


WINDOWS = {"count": (1, 10, 30, 90, 365), "days": (1, 10, 30, 62)}
HOWS: tuple[Literal["top", "lost", "fall", "shift"], ...] = ("top", "lost", "fall", "shift")


@pytest.mark.parametrize("calendar", DATES)
@pytest.mark.parametrize("make_ups", [True, False])
def test_windows_that_end_anywhere_in_a_week(tmp_path: Path, make_ups: bool, calendar: str) -> None:
    """Six kinds of measure, each over windows that cut weeks in several places at once."""
    human = Where(human=True)
    measures = [
        Measure("count", where=human),
        Measure("sum", "duration_s", human),
        Measure("days", where=human),
        Measure("distinct", "user_id", human),
        Measure("distinct", "module", Where(stage="complete")),
        Measure("distinct", "session_id"),
        Measure("distinct_days", "user_id", human),
        Measure("count", where=Where(key_user=True)),
        Measure("distinct", "user_id", Where(role="champion")),
    ]
    functions: list[Function] = [
        Level(measure, days)
        for measure in measures
        for days in WINDOWS.get(measure.what, WINDOWS["count"])
    ]
    if make_ups:
        functions += [
            Parts(how, measures[0], by, 14) for by in ("user_id", "module") for how in HOWS
        ]
    features = [
        Feature(f"f{place}", "events", fn, "", "usage_level", "usage", "")
        for place, fn in enumerate(functions)
    ]
    tables = company.tables(3, many_users=70)
    folder = company.write(tables, tmp_path)
    workspace = open_workspace(CONFIG, folder, {}, datetime(2026, 1, 1), threads=1)
    build_spine(workspace.connection, DATES[calendar], LedgerConfig(), CohortConfig(min_age_days=0))
    build_features(workspace.connection, features, workspace.columns, workspace.meanings, "list")
    wrong = []
    for row in feature_frame(workspace.connection).to_dict("records"):
        own = oracle.Oracle(tables, row["account_id"], row["as_of"])
        for feature in features:
            got, expected = row[feature.name], own.function(feature.fn)
            if not _same(expected, got):
                wrong.append((row["account_id"], row["as_of"], feature.fn, expected, got))
    assert not wrong, wrong[:10]


def _same(expected: object, got: object) -> bool:
    if expected is None or oracle.missing(expected):
        return got is None or pd.isna(got)  # type: ignore[call-overload]
    if isinstance(expected, str):
        return expected == got
    return math.isclose(float(expected), float(got), rel_tol=1e-9, abs_tol=1e-9)  # type: ignore[arg-type]


def test_the_tiny_company_carries_the_whole_catalogue(tmp_path: Path) -> None:
    folder = company.write(company.tables(1), tmp_path)
    workspace = open_workspace(CONFIG, folder, {}, datetime(2026, 1, 1))
    assert available(workspace.columns, workspace.meanings, FAMILIES) == CATALOG


def _of_tables(fn: Function) -> set[str]:
    """The expressions of small tables that a function asks for."""
    match fn:
        case Sql(name):
            return {name}
        case Ratio(above, below) | Difference(above, below):
            return _of_tables(above) | _of_tables(below)
        case Rank(of):
            return _of_tables(of)
    return set()


def test_the_oracle_knows_every_expression_of_the_small_tables() -> None:
    asked = {name for feature in CATALOG for name in _of_tables(feature.fn)}
    assert asked == set(oracle_tables.SMALL) == set(EXPRESSIONS)
