"""A bundle is text from the project's own folder: nothing else is followed, and nothing in it is run."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from churnml.errors import ChurnmlError
from churnml.scoring.champions import current_champion, export_champion, kept_bundle
from churnml.scoring.predict import probabilities, raw_scores

SOURCE = Path(__file__).resolve().parents[3] / "src" / "churnml"
UNSAFE = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}


@pytest.mark.parametrize("room", ["scoring", "serve"])
def test_what_scores_imports_nothing_that_loads_code(room):
    for path in sorted((SOURCE / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {(node.module or "").split(".")[0]}
            else:
                continue
            assert not names & UNSAFE, path.name


def test_reading_a_bundle_and_scoring_with_it_unpickles_nothing(bundle, tmp_path):
    export_champion(bundle, tmp_path)
    found: list[str] = []
    watching = [True]

    def watch(event, _):
        if watching[0] and event in ("pickle.find_class", "marshal.loads"):
            found.append(event)

    sys.addaudithook(watch)  # it stays for good, and silent
    read = current_champion(tmp_path, "churn")
    raw = raw_scores(read, np.zeros((2, len(read.features))))
    probabilities(read, raw)
    watching[0] = False
    assert "pickle.find_class" not in found


def test_a_version_that_is_a_link_out_of_the_project_is_refused(bundle, tmp_path):
    export_champion(bundle, tmp_path / "elsewhere")
    (tmp_path / "bundles" / "churn").mkdir(parents=True)
    away = tmp_path / "elsewhere" / "churn" / bundle.model_version
    os.symlink(away, tmp_path / "bundles" / "churn" / bundle.model_version)
    (tmp_path / "bundles" / "churn" / "CURRENT").write_text(bundle.model_version + "\n")
    with pytest.raises(ChurnmlError, match="leads out of the project"):
        current_champion(tmp_path / "bundles", "churn")
    with pytest.raises(ChurnmlError, match="leads out of the project"):
        kept_bundle(tmp_path / "bundles", "churn", bundle.model_version)


@pytest.mark.parametrize("name", ["model.txt", "bundle.json", "card.md"])
def test_a_file_that_is_a_link_out_of_the_project_is_refused(bundle, tmp_path, name):
    folder = export_champion(bundle, tmp_path / "bundles")
    os.rename(folder / name, tmp_path / name)
    os.symlink(tmp_path / name, folder / name)
    with pytest.raises(ChurnmlError, match="leads out of the project"):
        current_champion(tmp_path / "bundles", "churn")


@pytest.mark.parametrize("version", ["..", "../../etc", "/etc", "a/b", ".hidden", "", "x\x00"])
def test_a_pointer_that_leads_elsewhere_is_refused(bundle, tmp_path, version):
    export_champion(bundle, tmp_path)
    (tmp_path / "churn" / "CURRENT").write_text(version + "\n")
    with pytest.raises(ChurnmlError, match="Expected the name of a model version"):
        current_champion(tmp_path, "churn")
    assert kept_bundle(tmp_path, "churn", version) is None


def test_bundles_that_lie_elsewhere_as_a_whole_are_the_projects_own(bundle, tmp_path):
    export_champion(bundle, tmp_path / "volume")
    os.symlink(tmp_path / "volume", tmp_path / "bundles")
    read = current_champion(tmp_path / "bundles", "churn")
    assert read.model_version == bundle.model_version
