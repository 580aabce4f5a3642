"""What the commands print: users' words as they stand."""

from __future__ import annotations

import pytest

from churnml.cli.app import say, table


def test_brackets_are_words_and_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table("Faults", ["what to do"], [["correct [tables.users] in [/churnml.toml]"]])
    say("reading [tables.users]")
    printed = capsys.readouterr()
    assert "correct [tables.users] in [/churnml.toml]" in printed.out
    assert "reading [tables.users]" in printed.err
