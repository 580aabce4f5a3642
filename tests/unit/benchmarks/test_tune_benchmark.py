"""The benchmark of tuning: both sides run, on folds of the same small table."""

from __future__ import annotations

import sys

import pytest

from benchmarks.training import tune


def test_tuning_and_the_plain_loop_are_judged_by_the_same_folds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"accounts": 500, "weeks": 120, "features": 8, "trials": 2, "workers": 1}
    asked = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    monkeypatch.setattr(sys, "argv", ["tune", *asked, "--peer-threads", "1"])
    assert tune.main() == 0
    text = capsys.readouterr().out
    assert "8 features" in text
    assert "plain loop" in text
    assert "of 2 trials pruned" in text
