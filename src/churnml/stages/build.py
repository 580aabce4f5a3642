"""From tables to snapshots, features and labels. Owns the order; used by every stage that needs rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from churnml.config import Config, target_of
from churnml.errors import ChurnmlError
from churnml.features.catalog import available
from churnml.features.engine import build_features, context_frame, feature_frame
from churnml.features.spec import Feature
from churnml.snapshots.calendar import as_of_dates, check_within
from churnml.snapshots.cohort import build_spine
from churnml.snapshots.labels import basis_of, build_outcome_ledger, labels
from churnml.sources.workspace import Workspace, open_workspace
from churnml.stages.project import Project, scratch_folder

ENOUGH_DAYS = 14  # an account with less of a log than this is too new to be judged


@dataclass(frozen=True)
class Built:
    """Features of all snapshots of some dates.

    frame: account_id, as_of and one column per feature. context: what scoring says beside a score.
    """

    features: tuple[Feature, ...]
    frame: pd.DataFrame
    context: pd.DataFrame
    dates: tuple[datetime, ...]


@contextmanager
def open_tables(project: Project) -> Iterator[Workspace]:
    """The project's validated tables, closed afterwards. Raises: ContractError, SourceError."""
    with scratch_folder() as scratch:
        workspace = open_workspace(
            project.config, project.folder, project.environment, project.now, scratch=scratch
        )
        try:
            yield workspace
        finally:
            workspace.close()


def calendar_dates(workspace: Workspace, config: Config) -> tuple[datetime, ...]:
    """All as_of dates of the project's calendar."""
    return as_of_dates(config.calendar, workspace.first_event_at, workspace.data_through)


def build(
    workspace: Workspace,
    config: Config,
    dates: Sequence[datetime],
    families: Sequence[str] = (),
) -> Built:
    """Snapshots and features at these dates.

    Raises: ConfigError for a date without data; ChurnmlError if no account is eligible at any.
    """
    for date in dates:
        check_within(date, workspace.first_event_at, workspace.data_through, "as_of")
    connection = workspace.connection
    rows = build_spine(connection, dates, config.ledger, config.cohort)
    if rows == 0:
        raise nobody_eligible(
            config,
            f"at {dates[0]:%Y-%m-%d}" + (f" to {dates[-1]:%Y-%m-%d}" if len(dates) > 1 else ""),
        )
    features = available(workspace.columns, workspace.meanings, families)
    build_features(
        connection, features, workspace.columns, workspace.meanings, target_basis(workspace, config)
    )
    return Built(
        features,
        feature_frame(connection),
        context_frame(connection, workspace.columns, ENOUGH_DAYS),
        tuple(dates),
    )


def nobody_eligible(config: Config, when: str) -> ChurnmlError:
    """What to say where no account is in any cohort. when: "at 2025-03-31", for example."""
    return ChurnmlError(
        f"{Path('churnml.toml')}: no account is eligible {when}. Expected accounts with a paying "
        f"subscription, {config.cohort.min_age_days} days old or more (cohort.min_age_days), not in "
        "notice. Check the subscriptions' dates and mrr, or choose another date."
    )


def label_frame(workspace: Workspace, config: Config, target: str) -> pd.DataFrame:
    """Labels of the snapshots that were built last, for one target."""
    declared = target_of(config, target)
    build_outcome_ledger(workspace.connection, workspace.data_through, config.ledger)
    return labels(
        workspace.connection,
        target,
        declared,
        config.ledger,
        declared.basis or target_basis(workspace, config),
        workspace.data_through,
        "interventions" in workspace.columns,
    )


def target_basis(workspace: Workspace, config: Config) -> str:
    """The MRR that contraction and expansion are measured on: list or net."""
    return basis_of(config.ledger, workspace.columns["subscriptions"])
