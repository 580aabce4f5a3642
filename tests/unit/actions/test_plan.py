"""The plan is the best there is: against every other set on small books, and by hand."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnml.actions.plan import Candidate, best_plan, hour_more
from churnml.errors import ConfigError

# In quarters of an hour and whole money: brute force then adds without rounding.
QUARTERS = st.integers(0, 12).map(lambda n: n / 4)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        account_id=st.sampled_from("abcdef"),
        play=st.sampled_from(["p", "q", "r"]),
        hours=QUARTERS,
        worth=st.integers(-3, 12).map(float),
        csm_id=st.sampled_from([None, "ann", "bob"]),
    ),
    max_size=9,
)


def every_set(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    options: dict[str, list[Candidate | None]] = {}
    for item in candidates:
        options.setdefault(item.account_id, [None]).append(item)
    return [[item for item in combo if item] for combo in itertools.product(*options.values())]


def fits(chosen: Sequence[Candidate], hours: float, own: Mapping[str, float]) -> bool:
    return sum(item.hours for item in chosen) <= hours and all(
        sum(item.hours for item in chosen if item.csm_id == csm) <= limit
        for csm, limit in own.items()
    )


@settings(max_examples=300)
@given(
    CANDIDATES,
    QUARTERS.map(lambda n: 2 * n),
    st.dictionaries(st.sampled_from(["ann", "bob"]), QUARTERS),
)
def test_no_other_set_within_the_hours_is_worth_more(
    candidates: list[Candidate], hours: float, own: dict[str, float]
) -> None:
    plan = best_plan(candidates, hours, own)
    assert fits(plan.chosen, hours, own)
    assert len({item.account_id for item in plan.chosen}) == len(plan.chosen)
    assert all(item.worth > 0 for item in plan.chosen)
    best = max(
        sum(item.worth for item in chosen)
        for chosen in every_set(candidates)
        if fits(chosen, hours, own)
    )
    assert plan.worth == best
    assert plan.hours == sum(item.hours for item in plan.chosen)


@settings(max_examples=100)
@given(CANDIDATES, QUARTERS, st.randoms(use_true_random=False))
def test_the_order_of_the_accounts_changes_nothing(
    candidates: list[Candidate], hours: float, shuffler: random.Random
) -> None:
    other = list(candidates)
    shuffler.shuffle(other)
    assert best_plan(other, hours) == best_plan(candidates, hours)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(4, 30))
def test_a_larger_book_agrees_with_a_table_of_all_hours(seed: int, half_hours: int) -> None:
    # The textbook's dynamic programme: best worth within each number of half hours.
    rng = random.Random(seed)
    accounts = {
        f"a{place:03d}": [
            Candidate(f"a{place:03d}", play, rng.randint(1, 8) / 2, float(rng.randint(1, 5000)))
            for play in "pq"[: rng.randint(1, 2)]
        ]
        for place in range(150)
    }
    best = [0.0] * (half_hours + 1)
    for options in accounts.values():
        best = [
            max([best[room], *(best[room - int(2 * item.hours)] + item.worth
                               for item in options if 2 * item.hours <= room)])
            for room in range(half_hours + 1)
        ]  # fmt: skip
    plan = best_plan([item for options in accounts.values() for item in options], half_hours / 2)
    assert plan.worth == best[half_hours]


def test_two_small_actions_beat_the_one_that_is_worth_most_an_hour() -> None:
    # Greedy takes a (60 an hour) and has no room left for two hours of anything.
    candidates = [
        Candidate("a", "p", 1, 60),
        Candidate("b", "p", 1.5, 80),
        Candidate("c", "p", 1.5, 80),
    ]
    plan = best_plan(candidates, 3)
    assert [item.account_id for item in plan.chosen] == ["b", "c"]
    assert (plan.hours, plan.worth) == (3, 160)


def test_of_an_account_at_most_one_action_is_done() -> None:
    plan = best_plan([Candidate("a", "p", 1, 10), Candidate("a", "q", 1, 11)], 5)
    assert [item.play for item in plan.chosen] == ["q"]


def test_of_equals_the_first_accounts_by_id_are_chosen() -> None:
    candidates = [Candidate(account, "p", 1, 10) for account in "edcba"]
    assert [item.account_id for item in best_plan(candidates, 3).chosen] == ["a", "b", "c"]


def test_thirds_of_an_hour_fill_the_hour() -> None:
    thirds = [Candidate(account, "p", 1 / 3, 10) for account in "abc"]
    assert len(best_plan(thirds, 1).chosen) == 3
    tenths = [Candidate("a", "p", 0.1, 10), Candidate("b", "p", 0.2, 10)]
    assert len(best_plan(tenths, 0.3).chosen) == 2


def test_no_candidates_and_no_hours_make_an_empty_plan() -> None:
    assert best_plan([], 40).chosen == ()
    assert best_plan([Candidate("a", "p", 1, 10)], 0).chosen == ()


@pytest.mark.parametrize("hours", [-1.0, float("nan"), float("inf")])
def test_hours_that_cannot_be_are_refused(hours: float) -> None:
    with pytest.raises(ConfigError, match=r"--hours: found .* Expected 0 or more"):
        best_plan([Candidate("a", "p", 1, 10)], hours)


def test_an_hour_more_may_turn_the_plan_over() -> None:
    # With 2 hours the one of 2 is best; with 3 the one of 3, worth 5 more than it.
    candidates = [Candidate("a", "p", 2, 100), Candidate("b", "p", 3, 105)]
    plan = best_plan(candidates, 2)
    (more,) = hour_more(candidates, 2, None, plan)
    assert (more.csm_id, more.worth) == (None, 5)
    assert [item.account_id for item in more.added] == ["b"]
    assert [item.account_id for item in more.dropped] == ["a"]


def test_an_hour_more_counts_where_it_is_short() -> None:
    candidates = [
        Candidate("a", "p", 1, 10, "ann"),
        Candidate("b", "p", 1, 20, "ann"),
        Candidate("c", "p", 1, 5, "bob"),
    ]
    plan = best_plan(candidates, 8, {"ann": 1})
    assert [item.account_id for item in plan.chosen] == ["b", "c"]
    team, ann = hour_more(candidates, 8, {"ann": 1}, plan)
    assert (team.csm_id, team.worth) == (None, 0)
    assert (ann.csm_id, ann.worth, [item.account_id for item in ann.added]) == ("ann", 10, ["a"])
