"""The benchmark of the service: what it computes from the turns."""

from __future__ import annotations

import pytest

from benchmarks.serving.inside import Called
from benchmarks.serving.run import STORED, Contest
from benchmarks.serving.servers import Driven


def a_turn(requests: int, seconds: float) -> Driven:
    return Driven(requests, seconds, 1.0, 2.0, 0, 0.5, 0.0)


def test_figures_are_medians_of_the_turns() -> None:
    found = Contest({STORED: [a_turn(100, 1.0), a_turn(900, 1.0), a_turn(400, 2.0)]}, [])
    assert found.of(STORED, "per_second") == 200.0


def test_callers_that_share_a_process_wait_for_each_other() -> None:
    turn = [Called([1.0, 2.0, 3.0, 4.0], 0.008), Called([1.0] * 10, 0.004)]
    found = Contest({}, [turn])
    assert found.called_per_second(2.0) == 7.0
    assert found.called_ms(0.99, 1) == 4.0
    assert found.called_ms(0.99, 2) == 7.0
    assert found.called_cpu_ms() == pytest.approx((2.0 + 0.4) / 2)
