"""The service needs neither training nor MLflow: it must start while they are away."""

from __future__ import annotations

import subprocess
import sys


def test_the_app_imports_neither_training_nor_optuna_nor_mlflow() -> None:
    script = (
        "import sys; sys.path[:] = " + repr(sys.path) + "\n"
        "import churnml.serve.app, churnml.serve.launch\n"
        "heavy = {'optuna', 'mlflow', 'shap', 'duckdb', 'bentoml'}\n"
        "found = sorted(heavy & set(sys.modules))\n"
        "found += [name for name in sys.modules if name.startswith('churnml.training')]\n"
        "assert not found, found"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
