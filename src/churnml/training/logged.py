"""What training runs kept in MLflow, read back. Owns the reading; logs and erases nothing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from churnml.errors import ChurnmlError
from churnml.scoring import registry
from churnml.training.learned_from import LEARNED_FROM_FILE
from churnml.training.track import PREDICTIONS_FILE


@dataclass(frozen=True)
class Run:
    """One run of a project. artifacts: the URI of the folder that holds its files."""

    run_id: str
    artifacts: str


def runs(uri: str, company: str) -> list[Run]:
    """All runs of a project, also those that somebody deleted, whose files are still there."""
    every = 3  # mlflow.entities.ViewType.ALL
    with registry.tracking(uri) as client:
        experiment = client.get_experiment_by_name(company)
        if experiment is None:
            return []
        found, token = [], None
        while True:
            page = client.search_runs(
                [experiment.experiment_id], run_view_type=every, page_token=token
            )
            found += [Run(run.info.run_id, run.info.artifact_uri) for run in page]
            token = page.token
            if not token:
                return found


def logged_predictions(uri: str, run_id: str) -> pd.DataFrame:
    """The out-of-time predictions that a run kept: see `TrainedTarget.predictions`.

    Raises: ChurnmlError if MLflow cannot be reached or the file is gone.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = _download(uri, run_id, PREDICTIONS_FILE, scratch)
        if path is None:
            raise ChurnmlError(
                f"MLflow run {run_id}: has no {PREDICTIONS_FILE}. Expected the file that training "
                "logged. Train the target again."
            )
        return pd.read_parquet(path)


def learned_from(uri: str, run_id: str) -> str | None:
    """The run's record of the accounts that it learned from; None if it kept none."""
    with tempfile.TemporaryDirectory() as scratch:
        path = _download(uri, run_id, LEARNED_FROM_FILE, scratch)
        return None if path is None else path.read_text(encoding="utf-8")


def _download(uri: str, run_id: str, name: str, folder: str) -> Path | None:
    with registry.tracking(uri) as client:
        if not any(item.path == name for item in client.list_artifacts(run_id)):
            return None
        return Path(client.download_artifacts(run_id, name, folder))
