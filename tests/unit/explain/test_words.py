"""Every language has every word, and no word promises more than the model knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from churnml.actions.plays import Who, shipped_plays
from churnml.config import LANGUAGES, TARGETS, TIERS
from churnml.contract.tables import KEY_ROLES
from churnml.errors import ConfigError
from churnml.explain.counterfactual import STATUSES
from churnml.explain.evidence import PLACEHOLDERS, ROLES
from churnml.explain.language import Language, language
from churnml.explain.reading import sister_of
from churnml.explain.tell import BESIDE, STAGE
from churnml.explain.text import placeholders
from churnml.features.catalog import BY_NAME, CATALOG
from churnml.features.levers import STEPS
from churnml.features.spec import DRIVERS, Cadence, Change, Rank, is_change

every_language = pytest.mark.parametrize("lang", LANGUAGES)
every_feature = pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)


def _texts(words: Language) -> Iterator[str]:
    for group in (
        words.units,
        words.tiers,
        words.statuses,
        words.who,
        words.action,
        words.change,
        words.steps,
        words.what_if,
    ):
        yield from group.values()
    yield from words.stages.values()
    yield from words.account.values()
    yield from words.phrases.values()
    for told in words.fuller.values():
        for templates in told.values():
            yield from templates
    for table in (words.targets, words.drivers, words.features, words.roles):
        for entry in table.values():
            yield from entry.values()


@every_language
def test_every_driver_target_tier_and_doer_has_words(lang: str) -> None:
    words = language(lang)
    assert set(words.drivers) == set(DRIVERS)
    assert all(set(driver) == {"name", "neutral", "no_data"} for driver in words.drivers.values())
    assert set(words.targets) == set(TARGETS)
    assert all(
        set(target) == {"name", "outcome", "raises", "lowers"} for target in words.targets.values()
    )
    assert set(words.tiers) == {*TIERS, "unknown"}
    assert set(words.statuses) == {"ok", "unpromoted", "too_little_data"}
    assert set(words.who) == set(get_args(Who))


@every_language
def test_what_would_have_to_be_true_has_words_for_every_step_and_answer(lang: str) -> None:
    words, english = language(lang), language("en")
    assert set(words.steps) == set(STEPS)
    assert set(words.what_if) == set(english.what_if)
    silent = {"reached", "infeasible", "already"}  # told with numbers, or by where one stands
    assert set(STATUSES) - silent <= set(words.what_if)
    for key, text in english.what_if.items():
        assert placeholders(words.what_if[key]) == placeholders(text), key


@every_language
def test_every_feature_of_the_catalogue_has_words_and_no_other(lang: str) -> None:
    assert set(language(lang).features) == set(BY_NAME)


def test_a_feature_speaks_by_its_kind_in_every_language_or_in_none() -> None:
    assert language("zh").named == language("en").named == language("ja").named


@pytest.mark.parametrize("lang", ["zh", "ja"])
def test_what_speaks_by_its_kind_has_a_name_that_is_not_english(lang: str) -> None:
    left = {
        name for name in language(lang).named if language(lang).features[name]["fact"].isascii()
    }
    english = {
        name
        for name in language(lang).named
        if BY_NAME[name].what in str(language(lang).features[name])
    }
    assert left | english == set(), f"give them a line under [names] in words/{lang}.toml"


@every_feature
def test_a_feature_speaks_of_the_same_readings_in_every_language(feature) -> None:  # type: ignore[no-untyped-def]
    readings = {lang: set(language(lang).features[feature.name]) for lang in LANGUAGES}
    assert readings["zh"] == readings["en"]
    assert readings["ja"] == readings["en"]


@every_feature
def test_a_feature_has_a_sentence_for_whatever_it_can_read_as(feature) -> None:  # type: ignore[no-untyped-def]
    readings = set(language("en").features[feature.name])
    assert {"fact", "missing"} <= readings
    assert "text" in readings or {"up", "down"} <= readings
    if any(feature.direction.values()):
        assert {"up", "down"} <= readings  # what has a direction must not speak without one
    if is_change(feature):
        assert "flat" in readings
    if isinstance(feature.fn, Change | Cadence):
        assert "zero" in readings


@every_feature
def test_a_sentence_quotes_the_same_numbers_in_every_language(feature) -> None:  # type: ignore[no-untyped-def]
    for reading, english in language("en").features[feature.name].items():
        for lang in ("zh", "ja"):
            other = language(lang).features[feature.name][reading]
            assert set(placeholders(other)) == set(placeholders(english)), (lang, reading)


@every_language
@every_feature
def test_a_sentence_needs_only_numbers_that_are_there(feature, lang: str) -> None:  # type: ignore[no-untyped-def]
    sure = {"change"} if is_change(feature) else {"value"}
    if isinstance(feature.fn, Rank):
        sure.add("rest")
    possible = {*sure, "typical", "date"}
    if sister_of(feature.name) is not None:
        possible |= {"now", "before"}
    if feature.name in BESIDE:
        possible.add("own")
    for reading, template in language(lang).features[feature.name].items():
        for name, may_lack in placeholders(template).items():
            assert name in possible, (reading, name)
            assert may_lack or (name in sure and reading != "missing"), (reading, name)


@every_language
def test_a_fuller_sentence_needs_only_what_evidence_and_numbers_can_give(lang: str) -> None:
    for name, readings in language(lang).fuller.items():
        feature = BY_NAME[name]
        possible = PLACEHOLDERS | {"value", "change", "typical", "now", "before"}
        possible |= {"own"} if name in BESIDE else set()
        possible |= {"rest"} if isinstance(feature.fn, Rank) else set()
        for reading, templates in readings.items():
            assert reading in language(lang).features[name], (name, reading)
            for template in templates:
                asked = placeholders(template)
                assert set(asked) <= possible, (name, reading)
                # Without any evidence in it, it would be the plain sentence.
                assert set(asked) & PLACEHOLDERS, (name, reading)


def _slots(words: Language) -> dict[str, object]:
    """What every language must have alike, by place: the placeholders of each of these texts."""
    fuller = {
        f"{name}.{reading}.{place}": set(placeholders(template))
        for name, readings in words.fuller.items()
        for reading, templates in readings.items()
        for place, template in enumerate(templates)
    }
    phrases = {name: set(placeholders(template)) for name, template in words.phrases.items()}
    stages = {name: set(placeholders(template)) for name, template in words.stages.items()}
    account = {name: placeholders(template) for name, template in words.account.items()}
    actions = {name: set(placeholders(template)) for name, template in words.action.items()}
    return {
        **actions,
        **fuller,
        **phrases,
        **stages,
        **account,
        **{role: set(said) for role, said in words.roles.items()},
    }


@pytest.mark.parametrize("lang", ["zh", "ja"])
def test_evidence_is_told_alike_in_every_language(lang: str) -> None:
    assert _slots(language(lang)) == _slots(language("en"))


def test_every_key_role_and_stage_of_the_contract_has_words() -> None:
    assert set(language("en").roles) == set(ROLES) == set(KEY_ROLES)
    stages = re.findall(r"[a-z]+", BY_NAME[STAGE].what.removeprefix("stage: "))
    assert set(language("en").stages) == set(stages) - {"or"}


@every_language
def test_nothing_claims_that_one_thing_causes_another(lang: str) -> None:
    texts = [*_texts(language(lang))]
    texts += [text for play in shipped_plays() for text in (play.words[lang].text,)]
    claims = re.compile(r"\bcaus(e|es|ed|ing)\b|导致|造成|引起|原因|引き起こ", re.IGNORECASE)
    assert [text for text in texts if claims.search(text)] == []


def test_numbers_are_written_by_locale_and_never_as_raw_floats() -> None:
    # A number in a template that is not a placeholder must be part of a window or a scale.
    known = {"7", "28", "90", "180", "6", "5", "10", "1", "4", "3", "8", "0", "9", "12", "13"}
    known |= {"30", "60", "365", "000", "100"}
    for lang in LANGUAGES:
        for text in _texts(language(lang)):
            bare = re.sub(r"\{[^}]*\}", "", text)
            assert set(re.findall(r"\d+", bare)) <= known, text


def test_an_unknown_language_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="en, zh, ja"):
        language("fr")
