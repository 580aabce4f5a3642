from __future__ import annotations

import os
from dataclasses import replace

import pytest

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.champions import (
    bring_back,
    champions,
    current_champion,
    current_version,
    earlier_champion,
    export_champion,
    mark_recorded,
    succession,
)


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


AT = "2024-05-01T10:00:00"
FIRST, SECOND, THIRD = "2024-01-01-aaaaaaaa", "2024-02-01-bbbbbbbb", "2024-03-01-cccccccc"


@pytest.fixture
def three(bundle, other_bundle, tmp_path):
    papers = {
        "promoted_at": AT,
        "promoted_by": "anna",
        "promotion_why": "newer",
        "promotion_forced": True,
    }
    for made in (bundle, other_bundle, replace(bundle, model_version=THIRD)):
        export_champion(replace(made, papers={**made.papers, **papers}), tmp_path)
    return tmp_path


def back(folder) -> str:
    return bring_back(folder, "churn", AT, "ben", "it was wrong").version


def test_the_succession_is_told_from_the_oldest_with_who_when_and_why(three):
    steps = succession(three, "churn")
    assert [(step.act, step.before, step.version) for step in steps] == [
        ("promoted", None, FIRST),
        ("promoted", FIRST, SECOND),
        ("promoted", SECOND, THIRD),
    ]
    assert (steps[2].at, steps[2].by, steps[2].why, steps[2].forced) == (AT, "anna", "newer", True)
    assert succession(three, "expansion") == ()


def test_each_rollback_goes_one_champion_further_back_until_there_is_none(three):
    assert [back(three), back(three)] == [SECOND, FIRST]
    assert current_champion(three, "churn").model_version == FIRST
    with pytest.raises(NotFound, match=f"found only {FIRST}"):
        back(three)
    assert current_version(three, "churn") == FIRST
    assert [step.act for step in succession(three, "churn")][3:] == ["rolled_back", "rolled_back"]


def test_after_a_rollback_the_next_promotion_follows_the_one_that_came_back(three, bundle):
    back(three)
    export_champion(replace(bundle, model_version="2024-04-01-dddddddd"), three)
    assert earlier_champion(three, "churn") == SECOND
    assert [back(three), back(three)] == [SECOND, FIRST]


def test_a_champion_that_was_promoted_twice_comes_back_twice(three, bundle):
    export_champion(bundle, three)
    assert [back(three), back(three), back(three)] == [THIRD, SECOND, FIRST]


def test_renewing_the_champions_papers_is_no_step(three, bundle):
    export_champion(replace(bundle, model_version=THIRD), three)
    assert len(succession(three, "churn")) == 3


def test_nothing_to_roll_back_to_is_said(bundle, tmp_path):
    with pytest.raises(NotFound, match="no champion at all"):
        back(tmp_path)


def test_a_pointer_of_one_line_as_older_versions_wrote_it_is_followed(
    bundle, other_bundle, tmp_path
):
    export_champion(bundle, tmp_path)
    (tmp_path / "churn" / "CURRENT").write_text(f"{FIRST}\n")
    assert succession(tmp_path, "churn") == ()
    assert earlier_champion(tmp_path, "churn") is None
    export_champion(other_bundle, tmp_path)
    assert back(tmp_path) == FIRST


def test_a_broken_earlier_champion_leaves_the_champion_that_is(three):
    (three / "churn" / SECOND / "model.txt").write_text("half")
    with pytest.raises(ChurnmlError, match=r"model\.txt"):
        back(three)
    assert current_version(three, "churn") == THIRD
    assert len(succession(three, "churn")) == 3


def test_a_rollback_that_dies_leaves_the_champion_and_the_succession(three, monkeypatch):
    def die(source, target):
        raise OSError("killed")

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(OSError, match="killed"):
        back(three)
    assert current_version(three, "churn") == THIRD
    monkeypatch.undo()
    assert back(three) == SECOND
    assert not list((three / "churn").glob(".*"))


def test_what_mlflow_knows_is_marked_and_the_champion_stays(three):
    assert not any(step.recorded for step in succession(three, "churn"))
    mark_recorded(three, "churn")
    assert all(step.recorded for step in succession(three, "churn"))
    assert current_version(three, "churn") == THIRD


def test_a_line_that_is_no_step_is_named(three):
    with (three / "churn" / "CURRENT").open("a") as file:
        file.write("nonsense\n")
    assert current_version(three, "churn") == THIRD  # serving goes on
    with pytest.raises(ChurnmlError, match="found 'nonsense' below the champion's name"):
        earlier_champion(three, "churn")
