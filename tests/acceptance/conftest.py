"""The real projects of CHURNML_REAL_DATA: each walks the whole road once, by commands alone."""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
RAN: dict[str, str] = {}


class RealProject:
    """A copy of an example project, and what its commands said."""

    def __init__(self, name: str, folder: Path, churnml: Any):
        self.name, self.folder, self._churnml = name, folder, churnml
        self.began = time.monotonic()
        shutil.copytree(EXAMPLES / name, folder)

    def run(self, *arguments: object, fails: bool = False) -> str:
        said = self._churnml.try_(*arguments, cwd=self.folder)
        assert (said.code != 0) == fails, said.out + said.err
        return str(said.out + said.err if fails else said.out)

    def train(self, *arguments: str) -> dict[str, Any]:
        return {r["target"]: r for r in json.loads(self.run("train", "--json", *arguments))}

    def score_and_report(self) -> None:
        """Scores with reasons and the report, from the champions if there are, else challengers."""
        alias = "champion" if (self.folder / "bundles").is_dir() else "challenger"
        self.run("score", "--alias", alias, "--out", "scores.parquet")
        self.run("report", "--alias", alias)
        assert (self.folder / "report.html").stat().st_size > 10_000


@pytest.fixture(scope="module")
def project(
    request: pytest.FixtureRequest, churnml: Any, real_data: Path, tmp_path_factory: Any
) -> RealProject:
    name = request.module.NAME
    return RealProject(name, tmp_path_factory.mktemp(name) / name, churnml)


@pytest.fixture(autouse=True)
def figures(project: RealProject, record_property: Any) -> Iterator[None]:
    """Notes after each test how long its project has taken, and the process's peak memory."""
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    told = f"{time.monotonic() - project.began:.0f} s, peak memory so far {peak:.1f} GB"
    record_property(project.name, told)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown" and "acceptance" in report.keywords:
        RAN.update({name: str(told) for name, told in report.user_properties})


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if RAN:
        terminalreporter.write_line(f"real projects run: {len(RAN)}")
        for name, told in RAN.items():
            terminalreporter.write_line(f"  {name}: {told}")
