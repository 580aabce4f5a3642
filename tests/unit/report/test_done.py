"""What was done: counted as it stood, and compared by lot or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from churnml.actions.record import ActionEvent, ActionRow
from churnml.config import LANGUAGES
from churnml.report.compared import Logged, Outlived
from churnml.report.data import ReportData
from churnml.report.done import Done, build_done
from churnml.report.period import period_of
from churnml.report.render import render

AS_OF = datetime(2025, 5, 19)
SETTLED = AS_OF - timedelta(days=120)
ReportOf = Callable[..., ReportData]


def an_action(number: int, opened: datetime, held_out: bool = False, **other: Any) -> ActionRow:
    told: dict[str, Any] = {
        "action_id": f"a{number}", "account_id": f"acc{number}", "play": "fading_usage",
        "occasion": "1", "target": "churn", "state": "open",
        "arm": "held_out" if held_out else "treated", "propensity": 0.8, "who": "csm", "csm_id": None,
        "opened_at": opened, "due_at": opened + timedelta(days=7),
        "recover_by": opened + timedelta(days=60), "as_of": opened, "probability": 0.3,
        "tier": "high", "reasons": (),
    }  # fmt: skip
    return ActionRow(**{**told, **other})


def an_event(
    row: ActionRow, kind: str, days: float, detail: str = "", period: str = ""
) -> ActionEvent:
    at = row.opened_at + timedelta(days=days)
    return ActionEvent(row.action_id, row.account_id, kind, period, at, detail)


def done(
    rows: list[ActionRow],
    events: list[ActionEvent] | None = None,
    logged: list[Logged] | None = None,
    left: dict[str, tuple[datetime, bool]] | None = None,
) -> Done:
    outlived = Outlived({name: (end,) for name, end in (left or {}).items()}, 90, SETTLED)
    return build_done(rows, events or [], logged, outlived, period_of(AS_OF),
                      {"fading_usage": "Ask what changed"}, {"fading_usage": 0.5})  # fmt: skip


def tried(leaving_treated: int, leaving_held: int, treated: int = 120, held: int = 40) -> Done:
    """So many accounts of both arms, whose time is over, and of them so many that left."""
    day = SETTLED - timedelta(days=100)
    rows = [an_action(n, day, n >= treated) for n in range(treated + held)]
    gone = [*range(leaving_treated), *range(treated, treated + leaving_held)]
    return done(rows, left={f"acc{n}": (day + timedelta(days=30), False) for n in gone})


def test_a_period_counts_what_happened_in_it_to_actions_for_people() -> None:
    now, before = datetime(2025, 4, 10), datetime(2025, 1, 10)
    rows = [an_action(1, now), an_action(2, before), an_action(3, now, held_out=True),
            an_action(4, before), an_action(5, AS_OF)]  # fmt: skip
    events = [
        an_event(rows[0], "judged", 1, "high"),
        an_event(rows[0], "escalated", 2, period="1"),
        an_event(rows[0], "escalated", 3, period="2"),
        an_event(rows[0], "closed", 4, "renewed"),
        an_event(rows[1], "closed", 95, "lapsed"),
        an_event(rows[2], "recovered", 5),
        an_event(rows[3], "dismissed", 3, "no"),
        an_event(rows[3], "recovered", 100),
        an_event(rows[4], "closed", 0, "same day as the report"),
    ]
    told = done(rows, events)
    assert told.before is not None
    names = ("opened", "taken", "done", "dismissed", "escalated", "recovered", "interventions")
    assert [getattr(told.quarter, name) for name in names] == [1, 1, 1, 0, 1, 1, None]
    assert [getattr(told.before, name) for name in names] == [2, 0, 0, 1, 0, 0, None]


def test_a_play_stands_as_it_stood_at_the_reports_date() -> None:
    opened = AS_OF - timedelta(days=30)
    later = AS_OF + timedelta(days=1)
    rows = [
        an_action(1, opened, state="closed", closed_at=later, outcome="renewed"),
        an_action(
            2, opened, state="closed", closed_at=AS_OF - timedelta(days=20), outcome="talked"
        ),
        an_action(3, opened, due_at=later),
        an_action(4, opened, held_out=True),
        an_action(5, AS_OF - timedelta(days=366)),
    ]
    events = [ActionEvent("a1", "acc1", "closed", "", later, "renewed"), an_event(rows[1], "closed", 10, "talked"),
              an_event(rows[2], "judged", 4, "high")]  # fmt: skip
    (play,) = done(rows, events).plays
    assert (play.title, play.opened, play.taken, play.median_days) == (
        "Ask what changed",
        3,
        2,
        7.0,
    )
    assert (play.open, play.overdue, play.held_out, play.recovered) == (2, 1, 1, 0)


def test_a_play_that_looks_for_no_recovery_tells_none() -> None:
    rows = [an_action(1, AS_OF - timedelta(days=9), recover_by=None)]
    assert done(rows).plays[0].recovered is None


def test_each_account_counts_once_by_its_first_draw_as_drawn() -> None:
    day = SETTLED - timedelta(days=100)
    rows = [
        an_action(1, day, state="dismissed", closed_at=day, outcome="dismissed"),
        an_action(1, day + timedelta(days=50), action_id="again"),
        an_action(2, day, held_out=True),
        an_action(3, day, propensity=1.0),  # no lot fell on it
        an_action(4, day, target="expansion"),  # no answer to a risk
        an_action(5, day),  # merged: no churn and no survival
        an_action(6, AS_OF - timedelta(days=119)),  # its time is not over
    ]
    left = {"acc1": (day + timedelta(days=90), False), "acc2": (day + timedelta(days=91), False),
            "acc5": (day + timedelta(days=9), True)}  # fmt: skip
    told = done(rows, left=left)
    (one,) = [item for item in told.compared if item.outcome == "left"]
    assert (one.found.treated.accounts, one.found.treated.happened) == (1, 1)
    assert (one.found.held_out.accounts, one.found.held_out.happened) == (1, 0)
    assert told.waiting == 1


def test_recovery_is_looked_for_in_its_time_in_both_arms() -> None:
    day = SETTLED - timedelta(days=100)
    rows = [
        an_action(1, day, recovery="recovered", recovered_at=day + timedelta(days=20)),
        an_action(2, day, recovery="not_recovered"),
        an_action(
            3, day, held_out=True, recovery="recovered", recovered_at=day + timedelta(days=9)
        ),
        an_action(4, AS_OF - timedelta(days=60), recovery="recovered", recovered_at=AS_OF),
    ]
    (one,) = [item for item in done(rows).compared if item.outcome == "recovered"]
    assert (one.found.treated.accounts, one.found.treated.happened) == (2, 1)
    assert (one.found.held_out.accounts, one.found.held_out.happened) == (1, 1)


def test_the_table_of_interventions_is_compared_like_the_stores_own_actions() -> None:
    day = SETTLED - timedelta(days=100)
    logged = [
        Logged(f"acc{n}", day, "call", "held_out" if n < 40 else "treated", None)
        for n in range(160)
    ]
    logged.append(Logged("other", AS_OF - timedelta(days=3), "call", None, None))
    told = done(
        [], logged=logged, left={f"acc{n}": (day + timedelta(days=5), False) for n in range(20)}
    )
    whole, call = (item for item in told.compared if item.outcome == "left")
    assert (whole.play, call.play) == ("", "call")
    assert whole.found == call.found
    assert whole.found.difference == 0.5
    assert not whole.found.weighted
    assert told.quarter.interventions == 1
    assert [(play.play, play.done, play.accounts, play.held_out) for play in told.logged] == [
        ("call", 121, 121, 40)
    ]


def test_what_is_still_needed_follows_from_the_assumed_effect_and_the_rate() -> None:
    told = tried(12, 8)
    still = told.still
    assert still is not None
    assert (still.base_share, still.effect_share, still.assumed_base) == (0.2, 0.5, False)
    assert (still.treated_have, still.held_out_have) == (120, 40)
    assert still.treated == pytest.approx(3 * still.held_out, abs=3)
    days = (AS_OF - (SETTLED - timedelta(days=100))).days
    a_month = 40 / (days / 30.4375)
    assert still.months == -(-(still.held_out - 40) // a_month)
    assert still.visible_share is not None


def test_without_anybody_whose_time_is_over_the_scores_stand_for_the_share() -> None:
    still = done([an_action(1, AS_OF - timedelta(days=3))]).still
    assert still is not None
    assert (still.base_share, still.assumed_base, still.months) == (0.3, True, None)


def shown(report_of: ReportOf, told: Done, language: str = "en") -> str:
    html = render(replace(report_of(language=language), done=told))
    section = html[html.index('<section id="done"') :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", section[: section.index("</section>")]))


def test_only_a_clear_difference_by_lot_is_called_what_actions_did(report_of: ReportOf) -> None:
    fewer = shown(report_of, tried(6, 14))
    assert "Of 100 accounts with an action, 30 fewer left within 90 days" in fewer
    assert "this is what the actions did" in fewer
    more = shown(report_of, tried(60, 4))
    assert "40 more left within 90 days" in more
    for told in (tried(12, 4), tried(12, 5), tried(0, 0), tried(9, 9, held=20), done([])):
        text = shown(report_of, told)
        assert "what the actions did" not in text
    assert "Not enough evidence yet" in shown(report_of, tried(12, 5))
    assert "Fewer than 30 of either tell nothing" in shown(report_of, tried(9, 9, held=20))


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_nobody_is_held_out_nothing_says_that_actions_helped(
    report_of: ReportOf, language: str
) -> None:
    rows = [an_action(n, datetime(2025, 4, 10), propensity=1.0) for n in range(50)]
    text = shown(report_of, done(rows), language)
    assert "hold_out_share" in text
    assert not re.search(r"caus|reduc|keeps accounts|thanks to|导致|归功|によって減", text)


def test_where_only_a_table_tells_what_was_done_the_store_tells_no_zeros(
    report_of: ReportOf,
) -> None:
    logged = [Logged("x", datetime(2025, 4, 10), "call", None, None)]
    text = shown(report_of, done([], logged=logged))
    assert "Logged elsewhere" in text
    assert "Escalated" not in text
    assert "Escalated" in shown(
        report_of, done([an_action(1, datetime(2025, 4, 10))], logged=logged)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_can_be_said(report_of: ReportOf, language: str) -> None:
    waiting = [
        an_action(1, AS_OF - timedelta(days=5)),
        an_action(2, AS_OF - timedelta(days=5), True),
    ]
    for told in (
        tried(6, 14),
        tried(60, 4),
        tried(12, 5),
        tried(9, 9, held=20),
        done([]),
        done(waiting),
    ):
        assert len(shown(report_of, told, language)) > 40
