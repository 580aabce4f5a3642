from __future__ import annotations

from dataclasses import replace

import pytest

from churnml.actions.action import render_action, tell_action
from churnml.actions.choose import play_named
from churnml.errors import ConfigError
from churnml.explain.reasons import Reason


def _reason(driver: str, feature: str, text: str, protective: bool = False) -> Reason:
    return Reason(driver, feature, 1.0, "", -0.5 if protective else 0.5, text, protective)


USE = _reason("usage_trend", "events_change_28d_share", "Use fell (−50%)")
SUPPORT = _reason("support", "open_tickets", "3 tickets are open")
RENEWAL = _reason("renewal", "days_to_renewal", "The contract renews in 58 days")
CALM = _reason("satisfaction", "nps_last", "NPS answers average 9 of 10", protective=True)


def test_an_action_quotes_the_reason_that_its_play_answers_to() -> None:
    action = render_action(play_named("slow_support"), "en", [USE, SUPPORT, CALM], {})
    assert "Why: 3 tickets are open." in action.text
    assert (action.play, action.who, action.due_days, action.effort_hours) == (
        "slow_support", "support", 3, 2.0,
    )  # fmt: skip


def test_a_play_for_every_reason_quotes_the_first() -> None:
    action = render_action(play_named("quarterly_review"), "en", [USE, SUPPORT], {})
    assert "Why: Use fell (−50%)." in action.text


def test_an_action_never_quotes_a_protective_reason() -> None:
    action = render_action(play_named("quarterly_review"), "en", [CALM], {})
    assert "NPS" not in action.text
    assert "Why" not in action.text


def test_an_action_tells_the_accounts_numbers_once() -> None:
    play = play_named("renewal_ahead")
    action = render_action(play, "en", [RENEWAL, USE], {"days_to_renewal": 58.0})
    assert action.text.startswith("The contract renews in 58 days. Hold")
    assert action.text.count("58") == 1
    assert action.text.endswith("Why the score is high: Use fell (−50%).")


def test_what_an_account_lacks_is_left_out_of_the_text() -> None:
    action = render_action(play_named("renewal_ahead"), "zh", [], {"days_to_renewal": None})
    assert (
        action.text
        == "把自己的判断与评分对照；若两者不一致，请高层对接人介入，然后与客户面谈续约。"
    )


def test_an_action_speaks_the_language_asked_for() -> None:
    titles = [
        render_action(play_named("fading_usage"), lang, [], {}).title for lang in ("en", "zh", "ja")
    ]
    assert titles == ["Ask what changed", "了解发生了什么变化", "何が変わったかを尋ねる"]
    with pytest.raises(ConfigError, match="en, zh, ja"):
        render_action(play_named("fading_usage"), "fr", [], {})


def test_an_action_says_by_whom_and_until_when_in_the_language_asked_for() -> None:
    lines = {}
    for lang in ("en", "zh", "ja"):
        action = render_action(play_named("slow_support"), lang, [], {})
        lines[lang] = tell_action(replace(action, title="T", text="X"), lang)
    assert lines == {
        "en": "T (Support, within 3 days): X",
        "zh": "T（支持团队，3天内）：X",
        "ja": "T（サポート、3日以内）：X",
    }


def test_a_day_is_one_day_and_no_day_is_today() -> None:
    action = replace(render_action(play_named("slow_support"), "en", [], {}), title="T", text="X")
    assert tell_action(replace(action, due_days=1), "en") == "T (Support, within 1 day): X"
    assert tell_action(replace(action, due_days=0), "en") == "T (Support, today): X"


def test_to_leave_them_alone_is_nobodys_task() -> None:
    action = render_action(play_named("leave_alone"), "en", [], {})
    assert tell_action(action, "en").startswith("Leave alone: Nothing to do now.")
