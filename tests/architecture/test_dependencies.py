"""The locks: whole, free of addresses, and what is really installed."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = (
    "requirements.lock", "requirements-dev.lock", "requirements-spark.lock", "requirements-uv.lock",
)  # fmt: skip
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Where the name of the import isn't the name of the distribution.
DISTRIBUTION = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
# Declared, though no line imports them.
NOT_IMPORTED = {
    "dask": "of the extra `distributed`, which pipelines/examples/train_distributed.py needs",
    "distributed": "the same",
    "httptools": "uvicorn reads HTTP with it where it is there",
    "opentelemetry-sdk": "bentoml's, with a release that pip must be kept from",
    "psycopg": "SQLAlchemy's driver, named by the store's URL",
    "uvloop": "uvicorn turns its loop with it where it is there",
}
# What users may ask for: pip install 'churnml[postgres]'.
EXTRAS = [
    line
    for extra, lines in PROJECT["optional-dependencies"].items()
    if extra != "dev"
    for line in lines
]


def entries(lock: str) -> Iterator[str]:
    """The lock's requirements, each with its hashes, as one line."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    yield from (entry for entry in bare.replace("\\\n", " ").splitlines() if entry.strip())


def pins(lock: str) -> dict[str, str]:
    """Name -> version of what the lock installs on this interpreter and system."""
    found = {}
    for entry in entries(lock):
        requirement = Requirement(entry.split("--hash")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = str(requirement.specifier)[2:]
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_each_line_of_a_lock_is_one_version_with_hashes_and_no_address(lock: str) -> None:
    shape = re.compile(r"[a-z0-9][a-z0-9.-]*==[\w.+!]+( ; [^;]*?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    odd = [entry for entry in entries(lock) if not shape.fullmatch(entry.strip())]
    assert not odd, f"{lock}: {odd[:3]}. Write it with `make lock`."


def test_what_is_installed_is_what_the_lock_says() -> None:
    # An unpinned resolve once fell back to a bentoml of 2020 without a word.
    installed = {
        canonicalize_name(found.metadata["Name"]): found.version for found in distributions()
    }
    parted = {
        name: f"{installed.get(name)} installed, {locked} locked"
        for name, locked in pins("requirements-dev.lock").items()
        if installed.get(name) != locked
    }
    assert not parted, f"{parted}. Call `make setup`."


def test_the_dev_lock_only_adds_to_the_runtime_lock() -> None:
    runtime, dev = pins("requirements.lock"), pins("requirements-dev.lock")
    parted = {name: (pin, dev.get(name)) for name, pin in runtime.items() if dev.get(name) != pin}
    assert not parted, f"{parted}: what is tested must be what runs. Call `make lock`."


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS])
def test_a_declared_dependency_is_locked_within_its_range(line: str) -> None:
    requirement = Requirement(line)
    lock = "requirements.lock"
    if line in EXTRAS:
        lock = "requirements-spark.lock" if line.startswith("pyspark") else "requirements-dev.lock"
    locked = pins(lock).get(canonicalize_name(requirement.name))
    assert locked is not None, f"{line} is not in {lock}. Call `make lock`."
    assert requirement.specifier.contains(locked), f"{line}, locked {locked}. Call `make lock`."


def imported() -> dict[str, str]:
    """Distribution -> one file of the package that imports it."""
    found = {}
    for path in sorted((ROOT / "src" / "churnml").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for top in (name.partition(".")[0] for name in names):
                if top != "churnml" and top not in sys.stdlib_module_names:
                    found[canonicalize_name(DISTRIBUTION.get(top, top))] = path.name
    return found


def test_each_library_that_the_code_imports_is_declared_and_no_other() -> None:
    declared = {
        canonicalize_name(Requirement(line).name) for line in [*PROJECT["dependencies"], *EXTRAS]
    }
    used = imported()
    undeclared = {name: file for name, file in used.items() if name not in declared}
    assert not undeclared, f"{undeclared}: add them to pyproject.toml, or do without."
    unused = declared - set(used) - set(NOT_IMPORTED)
    assert not unused, f"{sorted(unused)}: nothing imports them. Take them out of pyproject.toml."
