"""What `churnml tune` prints of a result."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from churnml.cli import app, tune
from churnml.stages.tune import Progress, TuneResult
from churnml.training.params import FitParams

ROW = {
    "trial": 4, "state": "complete", "marks": ["chosen"], "front": True, "folds": 3,
    "log_loss": 0.25978, "log_loss_error": 0.01, "to_best": 0.00334, "to_best_error": 0.00433,
    "to_today": 0.00302, "to_today_error": 0.00638, "explaining_cost": 1148.0, "trees": 22,
}  # fmt: skip
TODAY = {**ROW, "trial": 0, "marks": ["today", "best"], "to_best": 0.0, "to_best_error": 0.0,
         "to_today": 0.0, "to_today_error": 0.0, "explaining_cost": 12358.4}  # fmt: skip
DEFAULTS = FitParams(num_leaves=15, learning_rate=0.05).model_dump()
RESULT = TuneResult(
    target="churn", study="abc", folds=({}, {}, {}), asked=50, trials=50, pruned=12, rows=(ROW, TODAY),
    params={**DEFAULTS, "num_leaves": 7, "learning_rate": 0.117}, today=DEFAULTS,
    choice="artifacts/churn/tuned.toml", front="artifacts/churn/front.png", run_id="r",
)  # fmt: skip


@pytest.fixture
def printed(monkeypatch):
    def run(result):
        text = io.StringIO()
        for module in (app, tune):
            monkeypatch.setattr(module, "out", Console(file=text, width=120, highlight=False))
        tune._show(result)
        return text.getvalue()

    return run


def test_the_front_marks_todays_parameters_and_the_chosen(printed):
    text = printed(RESULT)
    assert "50 trials, 12 pruned, on 3 purged folds" in text
    chosen, today = (line for line in text.splitlines() if "0.25978" in line)
    assert chosen.split()[:2] == ["4", "0.25978"]
    assert "+0.00334 ± 0.00433  +0.00302 ± 0.00638   1,148     22  chosen" in chosen
    assert today.endswith("today's, best")
    assert "Chosen: learning_rate 0.05 → 0.117, num_leaves 15 → 7." in text
    assert "cp artifacts/churn/tuned.toml models/churn/params.toml" in text


def test_what_was_written_needs_no_copying(printed):
    text = printed(replace(RESULT, written="models/churn/params.toml"))
    assert "Taken over to models/churn/params.toml. Next: churnml train --target churn" in text
    assert "cp " not in text


def test_todays_parameters_may_stand(printed):
    assert "Today's parameters stand" in printed(replace(RESULT, params=DEFAULTS))


def test_a_refusal_and_a_lack_of_time_are_told(printed):
    assert "Refused. churn: too few" in printed(TuneResult("churn", refused="churn: too few"))
    text = printed(replace(RESULT, trials=31))
    assert "Time ran out after 31 of 50 trials: run it again to go on." in text


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_told_on_a_terminal_and_off_it(monkeypatch, terminal):
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    monkeypatch.setattr(app, "err", console)
    monkeypatch.setattr(tune, "err", console)
    with tune._progress() as tell:
        tell(Progress("churn", 0, 20, 0, None))
        for done in range(1, 21):
            tell(Progress("churn", done, 20, done // 4, 0.25))
    said = text.getvalue()
    assert "20/20" in said if terminal else "churn: 20 of 20 trials, 5 pruned" in said
    assert "lowest log loss 0.25000" in said
    assert terminal or said.count("\n") == 3
