"""Models of the project in MLflow's registry: found by what people call them, and the record kept.

Imported only where MLflow is needed: it costs seconds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.bundle import Bundle, load_bundle
from churnml.scoring.champions import Step, current_champion, mark_recorded, succession
from churnml.scoring.registry import (
    CHALLENGER,
    CHAMPION,
    Run,
    Version,
    bundle_of_run,
    fetch_bundle,
    prepare,
    record_promotion,
    record_rollback,
    training_runs,
    version_of_alias,
    versions,
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


SHOWN = 8  # versions and runs in a message that lists what there is
LEAST_LETTERS = 6  # of the beginning of a run id


@dataclass(frozen=True, eq=False)
class Model:
    """One trained model of the project. asked: what it was called; run_id: its training run, if known."""

    asked: str
    bundle: Bundle
    run_id: str | None = None
    number: str | None = None

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        own = self.bundle.model_version
        return own if self.asked == own else f"{self.asked} ({own})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {
            "asked": self.asked,
            "model_version": self.bundle.model_version,
            "registered": self.number,
            "run_id": self.run_id,
        }


def find_model(project: Project, target: str, asked: str) -> Model:
    """A model by alias, number in the registry, model version or run id (its beginning is enough).

    The champion is the one that the exported pointer names.
    Raises: NotFound listing what there is.
    """
    known = registered(project, target)
    if asked == CHAMPION:
        bundle = current_champion(project.bundles, target)
        if bundle is None:
            raise _not_found(project, target, asked, known, [])
        return model_of(bundle, known, CHAMPION)
    for version in known:
        if asked in (version.number, version.model_version) or (
            asked == CHALLENGER and CHALLENGER in version.aliases
        ):
            bundle = fetch_bundle(project.tracking_uri, version)
            return Model(asked, bundle, version.run_id or None, version.number)
    runs = _runs(project, target)
    beginning = len(asked) >= LEAST_LETTERS
    mine = [
        run for run in runs if run.run_id == asked or (beginning and run.run_id.startswith(asked))
    ]
    if len(mine) != 1:
        raise _not_found(project, target, asked, known, runs)
    number = next((v.number for v in known if v.run_id == mine[0].run_id), None)
    return Model(asked, bundle_of_run(project.tracking_uri, mine[0].run_id), mine[0].run_id, number)


def model_of(bundle: Bundle, known: Sequence[Version], asked: str) -> Model:
    """A bundle with the registered version that it came from, if there is one."""
    version = version_named(known, bundle.model_version)
    if version is None:
        return Model(asked, bundle)
    return Model(asked, bundle, version.run_id or None, version.number)


def version_named(known: Sequence[Version], model_version: str) -> Version | None:
    """The registered version of a bundle's name. The same data train the same model again: of several
    the champion, else the one promoted, else the newest."""
    mine = [version for version in known if version.model_version == model_version]
    ranked = sorted(
        mine, key=lambda v: (CHAMPION in v.aliases, "promoted_at" in v.tags, int(v.number))
    )
    return ranked[-1] if ranked else None


def registered(project: Project, target: str) -> list[Version]:
    """The target's registered versions, the newest first."""
    if _no_database(project):
        return []
    return versions(project.tracking_uri, project.config.name, target)


def _runs(project: Project, target: str) -> list[Run]:
    if _no_database(project):
        return []
    return training_runs(project.tracking_uri, project.config.name, target)


def _no_database(project: Project) -> bool:
    """MLflow would make a whole database to say that it is empty."""
    own = project.own_database
    return own is not None and not own.is_file()


def _not_found(
    project: Project, target: str, asked: str, known: Sequence[Version], runs: Sequence[Run]
) -> NotFound:
    found = [
        f"version {version.number} ({version.model_version}"
        + "".join(f", {alias}" for alias in version.aliases)
        + ")"
        for version in known[:SHOWN]
    ]
    found += [
        f"run {run.run_id[:8]} of {datetime.fromtimestamp(run.started_at / 1000, UTC):%Y-%m-%d}"
        for run in runs[:SHOWN]
    ]
    listed = "; ".join(found) or "nothing yet"
    return NotFound(
        f"{project.folder}: no one model of {target} is called {asked!r}. Expected champion, challenger, a "
        f"version's number or name, or a run id. There is: {listed}. Choose one, or train: churnml train"
    )


def verdict_in_words(checks: Sequence[Any]) -> str:
    """What the gate said, short enough for a tag."""
    return "; ".join(
        f"{check['name']}: {check['result'].replace('_', ' ')}"
        + ("" if check["result"] == "passed" else f" ({check['sentence']})")
        for check in checks
    )


def complete_record(project: Project, target: str) -> None:
    """Tell MLflow of every step of the succession that it doesn't know of yet, the oldest first.

    Raises: ChurnmlError if MLflow cannot be reached or doesn't know a model; then they stay to be told.
    """
    missing = [step for step in succession(project.bundles, target) if not step.recorded]
    if not missing:
        return
    known = registered(project, target)
    for step in missing:
        _record(project, target, step, known)
    mark_recorded(project.bundles, target)


def _record(project: Project, target: str, step: Step, known: Sequence[Version]) -> None:
    version = version_named(known, step.version)
    if version is None:
        raise NotFound(
            f"MLflow: {project.tracking_uri} knows no {target} {step.version}. Expected the registry that "
            "it was trained in. Check MLFLOW_TRACKING_URI."
        )
    if step.act == "rolled_back":
        left = version_named(known, step.before) if step.before else None
        record_rollback(project.tracking_uri, version, left, step.at, step.by, step.why or "")
        return
    papers = load_bundle(project.bundles / target / step.version, with_model=False).papers
    record_promotion(
        project.tracking_uri,
        version,
        datetime.fromisoformat(step.at),
        step.by,
        step.why,
        step.forced,
        verdict_in_words(papers.get("promotion_checks", ())),
    )
