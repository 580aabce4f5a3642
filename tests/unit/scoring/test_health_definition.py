"""Health scores as they are declared: shipped, a company's own, and what is refused."""

from __future__ import annotations

import pytest

from churnml.actions.plays import shipped_plays
from churnml.errors import ConfigError
from churnml.scoring.health_definition import (
    all_definitions,
    default_definition,
    definitions_for,
    parse_definition,
    shipped_definitions,
)

OWN = """
name = "reporting"
purpose = "risk"
threshold = 40
play = "fading_usage"
needs = ["reporting"]
[usage]
weight = 0.5
signals = [{ feature = "exports_28d_per_week", bad = 0, good = 5 }]
[satisfaction]
weight = 0.25
signals = [{ feature = "nps_last", bad = 4, good = 9 }]
[commercial]
weight = 0.25
signals = [{ feature = "contractions_90d", bad = 1, good = 0 }]
"""
OWN = OWN.replace("exports_28d_per_week", "events_28d_per_week")
GENERAL = OWN.replace('needs = ["reporting"]\n', "")


def test_a_score_of_risk_and_one_of_upsell_are_shipped_for_everybody() -> None:
    shipped = {found.name: found for found in shipped_definitions()}
    assert {name: found.purpose for name, found in shipped.items()} == {
        "risk": "risk",
        "upsell": "upsell",
    }
    assert all(not found.needs and not found.segments for found in shipped.values())
    assert (shipped["risk"].opens, shipped["upsell"].opens) == ("below", "at_or_above")
    assert default_definition() is shipped["risk"]


def test_a_shipped_score_opens_a_shipped_play() -> None:
    plays = {play.name for play in shipped_plays()}
    assert {found.play for found in shipped_definitions()} <= plays


@pytest.mark.parametrize("family", ["usage", "satisfaction", "commercial"])
def test_a_definition_that_lacks_a_family_is_a_fault_with_file_and_family(family: str) -> None:
    start = OWN.index(f"[{family}]")
    end = OWN.find("\n[", start + 1)
    with pytest.raises(ConfigError) as caught:
        parse_definition(OWN[:start] + (OWN[end + 1 :] if end > 0 else ""), "health/own.toml")
    told = str(caught.value)
    assert "health/own.toml" in told
    assert f"the family '{family}' is missing" in told
    assert f"Add [{family}]" in told


@pytest.mark.parametrize(
    ("change", "to", "says"),
    [
        ('feature = "nps_last"', 'feature = "shoe_size"', "no feature 'shoe_size'"),
        ('feature = "nps_last"', 'feature = "segment"', "segment is a category"),
        ("bad = 4, good = 9", "bad = 4, good = 4", "bad and good must differ"),
        ("bad = 4, good = 9", "bad = 4, good = nan", "finite"),
        ("weight = 0.5", "weight = 0", "usage.weight: .*greater than 0"),
        ("threshold = 40", "threshold = 400", "threshold: .*less than or equal to 100"),
        ("threshold = 40", "", "threshold: Field required"),
        ("threshold = 40", 'threshold = 40\nopens = "at_or_above"', 'risk opens "below"'),
        ("threshold = 40", "threshold = 40\nsegment = ['x']", "segment: unknown key"),
        ('purpose = "risk"', 'purpose = "fun"', "purpose: .*'risk' or 'upsell'"),
        ("threshold = 40", "threshold 40", "not valid TOML"),
        ('name = "reporting"', 'name = "My score"', "name: "),
        (
            '[{ feature = "nps_last", bad = 4, good = 9 }]',
            '[{ feature = "nps_last", bad = 4, good = 9 }, { feature = "nps_last", bad = 0, good = 9 }]',
            "nps_last stands there twice",
        ),
        ('[{ feature = "nps_last", bad = 4, good = 9 }]', "[]", "satisfaction.signals: "),
    ],
)
def test_what_cannot_be_is_refused_with_file_and_key(change: str, to: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_definition(OWN.replace(change, to), "health/own.toml")
    assert "health/own.toml" in str(caught.value)


def test_the_need_says_more_than_the_segment_and_both_more_than_neither() -> None:
    large = OWN.replace('"reporting"\n', '"large"\n').replace(
        'needs = ["reporting"]', 'segments = ["large"]'
    )
    both = OWN.replace('"reporting"\n', '"both"\n').replace(
        'needs = ["reporting"]', 'needs = ["reporting"]\nsegments = ["large"]'
    )
    definitions = all_definitions({"a.toml": OWN, "b.toml": large})
    chosen = {
        (need, segment): [found.name for found in definitions_for(definitions, need, segment)]
        for need in ("reporting", None)
        for segment in ("large", "small")
    }
    assert chosen == {
        ("reporting", "large"): ["reporting", "upsell"],
        ("reporting", "small"): ["reporting", "upsell"],
        (None, "large"): ["large", "upsell"],
        (None, "small"): ["risk", "upsell"],
    }
    definitions = all_definitions({"a.toml": OWN, "b.toml": large, "c.toml": both})
    assert definitions_for(definitions, "reporting", "large")[0].name == "both"


def test_an_own_definition_replaces_a_shipped_namesake() -> None:
    own = GENERAL.replace('"reporting"', '"risk"')
    (risk, _) = definitions_for(all_definitions({"risk.toml": own}), None, None)
    assert risk.threshold == 40


def test_two_between_which_an_account_could_not_be_told_are_refused_with_both_files() -> None:
    with pytest.raises(ConfigError, match=r"health/risk\.toml and own\.toml: found two"):
        all_definitions({"own.toml": GENERAL})
    other = OWN.replace('"reporting"\n', '"another"\n')
    with pytest.raises(ConfigError, match=r"a\.toml and b\.toml|b\.toml and a\.toml"):
        all_definitions({"a.toml": OWN, "b.toml": other})


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"b\.toml: found a second health score.*a\.toml"):
        all_definitions({"a.toml": OWN, "b.toml": OWN})
