"""The layer rule of the house, and what each room may reach. The contracts are in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SERVING_NEEDS_NONE_OF = ("churnml.training", "optuna", "mlflow", "shap", "matplotlib")
HELP_NEEDS_NONE_OF = ("bentoml", "duckdb", "lightgbm", "matplotlib", "mlflow", "numpy", "optuna",
                      "pandas", "pyarrow", "shap", "sklearn", "sqlalchemy")  # fmt: skip


def loaded_by(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of these modules a fresh interpreter has loaded after running `code`."""
    program = f"{code}\nimport sys\nprint(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_imports_keep_every_contract_of_the_house(root: Path) -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "COLUMNS": "200"}
    done = subprocess.run(
        [str(lint), "--no-cache"], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, (
        f"{done.stdout}{done.stderr}\nImports point down the road only (see CONTRIBUTING.md). "
        "Move the code to the room that owns it, or hand the value over as an argument."
    )


def test_serving_loads_neither_training_nor_its_libraries() -> None:
    # Beyond the contract: this also sees what a package's __init__ pulls in beside a submodule.
    walk = (
        "import importlib, pkgutil, churnml.serve as room\n"
        "for found in pkgutil.walk_packages(room.__path__, 'churnml.serve.'):\n"
        "    importlib.import_module(found.name)"
    )
    assert loaded_by(walk, SERVING_NEEDS_NONE_OF) == [], (
        "The service must start without them: they cost seconds and hundreds of megabytes, and "
        "serving has to work while MLflow is down."
    )


def test_starting_the_command_line_loads_no_heavy_library() -> None:
    assert loaded_by("import churnml.cli.main", HELP_NEEDS_NONE_OF) == [], (
        "`churnml --help` answers in under half a second: import these inside the command."
    )
