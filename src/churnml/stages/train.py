"""Train the targets: build → label → train → log to MLflow → register as challenger."""

from __future__ import annotations

import hashlib
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from churnml import __version__
from churnml.config import Config, target_of
from churnml.errors import ConfigError, Refused
from churnml.sources.workspace import Workspace
from churnml.stages.audit import check_waivers, rebuilt_findings
from churnml.stages.build import (
    Built,
    build,
    calendar_dates,
    label_frame,
    open_tables,
    target_basis,
)
from churnml.stages.key import project_key
from churnml.stages.project import Project, write_whole
from churnml.stages.registry import prepare_database
from churnml.training.audit import STATISTICAL, Finding, unmatched
from churnml.training.gate import no_leak
from churnml.training.learned_from import learned_from_text
from churnml.training.plots import draw_plots
from churnml.training.track import RunFacts, log_training
from churnml.training.train import Settings, TrainedTarget, train_target

PREDICTIONS = "predictions.parquet"
SIDE_BY_SIDE_ROWS = 10_000  # snapshots from which further processes are worth their start (seconds)


@dataclass(frozen=True)
class Result:
    """What became of one target: `refused` says why there is no challenger, the rest tells of it.

    A model whose features know too much is refused too, and its run kept: then only `registered` is
    missing.

    metrics: "model" and each baseline -> metric -> {"value", "low", "high"}.
    """

    target: str
    refused: str | None = None
    model_version: str | None = None
    registered: str | None = None
    run_id: str | None = None
    promotable: bool = False
    checks: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, Mapping[str, Mapping[str, float | None]]] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)
    predictions: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def train(
    project: Project,
    targets: Sequence[str] = (),
    families: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[Result]:
    """Train the targets (default: all declared) and leave each as challenger.

    A target that cannot be trained honestly is refused with the reason; the others go on. So is one
    with a feature that the leak audit finds and nobody waived.
    Raises: ConfigError for an unknown target or family, or a waiver of an unknown feature;
    ContractError, SourceError.
    """
    config = project.config
    chosen = list(dict.fromkeys(targets)) or list(config.targets)
    for target in chosen:
        target_of(config, target)
    check_waivers(config.audit)
    results = []
    say("Reading and checking the tables …")
    # MLflow's tables take seconds to make: a thread makes them while DuckDB works on the features.
    with ThreadPoolExecutor(1) as pool, open_tables(project) as workspace:
        database = pool.submit(prepare_database, project)
        dates = calendar_dates(workspace, config)
        say(
            f"Building features at {len(dates)} dates, {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d} …"
        )
        built = build(workspace, config, dates, families or config.training.families)
        say(f"{len(built.frame):,} snapshots, {len(built.features)} features.")
        all_findings: list[Finding] = []
        say(f"Training {', '.join(chosen)} …")
        for target, labels, trained in _trained(project, workspace, built, chosen):
            if isinstance(trained, Refused):
                results.append(Result(target, refused=str(trained)))
                continue
            database.result()
            results.append(_keep(project, trained, built, labels))
            all_findings += trained.findings
            say(f"{target} is trained: {trained.bundle.model_version}.")
    if set(chosen) == set(config.targets) and all(result.run_id for result in results):
        mine = [waiver for waiver in config.audit.waive if waiver.check in STATISTICAL]
        for waiver in unmatched(all_findings, mine):
            say(
                f"churnml.toml waives {waiver.check} of {waiver.feature}, which no target needs any "
                "more: remove it."
            )
    return results


def _trained(
    project: Project, workspace: Workspace, built: Built, targets: Sequence[str]
) -> Iterator[tuple[str, pd.DataFrame, TrainedTarget | Refused]]:
    """Each target with its labels and its model, or why there is none; side by side where that pays."""
    config = project.config
    frames = {target: label_frame(workspace, config, target) for target in targets}
    workers = min(project.workers, len(targets)) if len(built.frame) >= SIDE_BY_SIDE_ROWS else 1
    run = Parallel(n_jobs=workers, return_as="generator")
    found = run(
        delayed(_try)(
            built.frame, frames[target], built.features, target, target_of(config, target),
            replace(
                settings_of(workspace, config, target),
                rebuilt=rebuilt_findings(project, target) or (),
            ),
            workspace.data_through, params_of(project, target),
        )
        for target in targets
    )  # fmt: skip
    for target, trained in zip(targets, found, strict=True):
        yield target, frames[target], trained


def _try(*arguments: Any) -> TrainedTarget | Refused:
    try:
        return train_target(*arguments)
    except Refused as refusal:
        return refusal


def settings_of(workspace: Workspace, config: Config, target: str) -> Settings:
    """What training a target needs of the configuration."""
    return Settings(
        grace_days=config.ledger.grace_days,
        basis=target_of(config, target).basis or target_basis(workspace, config),
        currency=workspace.currency,
        split=config.split,
        training=config.training,
        capacity=config.capacity,
        gates=config.gates,
        audit=config.audit,
        value=config.value,
    )


def params_of(project: Project, target: str) -> Mapping[str, Any] | None:
    """The parsed models/<target>/params.toml; None where there is none. Raises: ConfigError."""
    found = project.params_text(target)
    if found is None:
        return None
    text, where = found
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{where}: not valid TOML: {error}. Expected [fit] with key = value lines. Correct it."
        ) from None


def _keep(project: Project, trained: TrainedTarget, built: Built, labels: pd.DataFrame) -> Result:
    """Leave the predictions in the project, the run and the challenger in MLflow."""
    path = project.artifacts / trained.target / PREDICTIONS
    write_whole(path, lambda temporary: trained.predictions.to_parquet(temporary, index=False))
    facts = RunFacts(
        uri=project.tracking_uri,
        artifact_root=project.artifact_root,
        company=project.config.name,
        tags={
            "data_fingerprint": data_fingerprint(built.frame, labels),
            "churnml_version": __version__,
        },
        logged_at=project.now,
        learned_from=learned_from_text(trained.learned_accounts, project_key(project)),
    )
    with tempfile.TemporaryDirectory(prefix="churnml-plots-") as folder:
        plots = Path(folder)
        draw_plots(trained, built.features, plots, project.config.training.seed)
        logged = log_training(trained, facts, plots)
    verdict = trained.verdict.as_dict()
    version = logged.version
    return Result(
        target=trained.target,
        refused=None if version else f"Not registered. {no_leak(trained.findings).sentence}",
        model_version=trained.bundle.model_version,
        registered=f"{version.name} version {version.number}" if version else None,
        run_id=logged.run_id,
        promotable=trained.verdict.promotable,
        checks=tuple(verdict["checks"]),
        metrics={"model": trained.bundle.metrics, **trained.bundle.papers["baselines"]},
        split=trained.bundle.papers["split"],
        predictions=str(path),
    )


def data_fingerprint(frame: pd.DataFrame, labels: pd.DataFrame) -> str:
    """Twelve hex digits that change when any feature or label of any snapshot changes."""
    digest = hashlib.sha256()
    for part in (frame, labels[["account_id", "as_of", "label"]]):
        digest.update(",".join(part.columns).encode())
        digest.update(pd.util.hash_pandas_object(part, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:12]
