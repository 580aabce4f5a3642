"""Models of the project in MLflow's registry. Imported only where MLflow is needed: it costs seconds."""

from __future__ import annotations

import os
import shutil
from importlib.metadata import version as installed
from pathlib import Path

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.bundle import Bundle
from churnml.scoring.registry import (
    CHALLENGER,
    Version,
    fetch_bundle,
    prepare,
    version_of_alias,
)
from churnml.stages.project import Project, write_whole


def challenger_of(project: Project, target: str) -> Version:
    """The registered version trained last. Raises: NotFound if there is none."""
    own = project.own_database
    if own is not None and not own.is_file():
        # MLflow would make a whole database to say the same.
        raise NotFound(
            f"{project.folder}: no challenger of {target}. Expected a trained model. Run: churnml train"
        )
    return version_of_alias(project.tracking_uri, project.config.name, target, CHALLENGER)


def challengers(project: Project) -> dict[str, Bundle]:
    """target -> the model trained last; targets without one are left out."""
    found: dict[str, Bundle] = {}
    for target in project.config.targets:
        try:
            version = challenger_of(project, target)
        except NotFound:
            continue
        found[target] = fetch_bundle(project.tracking_uri, version)
    return found


def prepare_database(project: Project) -> None:
    """Give a project that tracks in its own SQLite file that file, with MLflow's tables in it.

    MLflow makes its tables by a hundred migrations, which takes it many seconds and can be killed
    half-way. So they are made once per version of MLflow, in the user's cache, and copied whole.
    """
    own = project.own_database
    if own is None or own.is_file():
        return
    template = _cache(project) / f"mlflow-{installed('mlflow')}.db"
    try:
        if not template.is_file():
            write_whole(template, lambda path: prepare(f"sqlite:///{path}"))
        write_whole(own, lambda path: shutil.copyfile(template, path))
    except ChurnmlError:
        # No cache to write to: MLflow then makes the tables in place.
        prepare(project.tracking_uri)


def _cache(project: Project) -> Path:
    told = project.environment.get("XDG_CACHE_HOME")
    home = Path(told) if told else Path(os.path.expanduser("~")) / ".cache"
    return home / "churnml"
