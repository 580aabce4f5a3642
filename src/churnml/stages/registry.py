"""Models of the project in MLflow's registry. Imported only where MLflow is needed: it costs seconds."""

from __future__ import annotations

from churnml.errors import NotFound
from churnml.scoring.bundle import Bundle
from churnml.scoring.registry import CHALLENGER, fetch_bundle, version_of_alias
from churnml.stages.project import Project


def challengers(project: Project) -> dict[str, Bundle]:
    """target -> the model trained last; targets without one are left out."""
    found: dict[str, Bundle] = {}
    for target in project.config.targets:
        try:
            version = version_of_alias(
                project.tracking_uri, project.config.name, target, CHALLENGER
            )
        except NotFound:
            continue
        found[target] = fetch_bundle(project.tracking_uri, version)
    return found
