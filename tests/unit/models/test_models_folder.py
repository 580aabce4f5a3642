"""What reviewers keep in models/: it parses, and it agrees with the code and the catalogue."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from churnml.config import TARGETS
from churnml.errors import ChurnmlError
from churnml.features.catalog import BY_NAME, fingerprint
from churnml.training.params import DEFAULT_SEARCH, FitParams, fit_params, search_space

MODELS = Path(__file__).parents[3] / "models"
lock_text = runpy.run_path(str(MODELS / "keep.py"))["lock_text"]
AGAIN = "A changed feature is a new model: see models/README.md, When a test sends you here."


def params_of(target: str) -> dict[str, object]:
    return tomllib.loads((MODELS / target / "params.toml").read_text("utf-8"))


def locked(target: str) -> tuple[str, list[str]]:
    """The lock's fingerprint and its lines."""
    _, head, *lines = (MODELS / target / "features.lock").read_text("utf-8").splitlines()
    told = re.fullmatch(r"# catalogue ([0-9a-f]{12}), (\d+) features", head)
    assert told, head
    assert int(told[2]) == len(lines)
    return told[1], lines


def test_each_target_has_its_folder_and_no_other_is_there() -> None:
    folders = {path.parent.name for path in MODELS.glob("*/*")} - {"__pycache__"}
    assert folders == set(TARGETS)
    for target in TARGETS:
        held = {path.name for path in (MODELS / target).iterdir()}
        assert held == {"params.toml", "card.md", "features.lock"}


@pytest.mark.parametrize("target", TARGETS)
def test_params_name_every_hyper_parameter_and_are_the_defaults(target: str) -> None:
    reviewed = params_of(target)
    assert fit_params(reviewed, f"models/{target}/params.toml") == FitParams(), (
        "Reviewed values and defaults parted. If an experiment stands behind it, record it in "
        "models/experiments.md and say here which target goes its own way."
    )
    assert set(reviewed["fit"]) == set(FitParams.model_fields)  # type: ignore[call-overload]


@pytest.mark.parametrize("target", TARGETS)
def test_the_reviewed_search_is_the_default_one(target: str) -> None:
    assert search_space(params_of(target), f"models/{target}/params.toml") == DEFAULT_SEARCH


@pytest.mark.parametrize("target", TARGETS)
def test_each_reviewed_value_says_why(target: str) -> None:
    text = (MODELS / target / "params.toml").read_text("utf-8")
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    assert len(lines) == len(FitParams.model_fields) + len(DEFAULT_SEARCH)
    assert not [line for line in lines if "# " not in line]


@pytest.mark.parametrize("target", TARGETS)
def test_the_lock_names_features_as_the_catalogue_declares_them(target: str) -> None:
    told, lines = locked(target)
    names = [line.split(" | ")[0] for line in lines]
    assert names == sorted(set(names))
    gone = [name for name in names if name not in BY_NAME]
    assert not gone, f"The catalogue declares no {gone}. {AGAIN}"
    features = [BY_NAME[name] for name in names]
    assert lines == [f"{f.name} | {f.unit} | {f.driver} | {f.family}" for f in features], AGAIN
    assert told == fingerprint(features), f"A declaration changed. {AGAIN}"


@pytest.mark.parametrize("target", TARGETS)
def test_card_and_lock_are_of_one_model(target: str) -> None:
    card = (MODELS / target / "card.md").read_text("utf-8")
    told, lines = locked(target)
    assert "simulated company" in card.split("# ")[0]
    assert f"# {target.capitalize()} within" in card
    assert f"{len(lines)} features, catalogue `{told}`" in card
    assert all(f"`{line.split(' | ')[0]}`" in card for line in lines)


def test_a_lock_is_written_sorted_and_refuses_what_nobody_declares() -> None:
    assert lock_text(["seats", "mrr"]).splitlines()[2:] == [
        f"{f.name} | {f.unit} | {f.driver} | {f.family}" for f in (BY_NAME["mrr"], BY_NAME["seats"])
    ]
    with pytest.raises(ChurnmlError, match="declares no luck"):
        lock_text(["mrr", "luck"])


@pytest.mark.parametrize("target", TARGETS)
def test_every_model_whose_card_lies_here_has_its_experiment(target: str) -> None:
    card = (MODELS / target / "card.md").read_text("utf-8")
    version = re.search(r"Version `([^`]+)`", card)
    assert version
    assert version[1] in (MODELS / "experiments.md").read_text("utf-8")
