"""The clock on health scores by hand: below the threshold an action opens, once, and the margin ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.actions.clock import ClockSettings, tick
from churnml.actions.hand import dismiss
from churnml.actions.plays import shipped_plays
from churnml.actions.record import ActionRow, Change
from churnml.actions.seen import SeenAccount, SeenBook, SeenHealth, SeenScore
from churnml.scoring.health import Health, opens, settled
from churnml.scoring.health_definition import HealthDefinition, shipped_definitions

START = datetime(2025, 1, 6)
SETTINGS = ClockSettings({"low": 0.0, "medium": 0.1, "high": 0.25, "critical": 0.5}, 0.2, 0.0, 7)
DEFINITIONS = {one.purpose: one for one in shipped_definitions()}
REASON = {"driver": "usage_trend", "feature": "events_change_28d_share", "protective": False}
CALM = SeenScore("churn", 0.05, "low", "leave_alone", (REASON,))
ILL = SeenScore("churn", 0.3, "high", "fading_usage", (REASON,))


def day(days: int) -> datetime:
    return START + timedelta(days=days)


def judged(score: float | None, purpose: str = "risk", **changed: Any) -> SeenHealth:
    """As the tick's stage sees it, by the shipped definition of that purpose."""
    by: HealthDefinition = DEFINITIONS[purpose].model_copy(update=changed)  # type: ignore[index]
    health = Health(by.name, by.purpose, by.threshold, score, 1.0 if score is not None else 0.0, ())
    asks = score is not None and (score < by.threshold) == (by.opens == "below")
    if score is None:
        assert opens(by, health) is None
    return SeenHealth(by.purpose, by.name, by.play, score, by.threshold, asks, settled(by, health))


class Record:
    """Actions on record of one account, as a store would keep them."""

    def __init__(self) -> None:
        self.rows: dict[str, ActionRow] = {}
        self.keys: set[tuple[str, str, str]] = set()

    def tick(
        self, days: int, *healths: SeenHealth, scores: tuple[SeenScore, ...] = (CALM,)
    ) -> list[str]:
        seen = SeenAccount("a", "c1", {}, scores, None, healths)
        book = SeenBook(day(days), {"a": seen})
        return self.take(tick(shipped_plays(), self.rows.values(), book, day(days), SETTINGS))

    def take(self, changes: Sequence[Change]) -> list[str]:
        for change in changes:
            key = (change.event.action_id, change.event.kind, change.event.period)
            assert key not in self.keys, "something happened twice"
            self.keys.add(key)
            self.rows[change.action.action_id] = change.action
        live = [row.play for row in self.rows.values() if row.live]
        assert len(live) == len(set(live)), "two open actions of one play"
        return [f"{c.action.play} {c.event.kind}" for c in changes]

    @property
    def only(self) -> ActionRow:
        (row,) = self.rows.values()
        return row


def test_below_the_threshold_an_action_opens_once_with_what_it_was_opened_on() -> None:
    record = Record()
    assert record.tick(0, judged(49.9)) == ["fading_usage opened"]
    assert record.tick(0, judged(49.9)) == []
    assert record.tick(7, judged(20.0)) == []
    row = record.only
    assert (row.target, row.occasion, row.who) == ("health:risk", "health 1", "csm")
    assert (row.probability, row.tier, row.reasons) == (0.05, "low", (REASON,))
    assert row.recover_by == day(60)


def test_the_opening_says_by_which_definition_and_score() -> None:
    seen = SeenAccount("a", None, {}, (), None, (judged(42.5),))
    (change,) = tick(shipped_plays(), (), SeenBook(START, {"a": seen}), START, SETTINGS)
    assert change.event.detail == "health 1: risk 42.5, threshold 50"
    assert (change.action.probability, change.action.tier) == (None, "unknown")


@pytest.mark.parametrize("score", [50.0, 50.1, 100.0, None])
def test_at_or_above_it_or_unknown_nothing_opens(score: float | None) -> None:
    record = Record()
    for days in range(0, 90, 7):
        assert record.tick(days, judged(score)) == []


def test_a_score_that_hovers_neither_opens_nor_closes_and_the_margin_ends_it() -> None:
    record = Record()
    record.tick(0, judged(49.0))
    for days, score in enumerate([51.0, 49.0, 54.9, 48.0, 50.0], start=1):
        assert record.tick(days, judged(score)) == []
    assert record.tick(6, judged(None)) == []  # what is unknown tells no recovery
    assert record.tick(7, judged(55.0)) == ["fading_usage recovered"]
    assert (record.only.state, record.only.recovery) == ("recovered", "recovered")
    assert record.tick(8, judged(51.0)) == []
    assert record.tick(9, judged(49.0)) == ["fading_usage opened"]
    assert {row.occasion for row in record.rows.values()} == {"health 1", "health 2"}


def test_the_score_that_opened_it_cannot_end_it() -> None:
    record = Record()
    record.tick(0, judged(49.0))
    (row,) = record.rows.values()
    book = SeenBook(START, {"a": SeenAccount("a", "c1", {}, (CALM,), None, (judged(80.0),))})
    assert tick(shipped_plays(), [row], book, day(1), SETTINGS) == []


def test_a_recovery_after_the_deadline_is_told_as_late() -> None:
    record = Record()
    record.tick(0, judged(30.0))
    assert record.tick(20, judged(30.0)) == ["fading_usage escalated"]
    assert record.tick(61, judged(30.0)) == ["fading_usage not_recovered"]
    assert record.tick(70, judged(60.0)) == ["fading_usage recovered"]
    assert (record.only.recovery, record.only.outcome) == ("not_recovered", "recovered late")


def test_a_play_that_the_probability_asks_for_too_opens_once() -> None:
    record = Record()
    assert record.tick(0, judged(30.0), scores=(ILL,)) == ["fading_usage opened"]
    assert record.only.target == "churn"
    assert record.tick(7, judged(30.0), scores=(ILL,)) == []


def test_another_play_of_the_probability_does_not_keep_it_away() -> None:
    left = replace(ILL, play="key_contact_left")
    assert Record().tick(0, judged(30.0), scores=(left,)) == [
        "key_contact_left opened",
        "fading_usage opened",
    ]


def test_what_people_dismissed_is_not_opened_again_at_once() -> None:
    record = Record()
    record.tick(0, judged(30.0))
    record.take([dismiss(record.only, "closed for the season", day(1))])
    assert record.tick(2, judged(30.0)) == []
    assert "fading_usage opened" in record.tick(61, judged(30.0))


def test_a_chance_opens_from_its_threshold_and_passes() -> None:
    record = Record()
    assert record.tick(0, judged(74.9, "upsell")) == []
    assert record.tick(1, judged(75.0, "upsell")) == ["seat_saturation_upsell opened"]
    assert (record.only.target, record.only.recover_by) == ("health:upsell", None)
    assert record.tick(2, judged(70.0, "upsell")) == []
    assert record.tick(3, judged(69.9, "upsell")) == ["seat_saturation_upsell closed"]
    assert record.only.outcome == "occasion_passed"


def test_nothing_more_is_offered_to_an_account_that_ails() -> None:
    chance = judged(90.0, "upsell")
    assert Record().tick(0, chance, scores=(replace(ILL, play="leave_alone"),)) == []
    assert Record().tick(0, judged(30.0), chance) == ["fading_usage opened"]


def test_a_play_that_no_score_can_open_is_not_opened_by_one() -> None:
    for play in ("leave_alone", "review_each_quarter", "gone"):
        assert Record().tick(0, judged(10.0, play=play)) == []


@given(st.lists(st.one_of(st.none(), st.floats(0, 100)), min_size=1, max_size=30))
def test_whatever_the_scores_it_opens_below_and_ends_past_the_margin_only(
    scores: list[float | None],
) -> None:
    record, is_open = Record(), False
    for days, score in enumerate(scores):
        told = [line for line in record.tick(days, judged(score)) if not line.endswith("escalated")]
        if is_open and score is not None and score >= 55:
            assert told == ["fading_usage recovered"]
            is_open = False
        elif not is_open and score is not None and score < 50:
            assert told == ["fading_usage opened"]
            is_open = True
        else:
            assert told == []
        assert record.tick(days, judged(score)) == []
