"""What every test shares. Owns how tests are marked and the quiet they run in; holds no domain data."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

# Before any library is imported. One OpenMP thread: on a busy machine two are many times slower,
# and results must not hang on how many there are. Nothing here may call home.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OTEL_SDK_DISABLED", "true")

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every run and no deadline: a test says the same on a slow machine.
# `pytest --hypothesis-profile=search` looks for new ones.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

TESTS = Path(__file__).parent
ROOT = TESTS.parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder decides: what lies in tests/integration or tests/acceptance is marked so.

    There one worker (`--dist loadgroup`) gets a whole file, and all that share the small company: it
    takes minutes to make."""
    for item in items:
        room = item.path.relative_to(TESTS).parts[0]
        if room in {"integration", "acceptance"}:
            item.add_marker(getattr(pytest.mark, room))
            shared = "company" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("company" if shared else item.path.stem))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's folder."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real raw exports; a test that asks for it fails where there is none."""
    folder = Path(os.environ.get("CHURNML_REAL_DATA", ""))
    if not folder.is_absolute() or not folder.is_dir():
        pytest.fail(
            f"CHURNML_REAL_DATA is {str(folder)!r}. Expected the absolute path of the folder that "
            "holds the real exports (oulad_2013, platform365, ravenstack, churnsim_crm). Set it, "
            "or run `make test`, which doesn't need it.",
            pytrace=False,
        )
    return folder


@dataclass(frozen=True)
class Said:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


class Commands:
    """Runs `churnml` commands as the entry point does, in this process: libraries load once."""

    def try_(self, *arguments: object, cwd: Path) -> Said:
        """Run a command, whatever comes of it. An exception that a user would see is raised."""
        from churnml.cli.main import main

        out, err = io.StringIO(), io.StringIO()
        before, code = sys.argv, 0
        sys.argv = ["churnml", *map(str, arguments)]
        try:
            with (
                contextlib.chdir(cwd),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            sys.argv = before
        return Said(code, out.getvalue(), err.getvalue())

    def __call__(self, *arguments: object, cwd: Path) -> str:
        """Run a command that has to work, and return what it printed."""
        said = self.try_(*arguments, cwd=cwd)
        assert said.code == 0, said.out + said.err
        return said.out


@pytest.fixture(scope="session")
def churnml() -> Commands:
    """`churnml(arguments…, cwd=folder)`: a command that has to work; `churnml.try_`: one that may fail."""
    return Commands()
