"""The change of what is expected: three parts, and nothing left over."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from churnml.report.change import Change, change_of
from churnml.report.retention import Chances, MoveSize, Payer, retention_of, size_of

DAY = date(2025, 3, 31)
SIZES = {"contraction": MoveSize(0.2, 50, False), "expansion": MoveSize(0.5, 50, False)}


def changed(seed: int, with_model: bool) -> Change:
    rng = np.random.default_rng(seed)
    names = [f"a{number}" for number in range(200)]
    then = {name: (float(rng.random()), int(rng.integers(1, 99_999))) for name in names[:150]}
    now = {name: (float(rng.random()), int(rng.integers(1, 99_999))) for name in names[40:]}
    again = {name: float(rng.random()) for name in then} if with_model else None
    return change_of(DAY, then, now, ("v1", "v2" if with_model else "v1"), again)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("with_model", [False, True])
def test_the_parts_sum_to_the_whole_and_so_do_those_that_are_shown(
    seed: int, with_model: bool
) -> None:
    change = changed(seed, with_model)
    assert sum(change.parts.values()) == pytest.approx(change.whole, abs=1e-6)
    assert sum(change.shown().values()) == change.shown_whole
    assert all(abs(shown - change.parts[name]) <= 200 for name, shown in change.shown().items())


def test_an_account_that_leaves_the_book_is_mix_one_that_falls_silent_is_behaviour() -> None:
    change = change_of(
        DAY, {"gone": (0.2, 1_000), "silent": (0.1, 2_000)}, {"silent": (0.6, 2_000)}, ("v1", "v1")
    )
    assert (change.mix, change.behaviour, change.model) == (-200, pytest.approx(1_000), 0)


def test_another_model_alone_is_model() -> None:
    then = {"a": (0.2, 1_000), "b": (0.1, 2_000)}
    now = {"a": (0.3, 1_000), "b": (0.4, 2_000)}
    change = change_of(DAY, then, now, ("v1", "v2"), {"a": 0.3, "b": 0.4})
    assert (change.mix, change.behaviour, change.model) == (0, 0, pytest.approx(700))


def test_growth_counts_for_nrr_and_never_for_grr() -> None:
    payers = [Payer("grew", 100, 150), Payer("left", 100, 0)]
    told = retention_of(payers, {"grew": Chances(0.0)}, SIZES, DAY, 0.9)
    assert told is not None
    assert (told.grr, told.nrr) == (0.5, 0.75)
    assert (told.grr_low, told.grr_high, told.nrr_low) == (0.5, 0.5, 0.75)


def test_an_account_without_a_score_stays_as_it_is_and_is_counted() -> None:
    told = retention_of([Payer("a", 100, 90)], {}, SIZES, DAY, 0.9)
    assert told is not None
    assert (told.nrr, told.unscored_accounts, told.unscored_mrr) == (0.9, 1, 90)
    assert retention_of([], {}, SIZES, DAY, 0.9) is None


def test_the_simulated_middle_is_the_sum_of_chances() -> None:
    payers = [Payer(f"a{number}", 100, 110) for number in range(800)]
    chances = {payer.account_id: Chances(0.1, 0.2, 0.3) for payer in payers}
    told = retention_of(payers, chances, SIZES, DAY, 0.9)
    assert told is not None
    assert told.nrr == pytest.approx(0.9 * 1.1 * (1 - 0.2 * 0.2 + 0.3 * 0.5))
    assert told.grr == pytest.approx(0.9 * (0.8 * 1.0 + 0.2 * 0.88))
    assert (told.nrr_low + told.nrr_high) / 2 == pytest.approx(told.nrr, abs=0.005)
    assert (told.grr_low + told.grr_high) / 2 == pytest.approx(told.grr, abs=0.005)


def test_too_few_moves_of_ones_own_leave_the_declared_size() -> None:
    assert size_of(-500, 2_000, 20, 0.25) == MoveSize(0.25, 20, False)
    assert size_of(-900, 2_000, 19, 0.25) == MoveSize(0.25, 19, True)
    assert size_of(-900, 2_000, 40, 0.25).share == 0.45
