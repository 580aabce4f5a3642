"""A ledger in words: shown points add up, and no line says the opposite of what it did."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churnml.config import LANGUAGES
from churnml.explain.change import Calibrated, Change, Ledger, Side, log_odds_of, moved_ledger
from churnml.explain.language import language
from churnml.explain.tell_change import Line, ToldChange, apportion, tell_change
from churnml.explain.text import placeholders
from churnml.features.catalog import BY_NAME, CATALOG
from churnml.features.spec import is_change

THEN, NOW = datetime(2024, 3, 4), datetime(2024, 4, 1)
OPEN = (False, False)


def chance(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def a_change(ledger: Ledger | None, target: str = "churn", **other: Any) -> Change:
    if ledger is None:
        chances = other.pop("chances")
    else:
        chances = (chance(ledger.log_odds_then), chance(ledger.log_odds_now))
    then = Side(THEN, "v1", other.pop("then_horizon", 90), 14, chances[0])
    return Change(target, then, Side(NOW, "v2", 90, 14, chances[1]), ledger, **other)


def tell(
    moved: dict[str, float],
    then_row: dict[str, Any],
    now_row: dict[str, Any],
    lang: str = "en",
    target: str = "churn",
    start: float = -2.0,
    **other: Any,
) -> ToldChange:
    now = Calibrated(start + math.fsum(moved.values()), 1.0, 0.0)
    rows = (then_row, now_row)
    ledger = moved_ledger(Calibrated(start, 1.0, 0.0), now, start, moved, OPEN, rows, True)
    return tell_change(a_change(ledger, target, **other), rows, lang, "USD")


def said(name: str, part: float, then: Any, now: Any, **other: Any) -> str:
    told = tell({name: part}, {name: then}, {name: now}, **other)
    (line,) = told.lines
    return line.text


def tenths(shown: str) -> int:
    sign = {"+": 1, "−": -1, "±": 0}[shown[0]]
    return sign * round(10 * float(shown[1:].replace(",", "")))


def check_sums(told: ToldChange) -> None:
    then, now, points = re.fullmatch(
        r"(.+?) ?% → (.+?) ?%[:：] ?(\S+?) ?(?:points|个百分点|ポイント)", told.summary
    ).groups()  # type: ignore[union-attr]
    assert tenths(points) == round(10 * float(now)) - round(10 * float(then))
    assert sum(tenths(line.points) for line in told.lines) == tenths(points)
    for line in told.lines:
        if line.of_which:
            assert sum(tenths(part.points) for part in line.of_which) == tenths(line.points)


NAMES = ("events_28d_per_week", "logins_28d_per_week", "nps_last", "seats", "mrr", "open_tickets")


@given(
    parts=st.lists(st.floats(-3, 3), min_size=len(NAMES), max_size=len(NAMES)),
    start=st.floats(-5, 5),
    lang=st.sampled_from(LANGUAGES),
)
def test_what_is_shown_adds_up_to_what_is_shown(
    parts: list[float], start: float, lang: str
) -> None:
    moved = dict(zip(NAMES, parts, strict=True))
    told = tell(moved, dict.fromkeys(NAMES, 2.0), dict.fromkeys(NAMES, 9.0), lang, start=start)
    check_sums(told)


@given(st.lists(st.floats(-30, 30), max_size=12), st.floats(0, 100))
def test_each_points_shown_are_the_tenth_below_or_above(points: list[float], start: float) -> None:
    total = math.floor(10 * (start + math.fsum(points)) + 0.5) - math.floor(10 * start + 0.5)
    shown = apportion(points, total)
    assert sum(shown) == total or not points
    for exact, units in zip(points, shown, strict=True):
        assert abs(units - 10 * exact) < 1 + 1e-6


def test_a_level_is_told_from_its_older_value_to_its_newer() -> None:
    assert said("logins_28d_per_week", 0.8, 200.0, 100.0) == (
        "Usage level: 200 → 100 logins a week"
    )
    assert said("logins_28d_per_week", 0.8, 200.0, 100.0, lang="zh") == (
        "使用量：每周登录200 → 100次"
    )
    assert said("logins_28d_per_week", 0.8, 200.0, 100.0, lang="ja") == (
        "利用量：ログイン週200 → 100回"
    )


def test_a_change_is_told_by_its_own_sentence_and_what_it_was() -> None:
    name = "logins_change_28d_share"
    then, now = {name: 0.05}, {name: -0.5, "logins_28d_per_week": 100.0}
    (line,) = tell({name: 0.8}, then, now).lines
    assert line.text == (
        "Usage trend: Logins fell from 200 to 100 a week (−50% on the four weeks before); at the "
        "earlier date +5%"
    )


def test_a_move_that_reads_the_other_way_is_told_as_one_beside_the_rest() -> None:
    assert said("logins_28d_per_week", 0.8, 100.0, 200.0) == (
        "Usage level: 100 → 200 logins a week, seen together with the rest"
    )
    assert "seen together" not in said("logins_28d_per_week", -0.8, 100.0, 200.0)
    assert "seen together" not in said("logins_28d_per_week", 0.8, 100.0, 200.0, target="expansion")


def test_a_change_that_reads_the_other_way_does_not_use_its_sentence() -> None:
    name = "logins_change_28d_share"
    text = said(name, 0.8, -0.5, 0.2)
    assert text == (
        "Usage trend: logins −50% → +20% on the four weeks before, seen together with the rest"
    )


def test_the_feature_that_says_what_its_driver_did_speaks_for_it() -> None:
    moved = {"logins_28d_per_week": 0.9, "events_28d_per_week": 0.3}
    then = {"logins_28d_per_week": 100.0, "events_28d_per_week": 400.0}
    now = {"logins_28d_per_week": 200.0, "events_28d_per_week": 150.0}
    (line,) = tell(moved, then, now).lines
    assert line.text == "Usage level: 400 → 150 events a week over four weeks"
    assert line.name == "Usage level"
    assert [part.text for part in line.of_which] == [
        "100 → 200 logins a week, seen together with the rest",
        "400 → 150 events a week over four weeks",
    ]


def test_values_that_look_alike_are_told_as_hardly_changed() -> None:
    assert said("logins_28d_per_week", 0.8, 100.4, 100.1) == (
        "Usage level: 100 logins a week, hardly changed"
    )


def test_data_that_went_missing_are_never_good_news() -> None:
    worse = said("nps_last", 0.6, 9.0, None)
    better = said("nps_last", -0.6, 3.0, None)
    assert worse.endswith("→ " + language("en").features["nps_last"]["missing"])
    assert better.endswith("seen together with the rest")


def test_what_never_happened_before_is_told_so() -> None:
    text = said("days_since_last_event", -0.6, None, 3.0)
    assert text == "Usage trend: No use on record → last used 3 days ago"


def test_a_category_is_told_from_one_to_the_other() -> None:
    assert said("segment", 0.6, "smb", "enterprise").endswith("smb → enterprise")


def test_small_moves_are_left_out_and_the_many_are_folded() -> None:
    names = [f.name for f in CATALOG if f.driver == "usage_level" and not f.categorical][:6]
    moved = {name: 0.4 - 0.05 * place for place, name in enumerate(names)} | {"seats": 1e-6}
    told = tell(moved, dict.fromkeys(moved, 2.0), dict.fromkeys(moved, 1.0))
    (line,) = told.lines
    assert len(line.of_which) == 4
    assert line.of_which[-1].text == "smaller moves"
    check_sums(told)


def test_moves_that_cancel_within_a_driver_are_told_and_small_ones_are_not() -> None:
    then, now = {"nps_last": 9.0, "csat_90d": 2.0}, {"nps_last": 3.0, "csat_90d": 4.5}
    (line,) = tell({"nps_last": 0.4, "csat_90d": -0.4}, then, now).lines
    assert (line.points, [part.points for part in line.of_which]) == ("±0.0", ["+4.2", "−4.2"])
    told = tell({"nps_last": 0.04, "csat_90d": -0.04}, then, now)
    assert told.lines == ()
    assert told.notes == (language("en").change["unmoved"],)


def test_the_other_lines_say_what_changed() -> None:
    rows: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    then, now = Calibrated(-2.0, 1.0, 0.0), Calibrated(-1.0, 0.9, 0.2)
    ledger = moved_ledger(then, now, -1.0, {}, OPEN, rows, False)
    told = tell_change(a_change(ledger), rows, "en", "USD")
    assert [line.text for line in told.lines] == [
        "Another model scores them (v2; before: v1)",
        "Scores are turned into percentages differently now (calibration)",
    ]
    check_sums(told)
    older = moved_ledger(log_odds_of(0.1), now, -1.0, {}, OPEN, rows, False)
    (line,) = tell_change(a_change(older), rows, "en", "USD").lines
    assert line.text.endswith("how much each of the two did is not kept")
    for bound, text in (((False, True), "cannot end"), ((True, False), "can now end")):
        ends = Calibrated(-2.0, 1.0, 0.0), Calibrated(-4.0, 1.0, 0.0)
        ledger = moved_ledger(*ends, -2.0, {}, bound, rows, True)
        (line,) = tell_change(a_change(ledger), rows, "en", "USD").lines
        assert text in line.text


def test_another_question_and_numbers_of_a_newer_catalogue_are_stated() -> None:
    told = tell({"seats": 0.5}, {"seats": 2.0}, {"seats": 4.0}, then_horizon=60, held=("nps_last",))
    assert told.notes == (
        "The question changed: Churn within 60 days (from 14 days on) then, within 90 days (from 14 "
        "days on) now. What that does is part of the line about the model.",
        "The model now uses 1 number that was not measured then; what is new by that is part of the "
        "line about the model.",
    )


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("untold", "chances"),
    [
        ("too_little_data_then", (None, 0.2)),
        ("too_little_data_now", (0.2, None)),
        ("model_gone", (0.1, 0.2)),
        ("row_differs", (0.1, 0.2)),
    ],
)
def test_without_a_ledger_it_says_why(lang: str, untold: str, chances: Any) -> None:
    told = tell_change(a_change(None, untold=untold, chances=chances), ({}, {}), lang, "USD")
    assert told.lines == ()
    assert told.notes == (language(lang).change[untold],)
    assert (language(lang).change["unscored"] in told.summary) == (None in chances)
    assert ("+10.0" in told.summary) == (None not in chances)


def test_without_an_older_score_it_says_so() -> None:
    change = Change("churn", None, Side(NOW, "v2", 90, 14, 0.2), None, "not_scored_then")
    told = tell_change(change, ({}, {}), "en", "USD")
    assert told.summary == "no score → 20.0%"
    assert told.notes


def _texts(lines: tuple[Line, ...]) -> list[str]:
    return [line.text for line in lines]


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)
def test_every_feature_can_tell_its_move(feature, lang: str) -> None:  # type: ignore[no-untyped-def]
    values: list[Any] = ["a", "b", None] if feature.categorical else [0.4, 6.0, 0.0, None]
    for then in values:
        for now in values:
            if then == now:
                continue
            for part in (0.8, -0.8):
                text = said(feature.name, part, then, now, lang=lang)
                assert not set(text) & set("{}[]"), text
                if then is not None and now is not None and not is_change(feature):
                    assert "→" in text or "hardly" in text or lang != "en", text


@pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)
def test_no_line_says_the_opposite_of_what_it_did(feature) -> None:  # type: ignore[no-untyped-def]
    beside = language("en").change["together"].replace("{move}", "")
    for target, direction in feature.direction.items():
        if feature.categorical or not direction:
            continue
        for then, now in ((0.4, 6.0), (6.0, 0.4)):
            for part in (0.8, -0.8):
                text = said(feature.name, part, then, now, target=target)
                with_the_grain = direction * (now - then) * part > 0
                assert text.endswith(beside) != with_the_grain, text


@pytest.mark.parametrize("lang", ["zh", "ja"])
def test_every_language_has_the_same_words_with_the_same_numbers(lang: str) -> None:
    english, other = language("en").change, language(lang).change
    assert set(other) == set(english)
    for key, text in english.items():
        assert set(placeholders(other[key])) == set(placeholders(text)), key
        if text != "{then} → {now}":
            assert other[key] != text, key


def test_all_named_features_are_in_the_catalogue() -> None:
    assert set(NAMES) <= set(BY_NAME)
