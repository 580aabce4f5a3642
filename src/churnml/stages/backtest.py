"""Backtest the targets: build → label → train at several origins → tables, rows, plots, MLflow."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from churnml import __version__
from churnml.config import target_of
from churnml.errors import Refused
from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.project import Project, write_whole
from churnml.stages.registry import prepare_database
from churnml.stages.train import data_fingerprint, params_of, settings_of
from churnml.training.backtest import UNSEEN, Backtest, backtest
from churnml.training.backtest_plots import draw_backtest
from churnml.training.evaluate import MODEL, Estimate, Evaluation
from churnml.training.params import fit_params
from churnml.training.track import Record, RunFacts, log_record

PREDICTIONS = "backtest.parquet"
METRICS_FILE = "metrics.csv"
Metrics = Mapping[str, Mapping[str, Mapping[str, float | None]]]


@dataclass(frozen=True)
class FoldResult:
    """One origin. metrics: "model" and each baseline -> metric -> {"value", "low", "high"}."""

    test_first: str
    test_last: str
    train_last: str
    rows: int
    outcomes: int
    trees: int
    metrics: Metrics


@dataclass(frozen=True)
class BacktestResult:
    """What became of one target: `refused` says why there is none, the rest tells of it.

    pooled: all folds as one test. unseen: "model" and "unseen" on the same rows; "difference" is the
    first less the second. predictions: the file that keeps every row.
    """

    target: str
    refused: str | None = None
    folds: tuple[FoldResult, ...] = ()
    pooled: Metrics | None = None
    differences: Metrics | None = None
    unseen: Metrics | None = None
    rows: int = 0
    outcomes: int = 0
    run_id: str | None = None
    predictions: str | None = None


def run_backtest(
    project: Project,
    targets: Sequence[str] = (),
    folds: int | None = None,
    families: Sequence[str] = (),
    say: Callable[[str], None] = lambda _: None,
) -> list[BacktestResult]:
    """Backtest the targets (default: all declared); the champion and the challenger stay as they are.

    folds: origins, instead of training.folds. A target that cannot be backtested is refused with the
    reason; the others go on.
    Raises: ConfigError for an unknown target or family; ContractError, SourceError.
    """
    config = project.config
    chosen = list(dict.fromkeys(targets)) or list(config.targets)
    for target in chosen:
        target_of(config, target)
    results = []
    say("Reading and checking the tables …")
    with ThreadPoolExecutor(1) as pool, open_tables(project) as workspace:
        database = pool.submit(prepare_database, project)
        dates = calendar_dates(workspace, config)
        say(
            f"Building features at {len(dates)} dates, {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d} …"
        )
        built = build(workspace, config, dates, families or config.training.families)
        say(f"{len(built.frame):,} snapshots, {len(built.features)} features.")
        for target in chosen:
            labels = label_frame(workspace, config, target)
            settings = settings_of(workspace, config, target)
            if folds is not None:
                training = settings.training.model_copy(update={"folds": folds})
                settings = replace(settings, training=training)
            where = f"models/{target}/params.toml"
            try:
                found = backtest(
                    built.frame, labels, built.features, target, target_of(config, target),
                    settings, fit_params(params_of(project, target), where), project.workers, say,
                )  # fmt: skip
            except Refused as refusal:
                results.append(BacktestResult(target, refused=str(refusal)))
                continue
            database.result()
            results.append(_keep(project, found, data_fingerprint(built.frame, labels)))
    return results


def _keep(project: Project, found: Backtest, fingerprint: str) -> BacktestResult:
    path = project.artifacts / found.target / PREDICTIONS
    write_whole(path, lambda temporary: found.predictions.to_parquet(temporary, index=False))
    facts = RunFacts(
        uri=project.tracking_uri,
        artifact_root=project.artifact_root,
        company=project.config.name,
        tags={"data_fingerprint": fingerprint, "churnml_version": __version__},
        logged_at=project.now,
    )
    with tempfile.TemporaryDirectory(prefix="churnml-backtest-") as name:
        folder = Path(name)
        found.predictions.to_parquet(folder / PREDICTIONS, index=False)
        metrics_frame(found).to_csv(folder / METRICS_FILE, index=False)
        draw_backtest(found, folder / "plots")
        run_id = log_record(
            Record(
                kind="backtest",
                name=f"{found.target}-backtest",
                target=found.target,
                metrics=_flat(found),
                params={"folds": str(len(found.folds)), "target": found.target},
                tags={},
                folder=folder,
            ),
            facts,
        )
    return BacktestResult(
        target=found.target,
        folds=tuple(
            FoldResult(
                test_first=f"{fold.split.test.first:%Y-%m-%d}",
                test_last=f"{fold.split.test.last:%Y-%m-%d}",
                train_last=f"{fold.split.train.last:%Y-%m-%d}",
                rows=fold.evaluation.rows,
                outcomes=fold.evaluation.outcomes,
                trees=fold.trees,
                metrics=_plain(fold.evaluation.metrics),
            )
            for fold in found.folds
        ),
        pooled=_plain(found.pooled.metrics),
        differences=_plain(found.pooled.differences),
        unseen=_unseen(found.unseen),
        rows=found.pooled.rows,
        outcomes=found.pooled.outcomes,
        run_id=run_id,
        predictions=str(path),
    )


def _plain(metrics: Mapping[str, Mapping[str, Estimate]]) -> Metrics:
    return {
        name: {metric: estimate.as_dict() for metric, estimate in estimates.items()}
        for name, estimates in metrics.items()
    }


def _unseen(evaluation: Evaluation | None) -> Metrics | None:
    if evaluation is None:
        return None
    return {
        **_plain(evaluation.metrics),
        "difference": _plain(evaluation.differences)[UNSEEN],
    }


def metrics_frame(found: Backtest) -> pd.DataFrame:
    """One row per view, model and metric: fold ("1" …, "all", "unseen"), model, metric, value, low, high."""
    views = {str(k): fold.evaluation for k, fold in enumerate(found.folds, start=1)}
    views["all"] = found.pooled
    if found.unseen is not None:
        views["unseen"] = found.unseen
    rows: list[dict[str, Any]] = [
        {"fold": view, "model": name, "metric": metric, **estimate.as_dict()}
        for view, evaluation in views.items()
        for name, estimates in evaluation.metrics.items()
        for metric, estimate in estimates.items()
    ]
    return pd.DataFrame(rows)


def _flat(found: Backtest) -> dict[str, float]:
    flat: dict[str, float] = {}
    for metric, estimate in found.pooled.model.items():
        flat |= {
            metric: estimate.value,
            f"{metric}_low": estimate.low,
            f"{metric}_high": estimate.high,
        }
    if found.unseen is not None:
        for metric, estimate in found.unseen.metrics[UNSEEN].items():
            flat[f"unseen.{metric}"] = estimate.value
    for k, fold in enumerate(found.folds, start=1):
        for metric, estimate in fold.evaluation.metrics[MODEL].items():
            flat[f"fold{k}.{metric}"] = estimate.value
    return flat
