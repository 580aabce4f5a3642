"""Why a churn was missed: exactly one cause."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from churnml.actions.record import LAPSED, LEFT_BOOK, ActionRow
from churnml.monitor.missed import CAUSES, Sight, miss_of, sums_of

FIRST, LAST = datetime(2024, 3, 4), datetime(2024, 4, 1)
LEFT = datetime(2024, 5, 20)


def sight(chance: float | None, tier: str = "low", as_of: datetime = LAST) -> Sight:
    return Sight(as_of, chance, tier if chance is not None else "unknown", 0.08)


def an_action(**other: object) -> ActionRow:
    told = {
        "action_id": "1", "account_id": "a", "play": "check_in", "occasion": "o", "target": "churn",
        "state": "closed", "arm": "treated", "propensity": 1.0, "who": "csm", "csm_id": None,
        "opened_at": FIRST + timedelta(days=2), "due_at": FIRST + timedelta(days=9), "recover_by": None,
        "as_of": FIRST, "probability": 0.4, "tier": "high", "reasons": (),
        "closed_at": FIRST + timedelta(days=8), "outcome": "talked",
    }  # fmt: skip
    return ActionRow(**{**told, **other})  # type: ignore[arg-type]


def cause(
    *sights: Sight, actions: tuple[ActionRow, ...] = (), treated: tuple[datetime, ...] = ()
) -> str:
    return miss_of("a", LEFT, 100, sights, actions, treated).cause


@pytest.mark.parametrize(
    ("told", "tier", "expected"),
    [
        (None, "unknown", "no_data"),
        (0.08, "low", "no_signal"),
        (0.09, "low", "below_threshold"),
        (0.2, "medium", "below_threshold"),
    ],
)
def test_what_was_not_flagged_is_judged_by_the_last_book(
    told: float | None, tier: str, expected: str
) -> None:
    assert cause(sight(0.2, "medium", FIRST), sight(told, tier)) == expected


def test_what_was_ever_flagged_is_judged_by_what_was_done() -> None:
    flagged = (sight(0.4, "high", FIRST), sight(None))
    assert cause(*flagged) == "ignored"
    assert cause(*flagged, actions=(an_action(),)) == "nothing_could_be_done"
    assert cause(*flagged, treated=(FIRST + timedelta(days=20),)) == "nothing_could_be_done"


@pytest.mark.parametrize(
    "other",
    [
        {"state": "open", "closed_at": None, "outcome": None},
        {"state": "dismissed", "outcome": "dismissed"},
        {"outcome": LAPSED},
        {"outcome": LEFT_BOOK},
        {"closed_at": LEFT + timedelta(days=1)},
        {"opened_at": FIRST - timedelta(days=60), "closed_at": FIRST - timedelta(days=30)},
    ],
)
def test_an_action_that_nobody_did_in_time_is_ignored(other: dict[str, object]) -> None:
    assert cause(sight(0.4, "high", FIRST), actions=(an_action(**other),)) == "ignored"


def test_who_was_left_alone_to_measure_actions_was_not_ignored() -> None:
    held = an_action(arm="held_out", state="open", closed_at=None, outcome=None)
    assert cause(sight(0.4, "high", FIRST), actions=(held,)) == "held_out"


def test_what_was_told_is_that_of_the_book_that_decides() -> None:
    miss = miss_of("a", LEFT, 100, [sight(0.4, "high", FIRST), sight(0.6, "critical")])
    assert (miss.as_of, miss.probability, miss.tier) == (FIRST, 0.4, "high")


def test_the_sums_hold_every_churn_once_and_every_cause() -> None:
    misses = [miss_of("a", LEFT, 100, [sight(0.4, "high")]), miss_of("b", LEFT, 250, [sight(None)])]
    sums = sums_of([*misses, replace(misses[0], account_id="c", lost=7)])
    assert [item.cause for item in sums] == list(CAUSES)
    assert {item.cause: (item.churns, item.lost) for item in sums if item.churns} == {
        "no_data": (1, 250),
        "ignored": (2, 107),
    }
