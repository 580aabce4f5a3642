"""How far back the features look: every kind is covered, and none is told too short."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from typing import get_args

import pytest

from churnml.contract.tables import TABLES
from churnml.features import horizon
from churnml.features.catalog import CATALOG
from churnml.features.engine_book import Book
from churnml.features.engine_plan import Plan
from churnml.features.horizon import CELL_DAYS, days_back, horizon_days, kept_columns
from churnml.features.spec import AgainstBook, Feature, Function, Level, Measure, Rank

COUNT = Measure("count")
MEANINGS = {name: (name,) for name in ("login", "page_view", "help_view", "invite", "export")}


def test_every_kind_of_function_has_its_look_back() -> None:
    cases = ast.walk(ast.parse(inspect.getsource(days_back)))
    named = {case.cls.id for case in cases if isinstance(case, ast.MatchClass)}  # type: ignore[attr-defined]
    assert named == {kind.__name__ for kind in get_args(Function)}


def test_a_kind_that_is_not_entered_is_refused() -> None:
    @dataclass(frozen=True)
    class Unheard:
        days: int

    with pytest.raises(AssertionError, match="Unheard"):
        days_back(Unheard(9))  # type: ignore[arg-type]


@pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)
def test_the_engine_asks_for_no_day_before_it(feature: Feature) -> None:
    plan = Plan(MEANINGS, TABLES["events"].names)
    if isinstance(feature.fn, AgainstBook | Rank):
        Book([feature], plan)
    else:
        plan.expression(feature.fn)
    asked = [far for _, (_, far) in plan._values] + [2 * part.days for part in plan._parts]
    assert max(asked, default=0) <= days_back(feature.fn)


def test_the_horizon_is_the_longest_look_back_and_a_cell() -> None:
    features = [feature for feature in CATALOG if feature.name in ("events_7d", "segment")]
    assert horizon_days(features) == 7 + CELL_DAYS
    assert days_back(Level(COUNT, 7, ago=28)) == 35
    assert horizon_days(CATALOG) >= 90 + CELL_DAYS


def test_events_are_kept_apart_by_all_that_a_where_or_the_evidence_looks_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told_apart = {"account_id", "event", "stage", "is_automated", "user_id", "module"}
    assert set(kept_columns()) == told_apart
    without = {name: at for name, at in horizon._LOOKS_AT.items() if name != "stage"}
    monkeypatch.setattr(horizon, "_LOOKS_AT", without)
    with pytest.raises(TypeError, match="stage"):
        kept_columns()
