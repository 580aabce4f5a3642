"""What of an account's evidence is told, and that none of it speaks against its contribution."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from churnml.config import LANGUAGES
from churnml.explain.evidence import MOVED, shown_name
from churnml.explain.reading import change_of, direction_of
from churnml.explain.reasons import reason_from_dict, reasons_for, reasons_for_rows, retell
from churnml.explain.tell import Teller
from churnml.features.catalog import BY_NAME
from churnml.features.evidence import COMPARED, FEWEST_PEERS, Evidence, with_peers

FELL = "events_change_28d_share"
ROW = {FELL: -0.5, "events_28d_per_week": 100.0}


def said(
    name: str, row: dict[str, Any], evidence: Evidence, sign: int = 1, target: str = "churn"
) -> str:
    return Teller(target, "en", "USD", {}).tell(name, sign, row, evidence=evidence)


def fell(**move: Any) -> str:
    return said(FELL, ROW, {"moves": {"events": {"moved": -400, **move}}})


def test_most_of_a_fall_is_told_by_users_and_module_as_far_as_known() -> None:
    begin = "Use fell from 200 to 100 events a week (−50% in four weeks), mostly "
    assert fell(users=2, module="analyse") == begin + "from 2 users in “analyse”"
    assert fell(users=1) == begin + "from 1 user"
    assert fell(module="analyse") == begin + "in “analyse”"
    assert fell() == "Use fell from 200 to 100 events a week (−50% on the four weeks before)"


def test_a_move_that_went_the_other_way_is_not_told() -> None:
    assert "mostly" not in said(FELL, ROW, {"moves": {"events": {"moved": 9, "users": 1}}})


def peers(of: str, median: float) -> Evidence:
    return {"peers": {"of": of, "medians": dict.fromkeys(COMPARED, median)}}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("median", "end"),
    [
        (0.02, "accounts like this one held steady"),
        (0.2, "accounts like this one rose 20%"),
        (-0.2, "accounts like this one fell only 20%"),
    ],
)
def test_peers_are_told_beside_a_fall_of_ones_own(median: float, end: str) -> None:
    assert said(FELL, ROW, peers("segment", median)).endswith(f"; {end}")
    other = end.replace("accounts like this one", "other accounts")
    assert said(FELL, ROW, peers("all", median)).endswith(f"; {other}")


@pytest.mark.parametrize("median", [-0.45, -0.8])
def test_peers_who_fell_as_far_are_no_part_of_the_reason(median: float) -> None:
    assert "account" not in said(FELL, ROW, peers("segment", median))


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize("target", ["churn", "contraction", "expansion"])
def test_peers_never_say_the_opposite_of_the_contribution(name: str, target: str) -> None:
    feature, told = BY_NAME[name], 0
    usual = change_of(feature, 0.0)  # a cadence of 1 is no change
    for own in (-1.0, -0.5, -0.12, 0.0, 0.03, 0.3, 2.0):
        for theirs in (-0.6, -0.3, 0.0, 0.1, 0.8):
            row = {name: own - usual}
            for sign in (+1, -1):
                plain = said(name, row, {}, sign, target)
                text = said(name, row, peers("all", theirs - usual), sign, target)
                if text == plain:
                    continue
                told += 1
                assert "other accounts" in text
                more = 1 if own > theirs else -1
                assert direction_of(feature, target) * more == sign, (own, theirs, sign)
    spoken = {"modules_change_28d_share", "sessions_change_28d_share", "time_change_28d_share",
              "events_28d_own_cadence_share"}  # fmt: skip
    assert (told > 0) == (name not in spoken)


def test_what_moved_is_declared_as_a_change_or_a_place_by_it() -> None:
    assert set(MOVED) <= set(BY_NAME)


def left(**roles: Any) -> Evidence:
    return {"roles": roles}


def test_who_left_and_whether_anybody_took_over() -> None:
    row = {"key_users_left_90d": 1.0}
    gone = {"holders": 0, "left_days": 23, "left_90d": 1}
    told = said("key_users_left_90d", row, left(champion=gone))
    assert told == "The champion left 23 days ago; nobody has taken over"
    silent = {**gone, "holders": 1, "silent_days": 30}
    told = said("key_users_left_90d", row, left(champion=silent))
    assert told == "A champion left 23 days ago; nobody in that role has been active since"
    never = {**gone, "holders": 1, "silent_days": None}
    assert said("key_users_left_90d", row, left(champion=never)) == told
    active = {**silent, "silent_days": 2}
    told = said("key_users_left_90d", row, left(champion=active))
    assert told == "A champion left 23 days ago"
    unknown = {**gone, "holders": 1}
    assert said("key_users_left_90d", row, left(champion=unknown)) == told
    soon = {**gone, "left_days": 2}
    assert said("key_users_left_90d", row, left(champion=soon)) == "The champion left 2 days ago"


def test_of_several_who_left_the_last_is_named() -> None:
    roles = left(
        admin={"holders": 1, "left_days": 23, "left_90d": 1, "silent_days": 1},
        champion={"holders": 0, "left_days": 60, "left_90d": 1},
    )
    assert said("key_users_left_90d", {"key_users_left_90d": 2.0}, roles) == (
        "2 people in key roles left in the last 90 days, an admin 23 days ago"
    )


def test_a_role_that_is_missing_says_why() -> None:
    name = "days_since_champion_event"
    gone = {"holders": 0, "left_days": 107, "left_90d": 0}
    for role, told in (
        (gone, "The champion left 107 days ago; nobody has taken over"),
        ({"holders": 0, "left_days": 300, "left_90d": 0}, "They have no champion"),
        ({"holders": 0}, "They have no champion"),
        ({"holders": 1, "silent_days": None}, "The champion has never been active"),
        ({"holders": 2, "silent_days": None}, "None of the 2 champions has ever been active"),
    ):
        assert said(name, {name: None}, left(champion=role)) == told
    # A departure from another role is not this role's.
    assert said(name, {name: None}, left(admin=gone)) == "No activity of a champion on record"


def test_modules_are_the_companys_own_words_as_they_are() -> None:
    assert shown_name("Abo & <b>{value}</b> [neu]", "en") == "“Abo & <b>{value}</b> [neu]”"
    assert shown_name("two\n lines\x1b[0m", "ja") == "「two lines[0m」"
    assert shown_name("x" * 60, "zh") == "“" + "x" * 39 + "…”"
    modules: Evidence = {"modules": {"used": {"names": ["{typical}", "[b]"], "count": 5}}}
    assert said("modules_28d", {"modules_28d": 5.0}, modules, -1) == (
        "Breadth of use: 5 modules used in four weeks"
    )
    teller = Teller("churn", "en", "USD", {"modules_28d": {"median": 2.0}})
    assert teller.tell("modules_28d", -1, {"modules_28d": 5.0}, evidence=modules) == (
        "They used “{typical}”, “[b]”, and 3 more in the last four weeks (typical here: 2 modules)"
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_stored_reason_is_told_again_from_its_stored_evidence(lang: str) -> None:
    evidence: Evidence = {
        "moves": {"events": {"moved": -400, "users": 2}},
        "roles": {"champion": {"holders": 0, "left_days": 23, "left_90d": 1}},
        **peers("segment", 0.0),
    }
    row = {**ROW, "key_users_left_90d": 1.0}
    parts = {FELL: 0.7, "key_users_left_90d": 0.5}
    frame = pd.DataFrame([row])
    values = np.array([list(parts.values())])
    (told,) = reasons_for_rows(
        frame, list(parts), values, "churn", lang, "USD", {}, evidence=[evidence]
    )
    alone = reasons_for(row, list(parts), values[0], "churn", lang, "USD", {}, evidence=evidence)
    assert told == alone
    plain = reasons_for(row, list(parts), values[0], "churn", lang, "USD", {})
    kept = json.loads(json.dumps(evidence))
    for reason, other in zip(told, plain, strict=True):
        assert reason.text != other.text
        again = reason_from_dict(json.loads(json.dumps(other.as_dict())))
        assert retell(again, row, Teller("churn", lang, "USD", {}), None, kept) == reason.text


def test_peers_are_the_segment_where_it_is_large_enough() -> None:
    few = FEWEST_PEERS - 1
    frame = pd.DataFrame(
        {
            "account_id": [f"a{place}" for place in range(FEWEST_PEERS + few)],
            FELL: [0.5] * FEWEST_PEERS + [-0.25] * few,
            "logins_change_28d_share": [0.1] * few + [np.nan] * FEWEST_PEERS,
        }
    )
    segments = pd.Series(["large"] * FEWEST_PEERS + ["small"] * (few - 1) + [None])
    told = with_peers({"a0": {"critics": ["admin"]}}, frame, segments)
    assert told[0] == {
        "critics": ["admin"],
        "peers": {"of": "segment", "medians": {FELL: 0.5}},
    }
    everybody = {"peers": {"of": "all", "medians": {FELL: 0.5}}}
    assert told[FEWEST_PEERS] == told[-1] == everybody
    alone = with_peers({}, frame.head(3), segments.head(3))
    assert alone == [{}, {}, {}]
