"""The book's company and its models: simulated, trained by the defaults, compared with models without
limits. Owns which models are compared and how; times nothing.

The models without limits learn from the same rows by churnml's own way (which groups of accounts say when
to stop, which later rows calibrate), so that a difference is one of the model's size alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from churnml.scoring.bundle import booster_of
from churnml.scoring.champions import champions, export_champion
from churnml.scoring.predict import log_odds_of
from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.init import init_project
from churnml.stages.project import open_project
from churnml.stages.simulate import simulate_company
from churnml.stages.train import settings_of
from churnml.training.learn import learn
from churnml.training.params import FitParams
from churnml.training.train import cut_target, train_target

DEFAULT = "default"
QUALITY = "quality.json"  # beside the project, so that a kept company is compared once
LARGE = {"num_leaves": 63, "max_depth": -1, "extra_trees": False, "learning_rate": 0.05}
# model_construct: FitParams itself refuses a depth without limit.
UNLIMITED: Mapping[str, FitParams] = {
    "63 leaves, any depth, else as the default": FitParams.model_construct(
        **{**FitParams().model_dump(), **LARGE}
    ),
    "63 leaves, any depth, else LightGBM's defaults": FitParams.model_construct(
        **{
            **FitParams().model_dump(), **LARGE, "feature_fraction": 1.0, "lambda_l2": 0.0,
            "max_bin": 255, "cat_smooth": 10.0, "min_data_in_leaf": 20, "min_accounts_in_leaf": 0.0,
        }
    ),
}  # fmt: skip
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """A model's size, and its log loss on the out-of-time test (NaN where it was not asked for)."""

    trees: int
    leaves: int
    bytes: int
    log_loss: float = float("nan")


@dataclass(frozen=True)
class Compared:
    """One target's models. differences: the default's log loss minus the other's, and one standard error."""

    target: str
    rows: int
    accounts: int
    models: Mapping[str, Model]
    differences: Mapping[str, tuple[float, float]]


def prepare(home: Path, accounts: int, weeks: int) -> Path:
    """The folder of a project with champions by the defaults; made unless it is there."""
    folder = home / "project"
    if champions(folder / "bundles"):
        return folder
    simulate_company(home / "data", accounts, weeks, 7, rollouts=0)
    init_project(folder, str(home / "data"))
    project = open_project(folder)
    for job in _jobs(folder):
        # The gate has no say: what is measured is the time of a model of this size.
        export_champion(train_target(*job).bundle, project.bundles)
    return folder


def _jobs(folder: Path) -> list[tuple[Any, ...]]:
    """The arguments of `train_target`, of each target."""
    project = open_project(folder)
    config = project.config
    with open_tables(project) as workspace:
        built = build(workspace, config, calendar_dates(workspace, config))
        return [
            (
                built.frame, label_frame(workspace, config, target), built.features, target,
                declared, settings_of(workspace, config, target), workspace.data_through,
            )
            for target, declared in config.targets.items()
        ]  # fmt: skip


def compare_sizes(folder: Path) -> list[Compared]:
    """The default models' sizes alone."""
    found = champions(folder / "bundles")
    return [
        Compared(target, 0, 0, {DEFAULT: _size(bundle.model_text)}, {})
        for target, bundle in found.items()
    ]


def compared(folder: Path) -> list[Compared]:
    """Sizes and log losses of each target's models, made once for a folder and kept beside it."""
    kept = folder.parent / QUALITY
    if not kept.is_file():
        found = [_compare(folder, job) for job in _jobs(folder)]
        kept.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    return [
        Compared(
            **{
                **one,
                "models": {name: Model(**model) for name, model in one["models"].items()},
                "differences": {name: tuple(pair) for name, pair in one["differences"].items()},
            }
        )
        for one in json.loads(kept.read_text(encoding="utf-8"))
    ]


def _compare(folder: Path, job: tuple[Any, ...]) -> Compared:
    frame, labels, features, target, declared, settings, _ = job
    parts = cut_target(frame, labels, features, target, declared, settings).parts
    seed = settings.training.seed
    ways = {DEFAULT: FitParams(), **UNLIMITED}
    learned = Parallel(n_jobs=2)(delayed(learn)(parts, params, seed) for params in ways.values())
    test = parts.test
    losses = {
        name: _losses(one.calibration.apply(log_odds_of(booster_of(one.fitted.model_text), test.x)), test.y)
        for name, one in zip(ways, learned, strict=True)
    }  # fmt: skip
    served = champions(folder / "bundles")[target].model_text
    if _trees(learned[0].fitted.model_text) != _trees(served):
        raise ValueError(f"{target}: the default compared is not the model that is served")
    return Compared(
        target=target,
        rows=len(test),
        accounts=len(np.unique(test.accounts.astype(str))),
        models={
            name: _size(one.fitted.model_text, float(losses[name].mean()))
            for name, one in zip(ways, learned, strict=True)
        },
        differences={
            name: paired(losses[DEFAULT] - losses[name], test.accounts.astype(str))
            for name in UNLIMITED
        },
    )


def _losses(probability: Floats, y: Floats) -> Floats:
    return -np.where(y > 0.5, np.log(probability), np.log1p(-probability))


def paired(differences: Floats, accounts: npt.NDArray[Any]) -> tuple[float, float]:
    """The mean of rows' differences and its standard error, accounts as clusters: their rows repeat
    each other."""
    _, codes = np.unique(accounts, return_inverse=True)
    mean = float(differences.mean())
    sums = np.bincount(codes, weights=differences - mean)
    clusters = len(sums)
    error = np.sqrt((sums**2).sum() * clusters / (clusters - 1)) / len(differences)
    return mean, float(error)


def _size(model_text: str, log_loss: float = float("nan")) -> Model:
    booster = booster_of(model_text)
    return Model(booster.num_trees(), _leaves(booster), len(model_text.encode()), log_loss)


def _leaves(booster: lightgbm.Booster) -> int:
    return sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"])


def _trees(model_text: str) -> list[str]:
    """The lines that say what the trees are."""
    return [line for line in model_text.splitlines() if line.startswith(("split_", "leaf_value"))]
