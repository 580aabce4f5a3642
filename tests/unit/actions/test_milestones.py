"""Where an account stands, against plans worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from churnml.actions.milestones import Mark, Standing, standing, standing_of


def step(
    name: str, due: int, owner: str | None = "us", reached: int | None = None
) -> dict[str, Any]:
    return {"name": name, "due_day": due, "owner": owner, "reached_day": reached}


# Kickoff in time, training late, the customer's data and first report not there.
PLAN = [
    step("kickoff", 14, "us", 10),
    step("data", 28, "customer"),
    step("training", 42, "us", 47),
    step("report", 56, "customer"),
    step("value", 75, None),
]


def names(found: Standing) -> tuple[Any, ...]:
    return (
        found.at and found.at.name,
        found.next and found.next.name,
        [between.name for between in found.between],
    )


def test_an_account_that_is_behind_worked_out_by_hand() -> None:
    found = standing(PLAN, 50)
    assert names(found) == ("training", "report", ["data"])
    assert (found.reached, len(found.steps), found.day) == (2, 5, 50)
    assert found.days_behind == 22  # data was due on day 28
    assert found.overdue == {"us": 0, "customer": 1, "nobody": 0}
    assert [(one.owner, one.days_late) for one in found.between] == [("customer", 22)]
    assert found.marks == (
        Mark(30, met=("kickoff",), missed=("data",), ahead=()),
        Mark(60, met=("kickoff",), missed=("data", "training"), ahead=("report",)),
        Mark(90, met=("kickoff",), missed=("data", "training"), ahead=("report", "value")),
    )


def test_when_all_days_are_over_the_last_step_is_next_and_the_others_lie_between() -> None:
    found = standing(PLAN, 100)
    assert names(found) == ("training", "value", ["data", "report"])
    assert found.days_behind == 72
    assert found.overdue == {"us": 0, "customer": 2, "nobody": 1}
    assert found.marks[2] == Mark(90, ("kickoff",), ("data", "training", "report", "value"), ())


@pytest.mark.parametrize(("age", "late"), [(28, 0), (29, 1)])
def test_a_step_is_overdue_from_the_day_after_its_own(age: int, late: int) -> None:
    found = standing([step("data", 28, "customer")], age)
    assert (found.days_behind, found.overdue["customer"]) == (late, late)
    assert found.marks[0].missed == (("data",) if late else ())
    assert found.marks[0].ahead == (() if late else ("data",))


def test_at_the_start_nothing_is_reached_and_nothing_behind() -> None:
    found = standing([step("kickoff", 14), step("data", 28)], 3)
    assert names(found) == (None, "kickoff", [])
    assert found.days_behind == 0


def test_when_all_is_reached_nothing_is_next() -> None:
    found = standing([step("kickoff", 14, "us", 14), step("data", 28, "customer", 60)], 70)
    assert names(found) == ("data", None, [])
    assert found.days_behind == 0
    assert set(found.overdue.values()) == {0}
    assert found.marks[0] == Mark(30, met=("kickoff",), missed=("data",), ahead=())


def test_a_step_reached_ahead_of_its_turn_leaves_the_earlier_ones_on_the_way() -> None:
    found = standing([step("value", 75, "us", 20), step("data", 28), step("kickoff", 14)], 20)
    assert names(found) == ("value", "data", ["kickoff"])


def test_without_a_plan_there_is_no_standing() -> None:
    assert standing_of({}) is None
    assert standing_of({"milestones": {"age_days": 5, "steps": []}}) is None
    told = standing_of({"milestones": {"age_days": 50, "steps": PLAN}})
    assert told == standing(PLAN, 50)
