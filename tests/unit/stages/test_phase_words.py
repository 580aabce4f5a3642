"""What a scoring run shows while it works: words on a terminal, nothing in a pipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.console import Console

from churnml.cli import watch
from churnml.cli.watch import WORDS, watched, words
from churnml.stages import score, score_rows
from churnml.stages.phase import Phase


def test_every_phase_of_a_scoring_run_has_words() -> None:
    told = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (score, score_rows))
    assert set(re.findall(r'Phase\("(\w+)"', told)) == set(WORDS)


def test_a_target_is_named_before_what_is_done_for_it() -> None:
    assert words(Phase("reasons", "churn")) == "churn: putting reasons into words"
    assert words(Phase("store")) == "writing the store"


def test_a_terminal_shows_the_phase_and_a_pipe_shows_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "err", Console(stderr=True, force_terminal=False))
    with watched() as tell:
        tell(Phase("features"))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(watch, "err", Console(stderr=True, force_terminal=True, width=80))
    with watched() as tell:
        tell(Phase("reasons", "churn"))
    said = capsys.readouterr()
    assert said.out == ""
    assert "churn: putting reasons into words" in said.err
