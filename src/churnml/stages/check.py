"""Validate all tables. Owns nothing but the call."""

from __future__ import annotations

from churnml.contract.validate import Validation
from churnml.sources.workspace import inspect_tables
from churnml.stages.project import Project, scratch_folder


def check(project: Project) -> Validation:
    """Every fault, warning and profile of the project's tables. Raises: SourceError, ConfigError."""
    with scratch_folder() as scratch:
        connection, _, validation = inspect_tables(
            project.config, project.folder, project.environment, project.now, scratch=scratch
        )
        connection.close()
        return validation
