"""The last champion back: one swap of the pointer, then the record in MLflow.

Owns the order. Needs MLflow for the record alone, and works while it is down: the record is completed by
the next promotion or rollback. Touches no score."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from churnml.config import target_of
from churnml.errors import ChurnmlError, ConfigError, NotFound
from churnml.scoring.champions import bring_back, current_version, earlier_champion
from churnml.stages.project import Project

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


@dataclass(frozen=True)
class Rollback:
    """One target's champion that came back. before: who was champion until now.

    not_recorded: why MLflow doesn't know of it yet; None if it does.
    """

    target: str
    model_version: str
    before: str
    by: str
    why: str
    not_recorded: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return asdict(self)


def rollback(
    project: Project,
    targets: Sequence[str],
    why: str | None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Rollback]:
    """Bring back the champion before the current one, of each target; again goes one further back.

    Raises: ConfigError without a target or a reason; NotFound if a target has no earlier champion (then no
    target's is changed); ChurnmlError if its bundle is broken.
    """
    chosen = list(dict.fromkeys(targets))
    if not chosen:
        raise ConfigError(
            "--target: found none. Expected one of "
            f"{', '.join(project.config.targets)}, because a rollback is about one model. Name it."
        )
    if not (why and why.strip()):
        raise ConfigError(
            "--why: found no reason. Expected --why TEXT, because who trains the next model must know what "
            "was wrong with this one. Say why."
        )
    for target in chosen:
        target_of(project.config, target)
    without = [t for t in chosen if earlier_champion(project.bundles, t) is None]
    if without:
        found = "; ".join(
            f"{target} has {current_version(project.bundles, target) or 'no champion'} alone"
            for target in without
        )
        raise NotFound(
            f"{project.folder}: nothing to roll back to: {found}. Expected a champion before it. Champions "
            "are as they were. Promote another model: churnml promote"
        )
    return [_rollback(project, target, why.strip(), say) for target in chosen]


def _rollback(project: Project, target: str, why: str, say: Callable[[str], None]) -> Rollback:
    who = who_asks(project)
    step = bring_back(project.bundles, target, project.now.isoformat(), who, why)
    say(f"{target}: {step.version} is champion again. Recording it in MLflow …")
    return Rollback(target, step.version, step.before or "", who, why, _record(project, target))


def _record(project: Project, target: str) -> str | None:
    """Complete MLflow's record; why it could not be, in words, or None."""
    own = project.own_database
    if own is not None and not own.is_file():
        return f"{own}: no such file"
    from churnml.stages.registry import complete_record  # MLflow costs seconds

    told = os.environ.get(RETRIES)
    # A server that is down would be asked again for minutes, and the record can wait.
    os.environ.setdefault(RETRIES, "1")
    try:
        complete_record(project, target)
    except ChurnmlError as error:
        return str(error)
    finally:
        if told is None:
            os.environ.pop(RETRIES, None)
    return None


def who_asks(project: Project) -> str:
    """Who promotes or rolls back: CHURNML_USER, or the name of the login."""
    told = project.environment.get("CHURNML_USER")
    if told:
        return told
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
