from __future__ import annotations

import pytest

from churnml.actions.choose import choose_play
from churnml.actions.plays import Condition, all_plays, parse_play, shipped_plays
from churnml.config import LANGUAGES
from churnml.errors import ConfigError
from churnml.explain.reasons import Reason
from churnml.explain.text import placeholders

OWN = """
name = "winter_check"
priority = 95
who = "csm"
due_days = 4
effort_hours = 0.5
[when]
targets = ["churn"]
tiers = ["high"]
[words.en]
title = "Winter check"
text = "Ask about the season.[ Why: {reason}.]"
[words.zh]
title = "冬季回访"
text = "询问季节影响。[理由：{reason}。]"
[words.ja]
title = "冬の確認"
text = "季節の影響を尋ねます。[理由：{reason}。]"
"""
every_play = pytest.mark.parametrize("play", shipped_plays(), ids=lambda play: play.name)


def test_the_plays_that_every_company_needs_are_shipped() -> None:
    assert [play.name for play in shipped_plays()] == [
        "activation_check",
        "champion_promoted",
        "contraction_review",
        "detractor_followup",
        "fading_usage",
        "get_data",
        "growth_conversation",
        "key_contact_left",
        "leave_alone",
        "milestone_referral",
        "never_activated",
        "nps_talk",
        "oversized_plan_alternative",
        "passive_modules_training",
        "quarterly_review",
        "renewal_ahead",
        "renewal_six_months",
        "renewal_three_months",
        "review_each_quarter",
        "seat_saturation_upsell",
        "slow_support",
    ]


@every_play
def test_a_shipped_play_has_words_in_every_language_with_the_same_numbers(play) -> None:  # type: ignore[no-untyped-def]
    quoted = {lang: placeholders(play.words[lang].text) for lang in LANGUAGES}
    assert quoted["zh"] == quoted["en"]
    assert quoted["ja"] == quoted["en"]


@every_play
def test_a_shipped_play_that_answers_to_a_risk_quotes_its_reason(play) -> None:  # type: ignore[no-untyped-def]
    silent = {"leave_alone", "get_data", "milestone_referral", "nps_talk", "champion_promoted"}
    assert ("reason" in placeholders(play.words["en"].text)) == (play.name not in silent)


def test_a_companys_own_play_stands_beside_the_shipped_ones() -> None:
    plays = {play.name: play for play in all_plays({"winter.toml": OWN})}
    assert plays["winter_check"].due_days == 4
    assert len(plays) == len(shipped_plays()) + 1


def test_a_companys_own_play_replaces_a_shipped_namesake() -> None:
    own = OWN.replace("winter_check", "fading_usage")
    plays = all_plays({"fading.toml": own})
    assert len(plays) == len(shipped_plays())
    assert next(play for play in plays if play.name == "fading_usage").effort_hours == 0.5


def test_two_own_plays_of_one_name_are_refused_with_both_files() -> None:
    with pytest.raises(ConfigError, match=r"b\.toml: found a second play.*the first: a\.toml"):
        all_plays({"a.toml": OWN, "b.toml": OWN})


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ("priority = 95", "priority = 950", "priority: .*less than or equal to 100"),
        ('who = "csm"', 'who = "ceo"', "who: .*'csm', 'support', 'product' or 'executive_sponsor'"),
        ('["churn"]', '["chrun"]', "when.targets.0: .*'churn', 'contraction' or 'expansion'"),
        ('tiers = ["high"]', 'tiers = ["hot"]', "when.tiers.0: .*'low', 'medium', 'high'"),
        ('tiers = ["high"]', 'tier = ["high"]', "when.tier: unknown key"),
        ('tiers = ["high"]', 'drivers = ["usage"]', "when.drivers.0: .*'usage_level'"),
        (
            'tiers = ["high"]',
            'features = [{ feature = "shoe_size", at_least = 1 }]',
            "when.features.0: the catalogue has no feature 'shoe_size'",
        ),
        (
            'tiers = ["high"]',
            'features = [{ feature = "mrr" }]',
            "when.features.0: give at_least and/or at_most, or one_of",
        ),
        (
            'tiers = ["high"]',
            'features = [{ feature = "segment", at_least = 1 }]',
            "use one_of for categories",
        ),
        (
            'tiers = ["high"]',
            'features = [{ feature = "mrr", at_least = 5, at_most = 1 }]',
            "at_least must not exceed at_most",
        ),
        ("{reason}", "{rason}", r"words.en.text: \{rason\} is neither \{reason\} nor a feature"),
        (
            "[ Why: {reason}.]",
            " Why: {reason}.",
            r"words.en.text: put \{reason\} .*square brackets",
        ),
        ("[words.ja]", "[words.fr]", "words: give words in en, zh, ja"),
        ('title = "Winter check"', 'title = "Win {reason}"', "a title holds no placeholders"),
        ('name = "winter_check"', 'name = "Winter check"', "name: "),
        ("effort_hours = 0.5", "", "effort_hours: Field required"),
        ("priority = 95", "priority 95", "not valid TOML"),
    ],
)
def test_a_play_that_cannot_be_run_is_refused_with_its_key(change: str, to: str, says: str) -> None:
    assert change in OWN
    with pytest.raises(ConfigError, match=f"(?s)plays/winter.toml.*{says}"):
        parse_play(OWN.replace(change, to, 1), "plays/winter.toml")


def test_every_fault_of_a_play_is_told_at_once() -> None:
    broken = OWN.replace("priority = 95", "priority = 950").replace('"csm"', '"ceo"')
    with pytest.raises(ConfigError) as caught:
        parse_play(broken, "plays/winter.toml")
    assert "priority" in str(caught.value)
    assert "who" in str(caught.value)


def test_a_condition_holds_within_its_bounds_and_never_for_missing_values() -> None:
    condition = Condition(feature="days_to_renewal", at_least=0, at_most=90)
    values = [0.0, 90.0, 91.0, -1.0, None, float("nan")]
    held = [condition.holds({"days_to_renewal": value}) for value in values]
    assert held == [True, True, False, False, False, False]
    assert not condition.holds({})


def test_a_condition_may_let_missing_values_pass_where_it_says_so() -> None:
    condition = Condition(feature="billing_months", at_least=3, or_missing=True)
    assert [condition.holds({"billing_months": value}) for value in (12.0, 1.0, None)] == [
        True,
        False,
        True,
    ]


def test_a_condition_on_a_category_lists_its_values() -> None:
    condition = Condition(feature="need", one_of=("Reporting", "Audit"))
    assert condition.holds({"need": "Audit"})
    assert not condition.holds({"need": "Sales"})
    assert not condition.holds({"need": None})


# ------------------------------------------------------- when, next steps, recovery, declared

CLOCKED = (
    OWN.replace(
        "[words.en]",
        """needs = ["Reporting"]
segments = ["mid"]
stages = ["steady", "renewing"]
[when.schedule]
each_days = 91
[words.en]""",
    )
    + """
[[escalation]]
after_days = 3
who = "support"
text = { en = "Call.", zh = "致电。", ja = "電話します。" }
[[escalation]]
after_days = 9
who = "executive_sponsor"
text = { en = "Write.", zh = "致信。", ja = "手紙を書きます。" }
[recovery]
within_days = 30
tier = false
features = [{ feature = "open_tickets", at_most = 0 }]
"""
)


def test_a_play_for_a_need_asks_for_need_segment_and_stage_and_not_for_the_contracts_value() -> (
    None
):
    when = parse_play(CLOCKED, "x").when
    suited = {"need": "Reporting", "segment": "mid", "lifecycle_stage": "steady"}
    assert all(when.suits({**suited, "mrr": mrr}) for mrr in (1.0, 1e6, None))
    for name in suited:
        assert not when.suits({**suited, name: "other"})
        assert not when.suits({**suited, name: None})


def test_a_play_by_the_calendar_is_never_chosen_by_a_score() -> None:
    play = parse_play(CLOCKED, "x")
    assert not play.answers_a_score
    reasons: list[Reason] = []
    features = {"need": "Reporting", "segment": "mid", "lifecycle_stage": "steady"}
    assert choose_play("churn", "high", "ok", reasons, features, [*shipped_plays(), play]).name == (
        "quarterly_review"
    )


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ("each_days = 91", "", "when.schedule: give one of after_signing_days"),
        (
            "each_days = 91",
            "each_days = 91\nbefore_renewal_days = [90]",
            "when.schedule: give one of after_signing_days",
        ),
        ("each_days = 91", "after_signing_days = [-1]", "days must not be negative"),
        (
            "each_days = 91",
            "each_days = 1",
            "when.schedule.each_days: .*greater than or equal to 7",
        ),
        ("after_days = 9", "after_days = 3", "escalation: each step's after_days must be more"),
        ('who = "support"', 'who = "boss"', "escalation.0.who: "),
        ('ja = "電話します。"', 'ja = " "', "escalation.0.text: give a text in en, zh, ja"),
        (', ja = "電話します。"', "", "escalation.0.text: give a text in en, zh, ja"),
        (
            'features = [{ feature = "open_tickets", at_most = 0 }]',
            "",
            "recovery: give features, or let the tier tell",
        ),
        ('stages = ["steady"', 'stages = ["happy"', "when.stages.0: .*'onboarding', 'adopting'"),
    ],
)
def test_a_clocked_play_that_cannot_be_run_is_refused_with_its_key(
    change: str, to: str, says: str
) -> None:
    assert change in CLOCKED
    parse_play(CLOCKED, "x")
    with pytest.raises(ConfigError, match=f"(?s)plays/winter.toml.*{says}"):
        parse_play(CLOCKED.replace(change, to, 1), "plays/winter.toml")


@every_play
def test_a_shipped_play_ends_by_recovery_or_by_lapsing(play) -> None:  # type: ignore[no-untyped-def]
    if play.name != "leave_alone":
        assert play.told_by is not None or play.lapse_days is not None


@every_play
def test_a_shipped_next_step_is_no_copy_of_another_language(play) -> None:  # type: ignore[no-untyped-def]
    texts = [step.text for step in play.escalation]
    if play.judgement is not None:
        texts.append(play.judgement.text)
    for text in texts:
        assert len(set(text.values())) == len(LANGUAGES)
