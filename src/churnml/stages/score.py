"""Score a whole book: features at one date → probabilities → reasons → plays → store and file.

A scoring run is one transaction: readers see the old book or the new one."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from churnml.actions.plays import all_plays
from churnml.errors import ConfigError, NotFound
from churnml.features.engine_commercial import renewals
from churnml.features.engine_evidence import account_evidence
from churnml.features.engine_usage import account_usage
from churnml.features.evidence import with_peers
from churnml.monitor.drift import drift
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import champions
from churnml.sources.workspace import Workspace
from churnml.stages.build import build
from churnml.stages.carry import Reading, open_newest
from churnml.stages.phase import Phase, Watch, unwatched
from churnml.stages.project import Project
from churnml.stages.score_file import SUFFIXES, write_scores
from churnml.stages.score_rows import account_rows, feature_dicts, score_rows
from churnml.store.rows import AccountRow, Alias, Name, ScoreKey, ScoreRow, ScoringRun
from churnml.store.store import open_store
from churnml.timeline import DAY


@dataclass(frozen=True)
class Scored:
    """One finished scoring run."""

    run: ScoringRun
    rows: tuple[ScoreRow, ...]
    accounts: tuple[AccountRow, ...]
    reading: Reading


def bundles_to_score(project: Project, alias: Alias) -> dict[str, Bundle]:
    """The models of an alias: champions from the project's bundles, challengers from MLflow.

    Raises: NotFound if there is none.
    """
    if alias == "champion":
        found = champions(project.bundles)
    else:
        # MLflow costs seconds: only challengers need it.
        from churnml.stages.registry import challengers

        found = challengers(project)
    chosen: dict[str, Bundle] = {
        target: found[target] for target in project.config.targets if target in found
    }
    if not chosen:
        todo = "churnml train, then churnml promote" if alias == "champion" else "churnml train"
        raise NotFound(
            f"{project.folder}: no {alias} for {', '.join(project.config.targets)}. Expected at "
            f"least one model. Run: {todo}"
        )
    return chosen


def score(
    project: Project,
    as_of: datetime | None = None,
    alias: Alias = "champion",
    out: Path | None = None,
    whole: bool = False,
    watch: Watch = unwatched,
) -> Scored:
    """Score all accounts of the cohort at a date (default: the newest that the data reach).

    Of the event log only what the last run did not carry is read, unless `whole`. Writes the run
    into the store, then `out` (.parquet or .csv) whole. watch: is told of each phase as it begins.
    Raises: NotFound without a model, ConfigError for a date without data or another suffix.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise ConfigError(
            f"--out {out}: found the suffix {out.suffix!r}. Expected .parquet or .csv. Rename it."
        )
    bundles = bundles_to_score(project, alias)
    plays = all_plays(project.play_texts())
    watch(Phase("tables"))
    with open_newest(project, as_of, whole) as (workspace, reading):
        watch(Phase("features"))
        built = build(workspace, project.config, (as_of or workspace.data_through,))
        watch(Phase("evidence"))
        found = account_evidence(workspace.connection, workspace.columns, workspace.meanings)
        watch(Phase("usage"))
        usage = account_usage(workspace.connection, workspace.columns, workspace.meanings)
        renewing = renewals(workspace.connection)
        names = names_of(workspace)
        through, currency = workspace.data_through, workspace.currency
    evidence = with_peers(found, built.frame, built.context["segment"])
    with _uncollected():
        watch(Phase("rows"))
        features = feature_dicts(built.frame, built.features)
        rows: list[ScoreRow] = []
        moved: dict[str, Any] = {}
        for target, bundle in bundles.items():
            rows += score_rows(
                bundle,
                built,
                features,
                project.config,
                alias,
                plays,
                through,
                currency,
                evidence,
                watch,
            )
            watch(Phase("drift", target))
            moved[target] = drift(bundle.reference, built.frame, bundle.trained_rows).summary()
        rows.sort(key=lambda row: (row.account_id, row.target, row.horizon_days))
        run = ScoringRun(
            run_id=f"{built.dates[0]:%Y%m%d}-{uuid.uuid4().hex[:12]}",
            as_of=built.dates[0],
            data_through=through,
            created_at=project.now,
            alias=alias,
            model_versions={target: bundle.model_version for target, bundle in bundles.items()},
            drift=moved,
        )
        accounts = account_rows(built, features, currency, evidence, renewing)
        watch(Phase("store"))
        store = open_store(project.store_url)
        try:
            rows = with_change(rows, store.probabilities(at=run.as_of - DAY))
            shown = store.latest_run()
            # Names are of no run: one that is not going to be shown has none to say.
            newest = alias == "champion" and (shown is None or shown.as_of <= run.as_of)
            store.write_book(run, rows, accounts, usage.items(), names if newest else None)
        finally:
            store.close()
        if out is not None:
            watch(Phase("file"))
            write_scores(rows, out)
    return Scored(run, tuple(rows), accounts, reading)


def names_of(workspace: Workspace) -> dict[str, Name]:
    """Display name and CRM link of the cohort's accounts that have either.

    For the store alone: they are for people's eyes, and go into nothing else.
    """
    columns = [
        name if name in workspace.columns["accounts"] else "null"
        for name in ("display_name", "crm_url")
    ]
    rows = workspace.query(
        f"select account_id, {', '.join(columns)} from accounts semi join spine using (account_id) "
        "order by account_id"
    )
    return {account_id: (name, url) for account_id, name, url in rows if name or url}


def with_change(
    rows: Sequence[ScoreRow], before: Mapping[ScoreKey, float | None]
) -> list[ScoreRow]:
    """The rows with what each probability is more than before; None where either is none.

    before: by account, target and horizon.
    """
    changed = []
    for row in rows:
        was = before.get((row.account_id, row.target, row.horizon_days))
        known = row.probability is not None and was is not None
        changed.append(replace(row, change=row.probability - was) if known else row)  # type: ignore[operator]
    return changed


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: rows hold none, and it would walk all of them again for every few
    thousand more, which is a quarter of a large book's time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
