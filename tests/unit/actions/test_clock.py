"""The clock by hand: what opens, escalates, recovers and ends, and that nothing does so twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnml.actions.clock import ClockSettings, tick
from churnml.actions.hand import dismiss, done, judge, snooze, transfer
from churnml.actions.plays import Play, shipped_plays
from churnml.actions.record import ActionRow, Change, arm_of
from churnml.actions.seen import SeenAccount, SeenBook, SeenScore
from churnml.errors import ConfigError, Refused

START = datetime(2025, 1, 6)
SETTINGS = ClockSettings({"low": 0.0, "medium": 0.1, "high": 0.25, "critical": 0.5}, 0.2, 0.0, 7)
USE = {"driver": "usage_trend", "feature": "events_change_28d_share", "protective": False}


def day(days: int) -> datetime:
    return START + timedelta(days=days)


def tier_of(probability: float | None) -> str:
    if probability is None:
        return "unknown"
    tiers = [tier for tier, least in SETTINGS.thresholds.items() if probability >= least]
    return tiers[-1]


def account(
    probability: float | None = 0.05,
    play: str = "leave_alone",
    name: str = "a",
    target: str = "churn",
    promoted_days: int | None = None,
    **features: Any,
) -> SeenAccount:
    score = SeenScore(target, probability, tier_of(probability), play, (USE,))
    return SeenAccount(name, "c1", features, (score,), promoted_days)


def book(days: int, *accounts: SeenAccount) -> SeenBook:
    return SeenBook(day(days), {one.account_id: one for one in accounts})


class Record:
    """Actions on record, as a store would keep them."""

    def __init__(self, plays: Sequence[Play] | None = None, **changed: Any):
        self.plays = shipped_plays() if plays is None else plays
        self.settings = replace(SETTINGS, **changed)
        self.rows: dict[str, ActionRow] = {}
        self.happened: list[Change] = []

    def tick(self, days: int, *accounts: SeenAccount, as_of: int | None = None) -> list[str]:
        seen = book(days if as_of is None else as_of, *accounts) if accounts else None
        return self.take(tick(self.plays, self.rows.values(), seen, day(days), self.settings))

    def take(self, changes: Sequence[Change]) -> list[str]:
        for change in changes:
            self.rows[change.action.action_id] = change.action
        keys = [
            (c.event.action_id, c.event.kind, c.event.period) for c in self.happened + list(changes)
        ]
        assert len(keys) == len(set(keys)), "something happened twice"
        self.happened += changes
        live = [(row.account_id, row.play) for row in self.rows.values() if row.live]
        assert len(live) == len(set(live)), "two open actions of one account and play"
        return [f"{c.action.play} {c.event.kind}" for c in changes]

    @property
    def only(self) -> ActionRow:
        (row,) = self.rows.values()
        return row


def test_an_action_opens_once_with_what_it_was_opened_on() -> None:
    record = Record()
    assert record.tick(0, account(0.3, "fading_usage")) == ["fading_usage opened"]
    assert record.tick(0, account(0.3, "fading_usage")) == []
    assert record.tick(7, account(0.35, "fading_usage")) == []
    row = record.only
    assert (row.state, row.opened_at, row.due_at) == ("open", day(0), day(5))
    assert (row.probability, row.tier, row.csm_id, row.who) == (0.3, "high", "c1", "csm")
    assert (row.arm, row.propensity, row.reasons) == ("treated", 1.0, (USE,))


def test_an_account_left_alone_opens_nothing() -> None:
    assert Record().tick(0, account(0.05)) == []


def test_what_is_overdue_escalates_step_by_step_and_once() -> None:
    record = Record()
    record.tick(0, account(0.3, "slow_support"))  # due on day 3; steps 4 and 11 days after
    for days in range(1, 7):
        assert record.tick(days, account(0.3, "slow_support"), as_of=0) == []
    assert record.tick(7, account(0.3, "slow_support")) == ["slow_support escalated"]
    assert (record.only.state, record.only.level, record.only.who) == ("escalated", 1, "csm")
    assert record.tick(7, account(0.3, "slow_support")) == []
    assert record.tick(14, account(0.3, "slow_support")) == ["slow_support escalated"]
    assert (record.only.level, record.only.who) == (2, "product")
    assert record.tick(90) == []  # nobody has looked whether it recovered
    assert record.tick(91, account(0.3, "slow_support")) == ["slow_support not_recovered"]


def test_a_late_clock_reaches_the_same_step() -> None:
    record = Record()
    record.tick(0, account(0.3, "slow_support"))
    assert record.tick(21, account(0.3, "slow_support")) == ["slow_support escalated"] * 2
    assert (record.only.level, record.only.who) == (2, "product")


def test_a_score_that_hovers_neither_opens_nor_closes() -> None:
    record = Record()
    record.tick(0, account(0.11, "fading_usage"))
    for week, probability in enumerate([0.095, 0.105, 0.085, 0.11, 0.081], start=1):
        play = "fading_usage" if probability >= 0.1 else "leave_alone"
        told = record.tick(7 * week, account(probability, play))
        assert [line for line in told if "escalated" not in line] == []
    assert record.tick(42, account(0.079)) == ["fading_usage recovered"]
    assert (record.only.state, record.only.recovery) == ("recovered", "recovered")


def test_recovered_for_good_may_come_again_and_is_another_action() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    record.tick(7, account(0.02))
    assert record.tick(14, account(0.3, "fading_usage")) == ["fading_usage opened"]
    assert len({row.action_id for row in record.rows.values()}) == 2


def test_the_score_that_opened_it_cannot_end_it() -> None:
    record = Record()
    record.tick(0, account(0.3, "detractor_followup", nps_last=9.0))
    assert record.tick(3, account(0.3, "detractor_followup", nps_last=9.0), as_of=0) == []
    assert record.tick(4, account(0.3, "quarterly_review", nps_last=9.0)) == [
        "detractor_followup recovered"
    ]
    # Its tier has not fallen: for a while nothing of a lower priority opens.
    assert record.tick(5, account(0.3, "quarterly_review")) == []
    assert record.tick(64, account(0.3, "quarterly_review")) == ["quarterly_review opened"]


def test_a_play_of_a_higher_priority_opens_beside_and_a_lower_one_does_not() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    assert record.tick(1, account(0.3, "slow_support")) == []
    assert record.tick(2, account(0.3, "key_contact_left")) == ["key_contact_left opened"]


def test_what_people_ended_is_not_opened_again_at_once() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    record.take([done(record.only, "talked, they train in May", day(1))])
    assert record.tick(2, account(0.3, "fading_usage")) == []
    assert record.tick(60, account(0.3, "fading_usage")) == []
    told = record.tick(61, account(0.3, "fading_usage"))
    assert told == ["fading_usage not_recovered", "fading_usage opened"]


def test_recovery_is_told_after_it_was_done_and_once() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    record.take([done(record.only, "talked", day(1))])
    assert record.tick(30, account(0.05)) == ["fading_usage recovered"]
    assert (record.only.state, record.only.outcome) == ("closed", "talked")
    assert (record.only.recovery, record.only.recovered_at) == ("recovered", day(30))
    assert record.tick(61, account(0.05)) == []


def test_a_recovery_after_its_day_ends_the_action_and_is_still_told_as_late() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    assert "fading_usage not_recovered" in record.tick(61, account(0.3, "fading_usage"))
    assert record.tick(68, account(0.02)) == ["fading_usage recovered"]
    assert (record.only.state, record.only.outcome) == ("recovered", "recovered late")
    assert record.only.recovery == "not_recovered"
    assert record.tick(75, account(0.02)) == []


def test_an_action_whose_play_is_declared_no_more_stays_until_its_account_leaves() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    record.plays = [play for play in shipped_plays() if play.name != "fading_usage"]
    assert record.tick(70, account(0.02)) == []
    assert record.only.live
    assert record.tick(77, account(0.02, name="b")) == ["fading_usage closed"]


def test_a_snoozed_action_rests_and_wakes_once_and_then_escalates() -> None:
    record = Record()
    record.tick(0, account(0.3, "slow_support"))
    record.take([snooze(record.only, 20, day(1))])
    assert record.tick(20, account(0.3, "slow_support")) == []
    assert record.tick(21, account(0.3, "slow_support")) == ["slow_support woken"]
    assert (record.only.state, record.only.due_at) == ("open", day(21))
    assert record.tick(25, account(0.3, "slow_support")) == ["slow_support escalated"]
    with pytest.raises(ConfigError, match="1 to 180"):
        snooze(record.only, 0, day(26))
    record.take([snooze(record.only, 9, day(26))])
    with pytest.raises(Refused, match="rests until 2025-02-10"):
        snooze(record.only, 9, day(26))


def test_an_account_that_left_the_book_leaves_no_action_open() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    assert record.tick(7, account(0.05, name="b")) == ["fading_usage closed"]
    assert record.only.outcome == "left_book"


def test_without_a_fresh_book_only_the_calendar_speaks() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    assert record.tick(15) == ["fading_usage escalated"]
    assert record.only.live


def test_growth_is_offered_to_nobody_who_is_about_to_leave_and_ends_when_it_has_passed() -> None:
    leaving = SeenScore("churn", 0.3, "high", "leave_alone", ())
    grows = account(0.4, "growth_conversation", target="expansion")
    record = Record()
    assert record.tick(0, replace(grows, scores=(leaving, *grows.scores))) == []
    assert record.tick(7, grows) == ["growth_conversation opened"]
    assert record.tick(14, account(0.01, target="expansion")) == ["growth_conversation closed"]
    assert record.only.outcome == "occasion_passed"


def test_too_little_data_asks_for_some_until_there_are_some() -> None:
    record = Record(hold_out_share=0.5)
    assert record.tick(0, account(None, "get_data")) == ["get_data opened"]
    assert record.only.arm == "treated"  # nobody learns anything from withholding that
    assert record.tick(7, account(0.05)) == ["get_data recovered"]


def test_a_play_that_two_scores_ask_for_opens_once() -> None:
    both = tuple(
        SeenScore(target, None, "unknown", "get_data", ()) for target in ("churn", "expansion")
    )
    record = Record()
    seen = SeenAccount("a", None, {}, both)
    assert record.tick(0, seen) == ["get_data opened"]
    record.take([done(record.only, "asked", day(1))])
    assert record.tick(2, seen) == []


def test_what_nobody_takes_up_lapses() -> None:
    record = Record()
    record.tick(0, account(0.4, "growth_conversation", target="expansion"))
    seen = account(0.4, "growth_conversation", target="expansion")
    assert record.tick(65, seen) == []
    assert record.tick(66, seen) == ["growth_conversation closed"]
    assert record.only.outcome == "lapsed"


def test_the_held_out_are_logged_and_bother_nobody() -> None:
    share = 0.4
    name = next(f"a{i}" for i in range(99) if arm_of(f"a{i}", 7, share) == "held_out")
    record = Record(hold_out_share=share)
    record.tick(0, account(0.3, "fading_usage", name))
    assert (record.only.arm, record.only.propensity) == ("held_out", 1 - share)
    assert record.tick(40, account(0.3, "fading_usage", name)) == []
    with pytest.raises(Refused, match="held out"):
        done(record.only, "x", day(40))
    assert record.tick(61, account(0.3, "fading_usage", name)) == [
        "fading_usage not_recovered",
        "fading_usage closed",
    ]


def test_arms_are_as_large_as_declared_and_a_larger_share_keeps_them() -> None:
    names = [f"account-{i}" for i in range(4000)]
    small = {name for name in names if arm_of(name, 7, 0.1) == "held_out"}
    large = {name for name in names if arm_of(name, 7, 0.3) == "held_out"}
    assert len(small) / 4000 == pytest.approx(0.1, abs=0.02)
    assert small < large
    assert small != {name for name in names if arm_of(name, 8, 0.1) == "held_out"}
    assert all(arm_of(name, 7, 0.0) == "treated" for name in names)


# --------------------------------------------------------------------------------- by calendar


def test_a_milestone_is_asked_for_thirty_sixty_and_ninety_days_after_signing() -> None:
    record = Record()
    opened = []
    for days in range(28, 120):
        late = account(0.05, tenure_days=float(days), milestones_overdue=1.0)
        told = record.tick(days, late)
        opened += [days for line in told if line.endswith("opened")]
        for row in list(record.rows.values()):
            if row.live and day(days) > row.opened_at + timedelta(days=3):
                record.take([done(row, "worked on it", day(days))])
    assert opened == [30, 60, 90]


def test_no_milestone_is_asked_for_where_none_is_overdue_or_none_is_known() -> None:
    for features in ({"milestones_overdue": 0.0}, {}):
        assert Record().tick(0, account(0.05, tenure_days=30.0, **features)) == []


def test_the_quarterly_review_comes_each_quarter_and_once_however_often_is_looked() -> None:
    record = Record()
    opened = []
    for days in range(0, 365, 5):
        steady = account(0.05, tenure_days=200.0 + days, lifecycle_stage="steady")
        opened += [
            days for line in record.tick(days, steady) if line == "review_each_quarter opened"
        ]
    # 182 (18 days ago), 273, 364, 455 and 546 days after signing.
    assert opened == [0, 75, 165, 255, 350]


def test_a_renewal_is_judged_six_and_three_months_before() -> None:
    record = Record()
    opened = []
    for days in range(0, 210, 7):
        told = record.tick(days, account(0.05, days_to_renewal=210.0 - days, billing_months=12.0))
        opened += [(days, line) for line in told if line.endswith("opened")]
    assert opened == [(35, "renewal_six_months opened"), (126, "renewal_three_months opened")]
    assert Record().tick(0, account(0.05, days_to_renewal=20.0, billing_months=1.0)) == []


def test_disagreement_about_a_renewal_goes_to_the_sponsor_at_once_and_agreement_does_not() -> None:
    for judged, who in (("critical", "executive_sponsor"), ("medium", "csm")):
        record = Record()
        record.tick(0, account(0.05, days_to_renewal=178.0, billing_months=12.0))
        record.take(judge(record.only, _play("renewal_six_months"), judged, day(1)))
        assert (record.only.judgement, record.only.who) == (judged, who)
        assert (record.only.state == "escalated") == (who != "csm")
        with pytest.raises(Refused, match="judged"):
            judge(record.only, _play("renewal_six_months"), judged, day(2))


def test_a_promotion_is_congratulated_once() -> None:
    record = Record()
    told = [record.tick(d, account(0.05, promoted_days=3 + d)) for d in range(0, 120, 7)]
    assert sum("champion_promoted opened" in lines for lines in told) == 1


def test_who_recommends_nobody_is_asked_each_half_year() -> None:
    record = Record()
    opened = []
    for days in range(0, 400, 7):
        calm = account(0.05, tenure_days=170.0 + days, referrals_365d=0.0)
        opened += [days for line in record.tick(days, calm) if line == "nps_talk opened"]
    assert opened == [14, 196, 378]
    assert Record().tick(14, account(0.05, tenure_days=184.0, referrals_365d=1.0)) == []


def _play(name: str) -> Play:
    return next(play for play in shipped_plays() if play.name == name)


def test_people_may_not_do_what_makes_no_sense() -> None:
    record = Record()
    record.tick(0, account(0.3, "fading_usage"))
    row = record.only
    with pytest.raises(Refused, match="is c1's already"):
        transfer(row, "c1", day(1))
    assert transfer(row, " c2 ", day(1)).action.csm_id == "c2"
    with pytest.raises(ConfigError, match="found nothing"):
        dismiss(row, "  ", day(1))
    with pytest.raises(ConfigError, match="at most 200"):
        done(row, "x" * 201, day(1))
    with pytest.raises(Refused, match="asks for no judgement"):
        judge(row, _play("fading_usage"), "high", day(1))
    ended = dismiss(row, "closed for the winter", day(1)).action
    assert (ended.state, ended.dismissed_because) == ("dismissed", "closed for the winter")
    with pytest.raises(Refused, match="ended on 2025-01-07"):
        snooze(ended, 3, day(2))


# ------------------------------------------------------------------------- whatever the weeks do

PLAYS = ("fading_usage", "slow_support", "key_contact_left", "quarterly_review")
weeks = st.lists(
    st.tuples(st.sampled_from([None, 0.02, 0.09, 0.11, 0.3, 0.6]), st.sampled_from(PLAYS)),
    min_size=2, max_size=12,
)  # fmt: skip


def _seen(probability: float | None, play: str, days: int) -> SeenAccount:
    play = "get_data" if probability is None else "leave_alone" if probability < 0.1 else play
    return account(
        probability, play, open_tickets=1.0, key_users_active_28d=1.0, milestones_overdue=1.0,
        tenure_days=20.0 + days, days_to_renewal=200.0 - days, billing_months=12.0,
        lifecycle_stage="steady", referrals_365d=0.0,
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(weeks)
def test_two_ticks_do_what_one_does(lived: list[tuple[float | None, str]]) -> None:
    record = Record()
    for week, (probability, play) in enumerate(lived):
        record.tick(7 * week, _seen(probability, play, 7 * week))
        assert record.tick(7 * week, _seen(probability, play, 7 * week)) == []


@settings(max_examples=150, deadline=None)
@given(weeks.map(lambda lived: lived[:5]), st.integers(0, 4), st.integers(1, 4))
def test_a_tick_that_is_late_or_left_out_ends_where_the_others_do(
    lived: list[tuple[float | None, str]], at: int, days: int
) -> None:
    """As long as what the book says has not changed in between: then only times may differ.

    Five weeks, so that no deadline passes between the two; in the end all calendars run out.
    """
    place = min(at, len(lived) - 1)
    lived = [*lived[: place + 1], lived[place], *lived[place + 1 :]]  # one week as the week before
    on_time, late = Record(), Record()
    for week, (probability, play) in enumerate(lived):
        seen = _seen(probability, play, 7 * week)
        on_time.tick(7 * week, seen)
        if week == place:
            continue  # left out; the next one comes days late
        late.tick(7 * week + (days if week == place + 1 else 0), seen, as_of=7 * week)
    for record in (on_time, late):
        record.tick(7 * len(lived), _seen(*lived[-1], 7 * len(lived)))
        record.tick(7 * len(lived) + 200, _seen(*lived[-1], 7 * len(lived) + 200))
    assert _without_times(on_time) == _without_times(late)


def _without_times(record: Record) -> list[tuple[Any, ...]]:
    """How it ended. How far an action had escalated by its end is a matter of time."""
    return sorted(
        (
            row.account_id, row.play, row.occasion, row.state, row.recovery or "",
            row.outcome or "", row.level if row.live else 0,
        )
        for row in record.rows.values()
    )  # fmt: skip
