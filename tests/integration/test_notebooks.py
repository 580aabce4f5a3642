"""The notebooks run from top to bottom on a small project, define nothing, and keep no outputs."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.integration

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]


def code_of(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_the_three_notebooks_are_there() -> None:
    assert NAMES == ["01_explore.ipynb", "02_new_feature_template.ipynb", "03_compare_runs.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_imports_churnml_and_defines_no_function_and_no_class(path: Path) -> None:
    tree = ast.parse("\n".join(code_of(nbformat.read(path, as_version=4))))
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, defined)]
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert any(str(module).startswith("churnml.") for module in imported)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_kept_valid_and_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, walked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHURNML_PROJECT", str(walked))
    # Nobody's own settings and histories; and plots are drawn into the notebook, as for a person.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    before = {item: item.stat().st_mtime_ns for item in walked.rglob("*.parquet")}
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=1200, startup_timeout=300, kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()  # fmt: skip
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
    said = [output.text for output in shown if output.get("name") == "stderr"]
    # tqdm, which comes with other libraries, would like to draw bars.
    assert not [text for text in said if "IProgress" not in text]
    assert {item: item.stat().st_mtime_ns for item in walked.rglob("*.parquet")} == before
