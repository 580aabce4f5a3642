"""How far back the features look: every kind is covered, and none is told too short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import pytest

from churnml.features import horizon
from churnml.features.catalog import CATALOG
from churnml.features.engine_events import EventPlan, functions_of_log
from churnml.features.horizon import CELL_DAYS, days_back, horizon_days, kept_columns
from churnml.features.spec import Feature, Function, Level, Measure

COUNT = Measure("count")
MEANINGS = {name: (name,) for name in ("login", "page_view", "help_view", "invite", "export")}


def kinds() -> set[type]:
    """The kinds of function that `days_back` has a case for, by trying one of each."""
    return {kind for kind in get_args(Function) if _covered(kind)}


def _covered(kind: type) -> bool:
    # An object of the kind without values: whether a case is there shows before they are read.
    bare = object.__new__(kind)
    try:
        days_back(bare)
    except AssertionError:
        return False
    except AttributeError:
        return True
    return True


def test_every_kind_of_function_has_its_look_back() -> None:
    assert kinds() == set(get_args(Function))


def test_a_kind_that_is_not_entered_is_refused() -> None:
    @dataclass(frozen=True)
    class Unheard:
        days: int

    with pytest.raises(AssertionError, match="Unheard"):
        days_back(Unheard(9))  # type: ignore[arg-type]


@pytest.mark.parametrize("feature", functions_of_log(CATALOG), ids=lambda feature: feature.name)
def test_the_engine_asks_for_no_day_before_it(feature: Feature) -> None:
    plan = EventPlan(MEANINGS, ("user_id", "module", "stage", "is_automated"))
    plan.expression(feature.fn)
    windows = [window for _, window in plan._values]
    assert max((far for _, far in windows), default=0) <= days_back(feature.fn)


def test_the_horizon_is_the_longest_look_back_and_a_cell() -> None:
    features = [feature for feature in CATALOG if feature.name in ("events_7d", "segment")]
    assert horizon_days(features) == 7 + CELL_DAYS
    assert days_back(Level(COUNT, 7, ago=28)) == 35
    assert horizon_days(CATALOG) >= 90 + CELL_DAYS


def test_events_are_kept_apart_by_all_that_a_where_looks_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(kept_columns()) == {"account_id", "event", "stage", "is_automated", "user_id"}
    without = {name: at for name, at in horizon._LOOKS_AT.items() if name != "stage"}
    monkeypatch.setattr(horizon, "_LOOKS_AT", without)
    with pytest.raises(TypeError, match="stage"):
        kept_columns()
