from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from churnml.errors import ChurnmlError
from churnml.scoring.bundle import load_bundle, save_bundle, version_of
from churnml.scoring.predict import predict


def test_a_bundle_read_back_predicts_the_same_to_the_last_bit(bundle, rows, tmp_path):
    save_bundle(bundle, tmp_path / "b")
    again = load_bundle(tmp_path / "b")
    assert np.array_equal(predict(again, rows), predict(bundle, rows))
    for name in ("features", "categories", "calibrator", "metrics", "papers", "model_text", "card"):
        assert getattr(again, name) == getattr(bundle, name)


def test_a_bundle_is_three_plain_files_and_leaves_nothing_beside_them(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "b")
    save_bundle(bundle, tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b"]
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "bundle.json",
        "card.md",
        "model.txt",
    ]


@pytest.mark.parametrize("name", ["bundle.json", "model.txt", "card.md"])
def test_a_torn_file_is_refused_by_name(bundle, tmp_path, name):
    save_bundle(bundle, tmp_path / "b")
    path = tmp_path / "b" / name
    path.write_text(path.read_text()[: path.stat().st_size // 2])
    with pytest.raises(ChurnmlError, match=f"b/{name}: found"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("name", ["bundle.json", "model.txt", "card.md"])
def test_a_missing_file_is_refused_by_name(bundle, tmp_path, name):
    save_bundle(bundle, tmp_path / "b")
    (tmp_path / "b" / name).unlink()
    with pytest.raises(ChurnmlError, match=f"b/{name}: found no such file"):
        load_bundle(tmp_path / "b")


def test_the_model_of_another_bundle_is_refused(bundle, other_bundle, tmp_path):
    save_bundle(bundle, tmp_path / "one")
    save_bundle(other_bundle, tmp_path / "two")
    os.replace(tmp_path / "two" / "model.txt", tmp_path / "one" / "model.txt")
    with pytest.raises(ChurnmlError, match=r"one/model\.txt: found .* of another bundle"):
        load_bundle(tmp_path / "one")


def test_a_field_that_was_changed_by_hand_is_refused(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "b")
    path = tmp_path / "b" / "bundle.json"
    plain = json.loads(path.read_text())
    plain["calibrator"]["intercept"] = 3.0
    path.write_text(json.dumps(plain))
    with pytest.raises(ChurnmlError, match="content that was changed"):
        load_bundle(tmp_path / "b")


def test_a_bundle_with_other_features_than_its_model_is_refused(bundle, tmp_path):
    save_bundle(replace(bundle, features=bundle.features[::-1]), tmp_path / "b")
    with pytest.raises(ChurnmlError, match=r"the 4 features that bundle\.json lists"):
        load_bundle(tmp_path / "b")


def test_a_value_that_is_no_json_is_refused_and_the_old_bundle_stays(bundle, tmp_path):
    save_bundle(bundle, tmp_path / "b")
    with pytest.raises(ChurnmlError, match="no plain JSON"):
        save_bundle(replace(bundle, papers={"auc": float("nan")}), tmp_path / "b")
    assert load_bundle(tmp_path / "b").papers == bundle.papers


def test_a_rename_that_fails_leaves_the_old_bundle(bundle, other_bundle, tmp_path, monkeypatch):
    save_bundle(bundle, tmp_path / "b")
    really, calls = os.replace, []

    def fail_second(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError("disk gone")
        really(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises(OSError, match="disk gone"):
        save_bundle(other_bundle, tmp_path / "b")
    assert load_bundle(tmp_path / "b").model_version == bundle.model_version


def test_the_version_names_the_day_and_changes_with_the_model_or_its_definition():
    name = version_of("2024-03-01T00:00:00", "tree", {"horizon_days": 90})
    assert name.startswith("2024-03-01-")
    assert name == version_of("2024-03-01T00:00:00", "tree", {"horizon_days": 90})
    assert name != version_of("2024-03-01T00:00:00", "tree2", {"horizon_days": 90})
    assert name != version_of("2024-03-01T00:00:00", "tree", {"horizon_days": 30})
