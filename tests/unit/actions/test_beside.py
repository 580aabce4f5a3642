"""Health, milestones and notes in words, in each language."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from churnml.actions.beside import action_line, health_lines, milestone_lines, voice_lines
from churnml.actions.milestones import MARKS, OWNERS, standing
from churnml.actions.record import ActionRow
from churnml.actions.voice import KINDS, ROUTES, VoiceNote
from churnml.config import LANGUAGES
from churnml.explain.language import language
from churnml.scoring.health import account_health
from churnml.scoring.health_definition import FAMILIES, PURPOSES, default_definition

RISK = default_definition()
ILL = {"days_since_last_event": 28.0, "nps_last": 4.0, "contractions_90d": 1.0}
PLAN = [
    {"name": "kickoff", "due_day": 14, "owner": "us", "reached_day": 10},
    {"name": "data", "due_day": 28, "owner": "customer", "reached_day": None},
    {"name": "report", "due_day": 56, "owner": None, "reached_day": None},
]
every_language = pytest.mark.parametrize("lang", LANGUAGES)


def test_a_health_says_which_way_is_good_by_which_definition_and_what_it_asks_for() -> None:
    row = {"days_since_last_event": 3.0, "contractions_90d": 0.0}
    assert health_lines(RISK, account_health(RISK, row), "en") == (
        "Health (risk): 87 of 100 (more is better; 2 of 8 signals have data; by “risk”)",
        "usage 100, satisfaction: no data, commercial 100",
        "asks for no action",
    )
    assert health_lines(RISK, account_health(RISK, ILL), "en") == (
        "Health (risk): 0 of 100 (more is better; 3 of 8 signals have data; by “risk”)",
        "usage 0, satisfaction 0, commercial 0",
        "below 50, so it asks for action",
    )


def test_a_score_just_below_its_threshold_is_not_rounded_up_to_it() -> None:
    row = {"days_since_last_event": 15.6, "nps_last": 6.5, "contraction_365d_share": 0.15}
    health = account_health(RISK, row)
    assert health.score == pytest.approx(49.8)
    assert health_lines(RISK, health, "en")[0].startswith("Health (risk): 49 of 100")


@every_language
def test_without_data_health_is_unknown_in_words(lang: str) -> None:
    unknown = health_lines(RISK, account_health(RISK, {"contractions_90d": 0.0}), lang)
    assert {"en": "unknown", "zh": "未知", "ja": "不明"}[lang] in unknown[0]
    assert len(unknown) == 2  # it asks for nothing
    assert "100" not in unknown[0]


def test_milestones_say_where_it_stands_what_is_next_and_who_is_late() -> None:
    assert milestone_lines(standing(PLAN, 50), "en") == (
        "Milestones: 1 of 3 reached on day 50; stands at “kickoff”; next is “report” (no owner), due on "
        "day 56",
        "on the way: “data” (the customer, 22 days late)",
        "22 days behind; overdue: 0 of ours, 1 of the customer's",
        "by day 30: 1 met, 1 missed",
        "by day 60: 1 met, 1 missed, 1 ahead",
        "by day 90: 1 met, 1 missed, 1 ahead",
    )
    first = milestone_lines(standing(PLAN[1:], 29), "en")
    assert "stands at" not in first[0]
    assert first[2] == "1 day behind; overdue: 0 of ours, 1 of the customer's"
    done = milestone_lines(standing(PLAN[:1], 400), "en")
    assert done == (
        "Milestones: all 1 reached, the last of them “kickoff”",
        *(f"by day {day}: 1 met, 0 missed" for day in MARKS),
    )
    assert "of nobody's" in milestone_lines(standing(PLAN, 57), "en")[2]


@every_language
def test_every_part_has_words(lang: str) -> None:
    words = language(lang).account
    asked = {f"purpose_{one}" for one in PURPOSES} | {f"family_{one}" for one in FAMILIES}
    asked |= {f"owner_{one}" for one in OWNERS} | {f"kind_{one}" for one in KINDS}
    asked |= {f"route_{one}" for one in ROUTES} | {"health_opens_below", "health_opens_at_or_above"}
    assert asked <= set(words)


@every_language
def test_a_note_is_told_as_it_is_and_the_newest_first(lang: str) -> None:
    notes = [
        VoiceNote(
            number, "a", "reporting", "wish", "product", f"text {number} {{value}} [x]",
            datetime(2025, 3, number), None,
        )
        for number in (1, 2)
    ]  # fmt: skip
    newest, oldest = voice_lines(notes, lang)
    assert "text 2 {value} [x]" in newest  # what people write is no template
    assert "text 1" in oldest


@every_language
def test_an_action_is_told_in_every_state_with_day_and_owner(lang: str) -> None:
    row = ActionRow(
        "id", "a", "call", "score 1", "churn", "open", "treated", 1.0, "csm", "c1",
        datetime(2025, 1, 6), datetime(2025, 1, 13), None, datetime(2025, 1, 6), 0.3, "high", (),
    )  # fmt: skip
    states = ("open", "snoozed", "escalated")
    told = [action_line(replace(row, state=one), "Call", False, lang) for one in states]
    assert len(set(told)) == 3
    assert all("Call" in line and "c1" in line and "2025" in line for line in told)
    assert action_line(row, "Call", True, lang) not in told
    assert "c1" not in action_line(replace(row, csm_id=None), "Call", False, lang)
    if lang == "en":
        assert told[0] == "Action: Call (open, due Jan 13, 2025; CSM, c1)"
        late = replace(row, state="escalated", who="executive_sponsor", csm_id=None)
        assert action_line(late, "Call", True, lang) == (
            "Action: Call (escalated, overdue since Jan 13, 2025; Executive sponsor)"
        )


@pytest.mark.parametrize("lang", ["zh", "ja"])
def test_no_english_is_left(lang: str) -> None:
    said = [
        *health_lines(RISK, account_health(RISK, ILL), lang),
        *milestone_lines(standing(PLAN, 50), lang),
    ]
    english = ("ealth", "usage", "ilestone", "late", "overdue", "customer", "day", " us")
    assert not [(word, text) for text in said for word in english if word in text]
