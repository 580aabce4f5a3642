from __future__ import annotations

import os
from dataclasses import replace

import pytest

from churnml.errors import ChurnmlError
from churnml.scoring.champions import champions, current_champion, current_version, export_champion


def test_the_exported_bundle_is_the_champion(bundle, tmp_path):
    export_champion(bundle, tmp_path)
    assert current_version(tmp_path, "churn") == bundle.model_version
    assert current_champion(tmp_path, "churn").model_text == bundle.model_text


def test_without_a_promotion_there_is_no_champion(tmp_path):
    assert current_champion(tmp_path, "churn") is None
    assert champions(tmp_path / "nowhere") == {}


def test_each_target_has_its_own_champion(bundle, other_bundle, tmp_path):
    export_champion(bundle, tmp_path)
    export_champion(replace(other_bundle, target="expansion"), tmp_path)
    found = champions(tmp_path)
    assert list(found) == ["churn", "expansion"]
    assert found["expansion"].model_version == other_bundle.model_version


@pytest.mark.parametrize("dies_at", [1, 2])
def test_a_promotion_that_dies_leaves_the_old_champion(
    bundle, other_bundle, tmp_path, monkeypatch, dies_at
):
    export_champion(bundle, tmp_path)
    really, calls = os.replace, []

    def die(source, target):
        calls.append(target)
        if len(calls) == dies_at:  # first the folder is put in its place, then the pointer
            raise OSError("killed")
        really(source, target)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(OSError, match="killed"):
        export_champion(other_bundle, tmp_path)
    assert current_champion(tmp_path, "churn").model_version == bundle.model_version
    monkeypatch.undo()
    export_champion(other_bundle, tmp_path)
    assert current_champion(tmp_path, "churn").model_version == other_bundle.model_version
    assert not list((tmp_path / "churn").glob(".*"))


def test_leftovers_of_a_killed_promotion_are_swept_by_the_next(bundle, tmp_path):
    leftover = tmp_path / "churn" / ".2024-01-01-aaaaaaaa.tmp-999"
    leftover.mkdir(parents=True)
    (leftover / "model.txt").write_text("half")
    export_champion(bundle, tmp_path)
    assert not leftover.exists()


def test_a_torn_folder_of_the_same_version_is_written_again(bundle, tmp_path):
    folder = export_champion(bundle, tmp_path)
    (folder / "model.txt").write_text("half")
    with pytest.raises(ChurnmlError, match=r"model\.txt"):
        current_champion(tmp_path, "churn")
    export_champion(bundle, tmp_path)
    assert current_champion(tmp_path, "churn").model_text == bundle.model_text


def test_promoting_the_same_version_again_renews_its_papers(bundle, tmp_path):
    export_champion(bundle, tmp_path)
    papers = {**bundle.papers, "promoted_by": "anna"}
    export_champion(replace(bundle, papers=papers), tmp_path)
    assert current_champion(tmp_path, "churn").papers["promoted_by"] == "anna"


def test_a_pointer_to_nowhere_and_a_broken_pointer_are_named(bundle, tmp_path):
    export_champion(bundle, tmp_path)
    (tmp_path / "churn" / "CURRENT").write_text("2020-01-01-deadbeef\n")
    with pytest.raises(ChurnmlError, match="2020-01-01-deadbeef"):
        current_champion(tmp_path, "churn")
    (tmp_path / "churn" / "CURRENT").write_text("../../etc\n")
    with pytest.raises(ChurnmlError, match="Expected the name of a model version"):
        current_champion(tmp_path, "churn")


def test_a_bundle_under_another_target_is_refused(bundle, tmp_path):
    export_champion(bundle, tmp_path)
    os.rename(tmp_path / "churn", tmp_path / "expansion")
    with pytest.raises(ChurnmlError, match="Expected expansion"):
        current_champion(tmp_path, "expansion")


def test_a_version_that_would_leave_the_folder_is_refused(bundle, tmp_path):
    with pytest.raises(ChurnmlError, match="cannot be a folder's name"):
        export_champion(replace(bundle, model_version="../x"), tmp_path)
