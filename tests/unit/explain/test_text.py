from __future__ import annotations

from datetime import date

import pytest

from churnml.errors import ConfigError
from churnml.explain.tell import Teller
from churnml.explain.text import Shown, change, day, kind_of, number, placeholders, write
from churnml.features.catalog import BY_NAME


@pytest.mark.parametrize(
    ("value", "kind", "en", "zh", "ja"),
    [
        (1234.0, "count", "1,234", "1,234", "1,234"),
        (12.34, "rate", "12", "12", "12"),
        (3.46, "rate", "3.5", "3.5", "3.5"),
        (4.0, "rate", "4", "4", "4"),
        (0.5, "percent", "50%", "50%", "50%"),
        (0.034, "percent", "3.4%", "3.4%", "3.4%"),
        (1.2, "percent", "120%", "120%", "120%"),
        (1250.4, "money", "$1,250", "US$1,250", "$1,250"),
        (86.5, "money", "$86.50", "US$86.50", "$86.50"),
        (60.0, "duration", "1 minute", "1分钟", "1分"),
        (2700.0, "duration", "45 minutes", "45分钟", "45分"),
        (5400.0, "duration", "1.5 hours", "1.5小时", "1.5時間"),
        (72000.0, "duration", "20 hours", "20小时", "20時間"),
        (0.12, "nps", "+12", "+12", "+12"),
        (-0.43, "nps", "−43", "−43", "−43"),
        (0.001, "nps", "0", "0", "0"),
        (-0.52, "signed", "−0.5", "−0.5", "−0.5"),
        (1.0, "age", "1 day", "1天", "1日"),
        (62.0, "age", "2 months", "2个月", "2か月"),
        (1400.0, "age", "3.8 years", "3.8年", "3.8年"),
    ],
)
def test_a_number_reads_as_people_of_that_language_write_it(
    value: float, kind: str, en: str, zh: str, ja: str
) -> None:
    written = [number(value, kind, lang).text for lang in ("en", "zh", "ja")]  # type: ignore[arg-type]
    assert written == [en, zh, ja]


def test_money_is_written_in_the_accounts_currency() -> None:
    assert number(1200.0, "money", "en", "EUR").text == "€1,200"
    assert number(1200.0, "money", "zh", "CNY").text == "¥1,200"
    assert number(1200.0, "money", "ja", "JPY").text == "￥1,200"


def test_a_change_always_shows_its_sign_unless_it_rounds_to_nothing() -> None:
    assert change(0.2, "en").text == "+20%"
    assert change(-0.5, "ja").text == "−50%"
    assert change(0.0004, "en").text == "0%"


@pytest.mark.parametrize("lang", ["en", "zh", "ja"])
@pytest.mark.parametrize(("name", "value"), [("nps_180d", -0.43), ("csat_change_90d", -0.6)])
def test_what_can_be_below_nothing_keeps_its_sign_wherever_it_is_told(
    name: str, value: float, lang: str
) -> None:
    teller = Teller("churn", lang, "USD", {name: {"median": -value}})
    shown = "43" if name == "nps_180d" else "0.6"
    for text in (teller.sentence(name, +1, {name: value}), teller.neutral(name, {name: value})):
        assert text is not None
        assert f"−{shown}" in text
        assert f"+{shown}" in text  # the typical account


def test_a_date_reads_by_locale() -> None:
    assert [day(date(2024, 3, 31), lang).text for lang in ("en", "zh", "ja")] == [
        "Mar 31, 2024",
        "2024年3月31日",
        "2024/03/31",
    ]


def test_a_noun_agrees_with_its_number_as_written() -> None:
    template = "{value:day|days}"
    assert write(template, {"value": number(1.0, "count", "en")}, "en") == "1 day"
    assert write(template, {"value": number(1.04, "rate", "en")}, "en") == "1 day"
    assert write(template, {"value": number(1.5, "rate", "en")}, "en") == "1.5 days"
    assert write(template, {"value": number(0.0, "count", "en")}, "en") == "0 days"


def test_a_part_in_brackets_is_left_out_where_its_number_is_missing() -> None:
    template = "Use fell[ from {before} to {now}] ({change})"
    seen = {"change": Shown("−50%"), "now": Shown("100")}
    assert write(template, seen, "en") == "Use fell (−50%)"
    assert (
        write(template, {**seen, "before": Shown("200")}, "en") == "Use fell from 200 to 100 (−50%)"
    )


def test_a_number_that_must_be_there_and_is_not_is_named() -> None:
    with pytest.raises(ConfigError, match="names a number that is not there"):
        write("{value} events", {}, "en")


@pytest.mark.parametrize("template", ["[a {value}", "{value", "[a [b] {value}]", "a] b"])
def test_brackets_that_do_not_match_are_refused(template: str) -> None:
    with pytest.raises(ConfigError, match="bracket"):
        placeholders(template)


def test_a_placeholder_outside_brackets_anywhere_cannot_be_missing() -> None:
    assert placeholders("{a}[ {a} {b}]") == {"a": False, "b": True}


@pytest.mark.parametrize(
    ("feature", "kind"),
    [
        ("events_7d", "count"),
        ("events_28d_per_week", "rate"),
        ("time_28d_per_week", "duration"),
        ("days_since_last_event", "count"),
        ("resolution_90d_days", "rate"),
        ("tenure_days", "age"),
        ("mrr", "money"),
        ("discount_share", "percent"),
        ("active_users_28d_seat_share", "percent"),
        ("csat_90d", "rate"),
        ("segment", "text"),
    ],
)
def test_a_features_unit_says_how_it_is_written(feature: str, kind: str) -> None:
    assert kind_of(BY_NAME[feature]) == kind
