"""What actions did: the published example, accounts by lot, and how many it takes."""

from __future__ import annotations

import numpy as np
import pytest

from churnml.monitor.effect import Drawn, difference, needed, wilson


def drawn(treated: tuple[int, int], held_out: tuple[int, int], chance: float = 0.5) -> list[Drawn]:
    """(with the outcome, accounts) of both arms."""
    return [
        Drawn(f"{held}{number}", held, chance, number < came)
        for held, (came, count) in ((False, treated), (True, held_out))
        for number in range(count)
    ]


def test_the_interval_is_the_published_one() -> None:
    # Newcombe 1998, table II, example a, method 10: 56/70 - 48/80.
    found = difference(drawn((48, 80), (56, 70)))
    assert found is not None
    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.high) == (
        pytest.approx(0.0524, abs=5e-5),
        pytest.approx(0.3339, abs=5e-5),
    )
    assert found.clear
    assert not found.weighted


def test_no_outcome_at_all_is_no_certainty() -> None:
    found = difference(drawn((0, 40), (0, 30)))
    assert found is not None
    assert found.difference == 0
    assert found.low < -0.05
    assert found.high > 0.05
    assert not found.clear


def test_without_both_arms_there_is_nothing_to_compare() -> None:
    assert difference(drawn((3, 40), (0, 0))) is None
    assert difference([]) is None


def test_few_accounts_are_never_clear() -> None:
    found = difference(drawn((0, 29), (29, 29)))
    assert found is not None
    assert found.low > 0
    assert not found.enough
    assert not found.clear


def test_where_chances_differ_accounts_count_by_the_inverse_of_their_own() -> None:
    # Risky accounts (all of whom leave) were treated nine times in ten, calm ones (none) half the time:
    # actions did nothing, though of the treated many more left.
    units = [
        *(Drawn(f"r{n}", n < 100, 0.9, True) for n in range(1000)),
        *(Drawn(f"c{n}", n < 500, 0.5, False) for n in range(1000)),
    ]
    found = difference(units)
    assert found is not None
    assert found.weighted
    assert found.difference == pytest.approx(0, abs=1e-12)
    assert found.treated.happened / found.treated.accounts > 0.6
    assert found.held_out.size < found.held_out.accounts


def test_the_interval_covers_what_is_true() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        came = rng.binomial(300, 0.12), rng.binomial(60, 0.2)
        found = difference(drawn((int(came[0]), 300), (int(came[1]), 60)))
        assert found is not None
        covered += found.low <= 0.08 <= found.high
    assert covered / 400 > 0.92


def test_wilson_holds_the_share_itself() -> None:
    assert wilson(0.0, 10)[0] == 0.0
    assert wilson(1.0, 10)[1] == 1.0
    assert wilson(0.3, 50)[0] < 0.3 < wilson(0.3, 50)[1]


def test_the_accounts_needed_are_the_textbooks() -> None:
    # 30 % against 20 %, equal arms, 80 % power, two-sided 5 %, no continuity correction: 293.2.
    found = needed(0.3, 1 / 3, 1.0)
    assert found is not None
    assert (found.held_out, found.treated) == (294, 294)


def test_as_many_as_needed_find_the_effect_in_four_of_five_tries() -> None:
    asked = needed(0.3, 0.5, 4.0)
    assert asked is not None
    assert asked.treated == pytest.approx(4 * asked.held_out, abs=4)
    rng = np.random.default_rng(5)
    found = [
        difference(
            drawn((int(rng.binomial(asked.treated, 0.15)), asked.treated),
                  (int(rng.binomial(asked.held_out, 0.3)), asked.held_out))
        ) for _ in range(500)
    ]  # fmt: skip
    share = sum(one is not None and one.low > 0 for one in found) / 500
    assert 0.74 < share < 0.88


@pytest.mark.parametrize(
    ("base", "effect", "ratio"), [(0.0, 0.1, 1.0), (0.3, 0.0, 1.0), (0.3, 0.1, 0.0)]
)
def test_where_there_is_nothing_to_find_no_number_is_told(
    base: float, effect: float, ratio: float
) -> None:
    assert needed(base, effect, ratio) is None
