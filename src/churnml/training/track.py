"""A training run's record in MLflow. Owns what is logged and under which names; trains nothing."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from churnml.scoring import registry  # first: it tells MLflow to be quiet before it is imported
from churnml.scoring.bundle import save_bundle
from churnml.training.audit import Finding, standing
from churnml.training.compare import Comparison, kept_rows
from churnml.training.evaluate import RIVAL
from churnml.training.learned_from import LEARNED_FROM_FILE
from churnml.training.train import TrainedTarget

from mlflow import MlflowClient  # isort: skip
from mlflow.entities import Metric, Param, RunTag  # isort: skip

CARD_FILE = "card.md"
PREDICTIONS_FILE = "predictions.parquet"
BASELINES_FILE = "baselines.csv"
TEST_ROWS_FILE = "test_rows.parquet"


@dataclass(frozen=True)
class RunFacts:
    """What the run's record says beside the training itself.

    uri: MLflow's tracking URI. artifact_root: where a new experiment's files go, as a URI; None
    leaves it to the server. company: the project's name, the experiment's too. tags: further tags,
    such as data_fingerprint and churnml_version. logged_at: naive UTC. learned_from: the text of
    training/learned_from.py, to be kept with the run; None keeps none.
    """

    uri: str
    artifact_root: str | None
    company: str
    tags: Mapping[str, str]
    logged_at: datetime
    learned_from: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Logged:
    """The MLflow run and the registered model version; None where a leak finding stands."""

    run_id: str
    version: registry.Version | None


def log_training(trained: TrainedTarget, facts: RunFacts, plots: Path | None = None) -> Logged:
    """Log a trained target and register its model as challenger, unless a leak finding stands.

    The run is kept either way, with what was found. plots: a folder of pictures to keep with it.
    Raises: ChurnmlError if MLflow refuses or cannot be reached.
    """
    moment = int(facts.logged_at.replace(tzinfo=UTC).timestamp() * 1000)
    with registry.tracking(facts.uri) as client, tempfile.TemporaryDirectory() as scratch:
        run = client.create_run(
            _experiment(client, facts),
            start_time=moment,
            run_name=f"{trained.target}-{trained.bundle.model_version}",
        )
        run_id = run.info.run_id
        folder = Path(scratch) / "artifacts"
        write_artifacts(trained, folder)
        if facts.learned_from is not None:
            (folder / LEARNED_FROM_FILE).write_text(facts.learned_from, encoding="utf-8")
        if plots is not None:
            shutil.copytree(plots, folder / "plots")
        client.log_artifacts(run_id, str(folder))
        model = registry.log_model(trained.bundle, folder / "bundle", run_id)
        metrics = metrics_of(trained)
        client.log_batch(  # one transaction: a call per metric would take seconds
            run_id,
            metrics=[
                Metric(key, value, moment, 0, model_id=model.model_id)
                for key, value in metrics.items()
            ],
            params=[Param(key, value) for key, value in params_of(trained).items()],
            tags=[RunTag(key, value) for key, value in tags_of(trained, facts).items()],
        )
        if standing(trained.findings):
            return Logged(run_id, None)
        # Last: a run that dies on the way leaves the challenger that was.
        version = registry.register_challenger(client, trained.bundle, model, run_id, facts.company)
    return Logged(run_id, version)


@dataclass(frozen=True)
class Record:
    """A run that makes no model: a backtest, a comparison, a tuning.

    kind: what it is, a tag. folder: its files.
    """

    kind: str
    name: str
    target: str
    metrics: Mapping[str, float]
    params: Mapping[str, str]
    tags: Mapping[str, str]
    folder: Path


def log_record(record: Record, facts: RunFacts) -> str:
    """Log it beside the trainings; returns the run's id.

    Raises: ChurnmlError if MLflow refuses or cannot be reached.
    """
    moment = int(facts.logged_at.replace(tzinfo=UTC).timestamp() * 1000)
    tags = {"kind": record.kind, "target": record.target, **record.tags, **facts.tags}
    with registry.tracking(facts.uri) as client:
        run = client.create_run(_experiment(client, facts), start_time=moment, run_name=record.name)
        run_id = str(run.info.run_id)
        client.log_artifacts(run_id, str(record.folder))
        client.log_batch(
            run_id,
            metrics=[
                Metric(key, value, moment, 0)
                for key, value in record.metrics.items()
                if math.isfinite(value)
            ],
            params=[Param(key, value) for key, value in record.params.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        client.set_terminated(run_id)
    return run_id


def _experiment(client: MlflowClient, facts: RunFacts) -> str:
    found = client.get_experiment_by_name(facts.company)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(facts.company, artifact_location=facts.artifact_root))


def metrics_of(trained: TrainedTarget) -> dict[str, float]:
    """Flat metrics: the model's by name, baselines' as `<baseline>.<metric>`, differences as
    `minus_<baseline>.<metric>`, each with `_low` and `_high`; undefined ones are left out."""
    flat: dict[str, float] = {}
    for metric, estimate in trained.evaluation.model.items():
        _put(flat, metric, estimate.as_dict())
    for baseline in trained.baselines:
        for metric, estimate in trained.evaluation.metrics[baseline.name].items():
            _put(flat, f"{baseline.name}.{metric}", estimate.as_dict())
        for metric, estimate in trained.evaluation.differences[baseline.name].items():
            _put(flat, f"minus_{baseline.name}.{metric}", estimate.as_dict())
    flat["test_rows"] = trained.evaluation.rows
    flat["test_accounts_with_outcome"] = trained.evaluation.outcomes
    flat["trees"] = trained.bundle.booster.num_trees()
    return flat


def _put(flat: dict[str, float], name: str, estimate: Mapping[str, float | None]) -> None:
    for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
        value = estimate[key]
        if value is not None and math.isfinite(value):
            flat[name + suffix] = value


def params_of(trained: TrainedTarget) -> dict[str, str]:
    """What the run was made with, as texts."""
    bundle = trained.bundle
    plain: dict[str, object] = {
        "target": trained.target,
        **bundle.papers["definition"],
        "seed": bundle.papers["seed"],
        "features": len(bundle.features),
        **{f"fit.{key}": value for key, value in trained.params.model_dump().items()},
        "gap_days": trained.split.gap_days,
        "calibration.slope": bundle.calibrator["slope"],
        "calibration.intercept": bundle.calibrator["intercept"],
    }
    for part in (trained.split.train, trained.split.calibrate, trained.split.test):
        plain[f"{part.name}_from"] = f"{part.first:%Y-%m-%d}"
        plain[f"{part.name}_until"] = f"{part.last:%Y-%m-%d}"
    return {key: str(value) for key, value in plain.items()}


def tags_of(trained: TrainedTarget, facts: RunFacts) -> dict[str, str]:
    """What the run can be found by."""
    bundle = trained.bundle
    return {
        "target": bundle.target,
        "horizon_days": str(bundle.horizon_days),
        "data_through": bundle.data_through,
        "catalog_fingerprint": bundle.catalog_fingerprint,
        "model_version": bundle.model_version,
        "promotable": str(trained.verdict.promotable).lower(),
        "verdict": " ".join(trained.verdict.objections) or "every check passed",
        "leaks_standing": _named(standing(trained.findings)),
        "leaks_waived": _named([f for f in trained.findings if f.waived is not None]),
        **facts.tags,
    }


def _named(findings: Sequence[Finding]) -> str:
    """Feature and check of each; audit.json has it all. MLflow takes 5,000 letters at most."""
    named = ", ".join(f"{finding.feature} {finding.check}" for finding in findings)
    return named[:4000] or "none"


def write_artifacts(trained: TrainedTarget, folder: Path) -> None:
    """Write the run's files to a folder: bundle, card, predictions, baselines, verdict, audit."""
    save_bundle(trained.bundle, folder / "bundle")
    (folder / CARD_FILE).write_text(trained.card, encoding="utf-8")
    trained.predictions.to_parquet(folder / PREDICTIONS_FILE, index=False)
    # With the predictions, all that `churnml compare` needs where two runs were tested on the same rows.
    kept_rows(trained.test).to_parquet(folder / TEST_ROWS_FILE, index=False)
    (folder / BASELINES_FILE).write_text(baselines_csv(trained), encoding="utf-8")
    verdict = json.dumps(trained.verdict.as_dict(), indent=1, ensure_ascii=False)
    (folder / "verdict.json").write_text(verdict + "\n", encoding="utf-8")
    found = [finding.as_dict() for finding in trained.findings]
    audit = json.dumps(found, indent=1, ensure_ascii=False)
    (folder / "audit.json").write_text(audit + "\n", encoding="utf-8")


def baselines_csv(trained: TrainedTarget) -> str:
    """model, metric, value, low, high: a line per metric of the model and its baselines."""
    lines = ["model,metric,value,low,high"]
    for name, metrics in trained.evaluation.metrics.items():
        for metric, estimate in metrics.items():
            cells = ("" if v is None else repr(v) for v in estimate.as_dict().values())
            lines.append(f"{name},{metric},{','.join(cells)}")
    return "\n".join(lines) + "\n"


def log_comparison(
    comparison: Comparison, folder: Path, tags: Mapping[str, str], facts: RunFacts
) -> str:
    """Log a comparison of two models as a run of its own; returns its id.

    folder: its tables and picture. tags: the two models, target and rows, in words.
    Raises: ChurnmlError if MLflow refuses or cannot be reached.
    """
    flat: dict[str, float] = {}
    for metric, estimate in comparison.evaluation.differences[RIVAL].items():
        _put(flat, f"a_minus_b.{metric}", estimate.as_dict())
    record = Record(
        kind="compare",
        name=tags.get("name", "compare"),
        target=tags.get("target", ""),
        metrics=flat,
        params={},
        tags=tags,
        folder=folder,
    )
    return log_record(record, facts)
