"""The model registry in MLflow: versions, aliases, promotions. Owns the names; fits nothing.

A target's models are the versions of `<company>-<target>`. `challenger` is the last one trained,
`champion` the one promoted. The server never comes here: it reads exported bundles."""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

# Set before MLflow is imported: it reads them then. A user's own settings win.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow.entities.model_registry import ModelVersion
from mlflow.environment_variables import MLFLOW_TRACKING_URI
from mlflow.exceptions import MlflowException
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.bundle import Bundle, load_bundle

CHALLENGER = "challenger"
CHAMPION = "champion"
LOADER = "churnml.scoring.pyfunc"
MODEL_NAME = "model"
MOST_LETTERS = 4500  # of a tag

for _chatty in ("mlflow", "alembic"):
    logging.getLogger(_chatty).setLevel(logging.ERROR)


@dataclass(frozen=True)
class Version:
    """One registered model version. number: MLflow's; model_version: the bundle's own name."""

    name: str
    number: str
    run_id: str
    model_version: str
    aliases: tuple[str, ...]
    tags: dict[str, str]


def registered_name(company: str, target: str) -> str:
    """The registry's name of a target's models."""
    return f"{company}-{target}"


@contextmanager
def tracking(uri: str) -> Iterator[mlflow.MlflowClient]:
    """A client of the MLflow server or database at `uri`, which also becomes MLflow's own default
    while it is open. A fresh SQLite database gets its tables on first use (seconds).

    Raises: ChurnmlError if MLflow refuses or cannot be reached.
    """
    before, before_registry = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    told = MLFLOW_TRACKING_URI.get_raw()
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        yield mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    except MlflowException as error:
        first = str(error).strip().splitlines()[0]
        raise ChurnmlError(
            f"MLflow: {first}. Expected a tracking server or database that answers. Check "
            "MLFLOW_TRACKING_URI, or unset it to use the project's own database."
        ) from error
    finally:
        mlflow.set_tracking_uri(before)
        mlflow.set_registry_uri(before_registry)
        # MLflow also writes its default into the environment, where it would pass for the user's.
        if told is None:
            MLFLOW_TRACKING_URI.unset()
        else:
            MLFLOW_TRACKING_URI.set(told)


def prepare(uri: str) -> None:
    """Create MLflow's tables in a fresh database. Worth calling early, in a process of its own."""
    with tracking(uri) as client:
        client.search_experiments(max_results=1)


@dataclass(frozen=True)
class LoggedModel:
    """A model that MLflow holds and that no name points to yet."""

    model_id: str
    uri: str


def log_model(bundle: Bundle, folder: Path, run_id: str) -> LoggedModel:
    """Log the bundle at `folder` as a model of a run. Nothing is pickled, nothing is inferred.

    Call inside `tracking(...)`, before the run's metrics are logged: MLflow would copy them to the
    model one by one.
    """
    with mlflow.start_run(run_id=run_id), warnings.catch_warnings():
        # It asks for an example of the input, which would be a customer's data.
        warnings.simplefilter("ignore", UserWarning)
        logged = mlflow.pyfunc.log_model(
            name=MODEL_NAME,
            loader_module=LOADER,
            data_path=str(folder),
            signature=signature_of(bundle),
            # Named, because MLflow would load the model in a fresh process to guess them (30 s).
            pip_requirements=_requirements(),
            tags={"target": bundle.target, "model_version": bundle.model_version},
        )
    return LoggedModel(logged.model_id, logged.model_uri)


def register_challenger(
    client: mlflow.MlflowClient, bundle: Bundle, logged: LoggedModel, run_id: str, company: str
) -> Version:
    """Register a logged model as the next version of its target, and make it the challenger."""
    name = registered_name(company, bundle.target)
    try:
        client.get_registered_model(name)
    except MlflowException:
        client.create_registered_model(name, description=f"churnml: {bundle.target}")
    registered = client.create_model_version(
        name, source=logged.uri, run_id=run_id, model_id=logged.model_id, tags=_tags(bundle)
    )
    client.set_registered_model_alias(name, CHALLENGER, registered.version)
    return _version(registered, (CHALLENGER,))


def signature_of(bundle: Bundle) -> ModelSignature:
    """Columns in, a number out: doubles, and texts for categories. Spelled out, never inferred:
    an inferred one of pandas categoricals cannot predict at all."""
    columns = [
        ColSpec("string", name, required=False)
        if name in bundle.categories
        else ColSpec("double", name)
        for name in bundle.features
    ]
    return ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec("double")]))


def _requirements() -> list[str]:
    found = []
    for package in ("churnml", "lightgbm", "numpy", "pandas"):
        try:
            found.append(f"{package}=={installed(package)}")
        except PackageNotFoundError:  # churnml on the path without being installed
            found.append(package)
    return found


def _tags(bundle: Bundle) -> dict[str, str]:
    verdict: dict[str, Any] = bundle.papers.get("verdict", {})
    return {
        "model_version": bundle.model_version,
        "target": bundle.target,
        "horizon_days": str(bundle.horizon_days),
        "data_through": bundle.data_through,
        "catalog_fingerprint": bundle.catalog_fingerprint,
        "promotable": str(verdict.get("promotable", False)).lower(),
    }


def _version(found: ModelVersion, aliases: tuple[str, ...] | None = None) -> Version:
    tags = dict(found.tags or {})
    return Version(
        name=found.name,
        number=str(found.version),
        run_id=found.run_id or "",
        model_version=tags.get("model_version", ""),
        aliases=tuple(found.aliases or ()) if aliases is None else aliases,
        tags=tags,
    )


def version_of_alias(uri: str, company: str, target: str, alias: str) -> Version:
    """The version that an alias names. Raises: NotFound if there is none."""
    name = registered_name(company, target)
    with tracking(uri) as client:
        try:
            return _version(client.get_model_version_by_alias(name, alias))
        except MlflowException:
            raise NotFound(
                f"registry: no {alias} of {target}. Expected a registered model version. Run "
                f"`churnml train --target {target}` first"
                + (f", then `churnml promote --target {target}`." if alias == CHAMPION else ".")
            ) from None


def fetch_bundle(uri: str, version: Version, with_model: bool = True) -> Bundle:
    """The bundle of a registered version, read into memory. with_model: see `load_bundle`.

    Raises: ChurnmlError if its files are gone or torn.
    """
    with tracking(uri) as client, tempfile.TemporaryDirectory(prefix="churnml-") as folder:
        registered = client.get_model_version(version.name, version.number)
        local = mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{registered.name}/{registered.version}", dst_path=folder
        )
        # The loader's data lie in a folder named as MLflow's model file says.
        flavour = mlflow.models.Model.load(local).flavors[mlflow.pyfunc.FLAVOR_NAME]
        return load_bundle(Path(local) / flavour[mlflow.pyfunc.DATA], with_model)


def versions(uri: str, company: str, target: str) -> list[Version]:
    """All registered versions of a target, the newest first; none is an empty list."""
    name = registered_name(company, target)
    with tracking(uri) as client:
        found = [_version(v) for v in client.search_model_versions(f"name='{name}'")]
        aliases: dict[str, list[str]] = {}
        if found:
            for alias, number in client.get_registered_model(name).aliases.items():
                aliases.setdefault(str(number), []).append(alias)
    named = (replace(v, aliases=tuple(sorted(aliases.get(v.number, ())))) for v in found)
    return sorted(named, key=lambda version: -int(version.number))


@dataclass(frozen=True)
class Run:
    """One training run. started_at: milliseconds since 1970."""

    run_id: str
    model_version: str
    started_at: int


MOST_RUNS = 200


def training_runs(uri: str, company: str, target: str) -> list[Run]:
    """The target's training runs, the newest first, 200 at most; none is an empty list."""
    with tracking(uri) as client:
        experiment = client.get_experiment_by_name(company)
        if experiment is None:
            return []
        found = client.search_runs(
            [experiment.experiment_id],
            # Runs of another kind have no model of their own.
            f"tags.target = '{target}' and tags.model_version LIKE '%'",
            max_results=MOST_RUNS,
        )
        return [
            Run(run.info.run_id, run.data.tags["model_version"], run.info.start_time)
            for run in found
            if run.data.tags.get("kind", "train") == "train"
        ]


def bundle_of_run(uri: str, run_id: str) -> Bundle:
    """The bundle that a training run left, registered or not. Raises: ChurnmlError if it is gone or torn."""
    with tracking(uri) as client, tempfile.TemporaryDirectory(prefix="churnml-") as folder:
        return load_bundle(Path(client.download_artifacts(run_id, "bundle", folder)))


def table_of_run(uri: str, run_id: str, name: str) -> pd.DataFrame | None:
    """A Parquet file that a run left, in memory; None if it has no such file."""
    with tracking(uri) as client, tempfile.TemporaryDirectory(prefix="churnml-") as folder:
        if name not in {item.path for item in client.list_artifacts(run_id)}:
            return None
        return pd.read_parquet(client.download_artifacts(run_id, name, folder))


def record_promotion(
    uri: str,
    version: Version,
    promoted_at: datetime,
    promoted_by: str,
    why: str | None,
    forced: bool,
    verdict: str = "",
) -> None:
    """Give a version the champion alias and write down who promoted it, why, whether by force, and what
    the gate had said.

    Call after the bundle is exported: the exported pointer decides, this is the record of it.
    """
    tags = {
        "promoted_at": promoted_at.isoformat(),
        "promoted_by": promoted_by,
        "promotion_forced": str(forced).lower(),
        "promotion_why": why or "",
        "promotion_verdict": verdict,
    }
    with tracking(uri) as client:
        _set_tags(client, version, tags)
        client.set_registered_model_alias(version.name, CHAMPION, version.number)


def record_refusal(uri: str, version: Version, at: datetime, by: str, verdict: str) -> None:
    """Write down that a version was to be promoted and its gate refused. Aliases stay."""
    tags = {"refused_at": at.isoformat(), "refused_by": by, "promotion_verdict": verdict}
    with tracking(uri) as client:
        _set_tags(client, version, tags)


def record_rollback(
    uri: str, back: Version, left: Version | None, at: str, by: str, why: str
) -> None:
    """Give the champion alias back to an earlier version, and write down on both who did so and why.

    left: the version that was champion; None if the registry doesn't know it.
    """
    with tracking(uri) as client:
        for version, prefix in ((back, "brought_back"), (left, "rolled_back")):
            if version is not None:
                tags = {f"{prefix}_at": at, f"{prefix}_by": by, f"{prefix}_why": why}
                _set_tags(client, version, tags)
        client.set_registered_model_alias(back.name, CHAMPION, back.number)


def _set_tags(client: mlflow.MlflowClient, version: Version, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        # MLflow takes 5,000 letters at most.
        client.set_model_version_tag(version.name, version.number, key, value[:MOST_LETTERS])
