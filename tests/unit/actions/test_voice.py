"""Obstacles and wishes: what a note may be, and what notes add up to, by hand."""

from __future__ import annotations

from datetime import datetime

import pytest

from churnml.actions.voice import (
    LONGEST_TEXT,
    TopicSum,
    VoiceNote,
    checked_kind,
    checked_route,
    checked_text,
    checked_topic,
    topic_sums,
)
from churnml.config import VoiceConfig, parse_config
from churnml.errors import ConfigError

DAY = datetime(2025, 3, 1)
VOICE = VoiceConfig()


def a_note(
    account: str, topic: str = "reporting", kind: str = "wish", closed: bool = False
) -> VoiceNote:
    return VoiceNote(
        0, account, topic, kind, "product", "x", DAY, None,  # type: ignore[arg-type]
        DAY if closed else None, "done" if closed else None,
    )  # fmt: skip


def test_notes_add_up_by_topic_kind_and_route_with_each_account_once() -> None:
    notes = [
        a_note("a"), a_note("a"), a_note("b"), a_note("c", closed=True), a_note("gone"),
        a_note("a", kind="obstacle", closed=True),
        a_note("d", "pricing"),
    ]  # fmt: skip
    found = topic_sums(notes, {"a": 100.10, "b": 200.20, "c": 50.0, "d": 900.0})
    assert found == (
        TopicSum("pricing", "wish", "product", 1, 0, 1, 900.0, 1, 900.0, 0),
        # a and b wait, a with two notes; c is served; nobody knows the MRR of the account that is gone.
        TopicSum("reporting", "wish", "product", 4, 1, 3, 300.30, 4, 350.30, 1),
        TopicSum("reporting", "obstacle", "product", 0, 1, 0, 0.0, 1, 100.10, 0),
    )
    assert sum(one.open + one.closed for one in found) == len(notes)
    assert topic_sums(reversed(notes), {"a": 100.10, "b": 200.20, "c": 50.0, "d": 900.0}) == found


def test_money_adds_up_to_the_cent() -> None:
    notes = [a_note(str(place)) for place in range(10)]
    (found,) = topic_sums(notes, {str(place): 0.1 for place in range(10)})
    assert found.mrr_open == 1.0


def test_without_notes_there_is_nothing_to_add_up() -> None:
    assert topic_sums([], {"a": 1.0}) == ()


def test_a_text_is_one_line() -> None:
    assert checked_text("  needs\nan\texport\x07 ", "TEXT") == "needs an export"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("  \n", "found nothing"),
        ("x" * (LONGEST_TEXT + 1), "found 281 characters. Expected 280 at most"),
        ("ask secret.person@example.com about it", "found an e-mail address"),
    ],
)
def test_a_text_that_cannot_be_is_refused_and_not_repeated(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        checked_text(text, "TEXT")
    assert "secret" not in str(caught.value)


def test_a_topic_goes_to_its_own_people_unless_told_otherwise() -> None:
    assert checked_route(None, "pricing", VOICE) == "sales"
    assert checked_route(None, "training", VOICE) == "support"
    assert checked_route(None, "reporting", VOICE) == "product"
    assert checked_route("support", "pricing", VOICE) == "support"
    with pytest.raises(ConfigError, match=r"'legal'\. Expected product, support, sales"):
        checked_route("legal", "pricing", VOICE)


def test_what_is_not_declared_is_refused_with_what_is() -> None:
    with pytest.raises(ConfigError, match=r"'wihs'. Expected obstacle or wish"):
        checked_kind("wihs")
    with pytest.raises(ConfigError, match=r"'cheese'. Expected one of onboarding, .*\[voice\]"):
        checked_topic("cheese", VOICE)
    own = parse_config('[voice]\ntopics = ["cheese", "输入"]\nroutes = { cheese = "sales" }').voice
    assert checked_topic("输入", own) == "输入"
    assert (own.route_of("cheese"), own.route_of("输入")) == ("sales", "product")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("topics = []", "declare at least one topic"),
        ('topics = ["a", "a "]', "each once"),
        ('topics = ["a\\nb"]', "on one line"),
        ('topics = ["a"]\nroutes = { b = "sales" }', "'b' is not among the topics"),
        ('topics = ["a"]\nroutes = { a = "legal" }', "voice.routes.a: .*'product'"),
    ],
)
def test_topics_that_cannot_be_are_refused_in_words(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_config(f"[voice]\n{text}")
