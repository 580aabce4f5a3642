"""`features --on spark` where PySpark is not installed, or labels are asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            (),
            "churnml: --on spark: found no pyspark here. Expected PySpark 4. Install it with: "
            "pip install 'churnml[spark]'\n",
        ),
        (
            ("--labels",),
            "churnml: --labels: found together with --on spark, which makes features alone. Expected "
            "one of them. Leave --labels out, or leave --on spark out where one machine is enough.\n",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(
    churnml: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], said: str
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "pyspark"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("churnml.features.engine_spark", "churnml.sources.spark"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyspark", None)
    (tmp_path / "churnml.toml").write_text("")
    done = churnml.try_("features", "--on", "spark", "--out", "rows", *more, cwd=tmp_path)
    assert (done.code, done.err) == (2, said)
    assert not (tmp_path / "rows").exists()
