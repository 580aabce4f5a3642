"""Score a whole book: features at one date → probabilities → reasons → plays → store and file.

A scoring run is one transaction: readers see the old book or the new one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from churnml.actions.choose import choose_play
from churnml.actions.plays import Play, all_plays
from churnml.config import Config
from churnml.errors import ConfigError, NotFound
from churnml.explain.reasons import Reason, reasons_for_rows
from churnml.features.engine_commercial import renewals
from churnml.features.engine_evidence import account_evidence
from churnml.features.engine_usage import account_usage
from churnml.features.evidence import Evidence, with_peers
from churnml.features.spec import Feature
from churnml.monitor.drift import drift
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import champions
from churnml.scoring.contributions import explain_rows
from churnml.scoring.outlook import outlooks
from churnml.sources.workspace import Workspace
from churnml.stages.build import Built, build
from churnml.stages.carry import Reading, open_newest
from churnml.stages.project import Project, write_whole
from churnml.store.rows import AccountRow, Alias, Book, Name, ScoreRow, ScoringRun, Status, Tier
from churnml.store.store import open_store
from churnml.timeline import DAY

SUFFIXES = (".parquet", ".csv")


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
) -> Scored:
    """Score all accounts of the cohort at a date (default: the newest that the data reach).

    Of the event log only what the last run did not carry is read, unless `whole`. Writes the run
    into the store, then `out` (.parquet or .csv) whole.
    Raises: NotFound without a model, ConfigError for a date without data or another suffix.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise ConfigError(
            f"--out {out}: found the suffix {out.suffix!r}. Expected .parquet or .csv. Rename it."
        )
    bundles = bundles_to_score(project, alias)
    plays = all_plays(project.play_texts())
    with open_newest(project, as_of, whole) as (workspace, reading):
        built = build(workspace, project.config, (as_of or workspace.data_through,))
        found = account_evidence(workspace.connection, workspace.columns, workspace.meanings)
        usage = account_usage(workspace.connection, workspace.columns, workspace.meanings)
        renewing = renewals(workspace.connection)
        names = names_of(workspace)
        through, currency = workspace.data_through, workspace.currency
    evidence = with_peers(found, built.frame, built.context["segment"])
    rows: list[ScoreRow] = []
    moved: dict[str, Any] = {}
    for target, bundle in bundles.items():
        rows += score_rows(bundle, built, project.config, alias, plays, through, currency, evidence)
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
    accounts = account_rows(built, currency, evidence, renewing)
    store = open_store(project.store_url)
    try:
        rows = with_change(rows, store.latest_book(at=run.as_of - DAY))
        shown = store.latest_run()
        # Names are of no run: one that is not going to be shown has none to say.
        newest = alias == "champion" and (shown is None or shown.as_of <= run.as_of)
        store.write_book(run, rows, accounts, usage.items(), names if newest else None)
    finally:
        store.close()
    if out is not None:
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


def with_change(rows: Sequence[ScoreRow], before: Book | None) -> list[ScoreRow]:
    """The rows with what each probability is more than in an earlier book; None where either is none."""
    earlier = {
        (row.account_id, row.target, row.horizon_days): row.probability
        for row in (before.scores if before is not None else ())
    }
    changed = []
    for row in rows:
        was = earlier.get((row.account_id, row.target, row.horizon_days))
        known = row.probability is not None and was is not None
        changed.append(replace(row, change=row.probability - was) if known else row)  # type: ignore[operator]
    return changed


def score_rows(
    bundle: Bundle,
    built: Built,
    config: Config,
    alias: Alias,
    plays: Sequence[Play],
    data_through: datetime,
    currency: str,
    evidence: Sequence[Evidence],
) -> list[ScoreRow]:
    """The score rows of one model for all snapshots of `built`. evidence: of each of them."""
    explained = explain_rows(bundle, built.frame)
    beside = outlooks(bundle, explained.matrix, explained.raw, explained.probability)
    told = reasons_for_rows(
        built.frame, bundle.features, explained.contributions, bundle.target, config.language,
        currency, bundle.reference, evidence=evidence,
    )  # fmt: skip
    features = feature_dicts(built.frame, built.features)
    rows = []
    for place, snapshot in enumerate(built.context.itertuples(index=False)):
        enough = bool(snapshot.enough_data)
        probability = float(explained.probability[place]) if enough else None
        tier: Tier = config.tiers.of(probability) if probability is not None else "unknown"  # type: ignore[assignment]
        status: Status = (
            "unpromoted" if alias == "challenger" else "ok" if enough else "too_little_data"
        )
        reasons: list[Reason] = told[place] if enough else []
        play = choose_play(bundle.target, tier, status, reasons, features[place], plays)
        rows.append(
            ScoreRow(
                account_id=snapshot.account_id,
                as_of=snapshot.as_of.to_pydatetime(),
                target=bundle.target,
                horizon_days=bundle.horizon_days,
                lead_days=bundle.lead_days,
                probability=probability,
                tier=tier,
                status=status,
                reasons=[reason.as_dict() for reason in reasons],
                play=play.name,
                mrr=float(snapshot.mrr),
                currency=currency,
                model_version=bundle.model_version,
                data_through=data_through,
                outlook=beside[place] if enough else {},
                calibration=_calibration(bundle, explained.raw[place]) if enough else {},
            )
        )
    return rows


def _calibration(bundle: Bundle, raw: float) -> dict[str, float]:
    """What ties a stored probability to its raw score, after its model is gone too."""
    calibrator = bundle.calibrator
    return {
        "raw": float(raw),
        "slope": float(calibrator["slope"]),
        "intercept": float(calibrator["intercept"]),
    }


def feature_dicts(
    frame: pd.DataFrame, features: Sequence[Feature]
) -> list[dict[str, float | str | None]]:
    """Each row's features by name, None where missing."""
    columns = []
    for feature in features:
        column = frame[feature.name].astype(object)
        columns.append(column.where(frame[feature.name].notna(), None).tolist())
    names = [feature.name for feature in features]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def account_rows(
    built: Built,
    currency: str,
    evidence: Sequence[Evidence],
    renewing: Mapping[str, datetime],
) -> tuple[AccountRow, ...]:
    """What the store keeps of each account beside its scores. renewing: when an account next renews."""
    features = feature_dicts(built.frame, built.features)

    def text(value: Any) -> str | None:
        return None if pd.isna(value) else str(value)

    return tuple(
        AccountRow(
            account_id=snapshot.account_id,
            as_of=snapshot.as_of.to_pydatetime(),
            segment=text(snapshot.segment),
            need=text(snapshot.need),
            csm_id=text(snapshot.csm_id),
            mrr=float(snapshot.mrr),
            currency=currency,
            features=mine,
            evidence=told,
            renews_at=renewing.get(snapshot.account_id),
        )
        for snapshot, mine, told in zip(
            built.context.itertuples(index=False), features, evidence, strict=True
        )
    )


COLUMNS = (
    "account_id",
    "as_of",
    "target",
    "horizon_days",
    "lead_days",
    "probability",
    "tier",
    "status",
    "reasons",
    "play",
    "mrr",
    "model_version",
    "data_through",
    "low",
    "high",
    "within_days",
    "days_until",
    "contract_binds",
    "unlike_training",
)
_BESIDE = ("low", "high", "within_days", "days_until", "contract_binds", "unlike_training")
_REASON = ("driver", "feature", "value", "unit", "contribution", "text")


def write_scores(rows: Sequence[ScoreRow], out: Path) -> None:
    """Write score rows to Parquet (reasons as a list of structs) or CSV (reasons as JSON).

    low and high are the probability's interval; within_days and days_until are JSON, see `Outlook`.

    A reason's value is text in both, since a feature can be a number or a category.
    """
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    reasons = [[_plain_reason(reason) for reason in row.reasons] for row in rows]
    moment = pa.timestamp("us")
    kinds = {
        "as_of": moment,
        "data_through": moment,
        "horizon_days": pa.int32(),
        "lead_days": pa.int32(),
        "probability": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
        "mrr": pa.float64(),
        "contract_binds": pa.bool_(),
        "unlike_training": pa.bool_(),
        "reasons": pa.list_(
            pa.struct(
                [
                    (name, pa.float64() if name == "contribution" else pa.string())
                    for name in _REASON
                ]
            )
        ),
    }
    as_csv = out.suffix == ".csv"
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        if name == "reasons":
            columns[name] = (
                pa.array([orjson.dumps(told).decode() for told in reasons], pa.string())
                if as_csv
                else pa.array(reasons, kinds[name])
            )
        elif name in ("within_days", "days_until"):
            # JSON in both: the horizons are the company's, and each target may have its own.
            told = [orjson.dumps(row.outlook.get(name, {})).decode() for row in rows]
            columns[name] = pa.array(told, pa.string())
        else:
            values = [
                row.outlook.get(name) if name in _BESIDE else getattr(row, name) for row in rows
            ]
            columns[name] = pa.array(values, kinds.get(name, pa.string()))
    table = pa.table(columns)
    if as_csv:
        write_whole(out, lambda path: pacsv.write_csv(table, path))
    else:
        write_whole(out, lambda path: pq.write_table(table, path))


def _plain_reason(reason: Mapping[str, Any]) -> dict[str, Any]:
    value = reason["value"]
    return {
        **{name: reason[name] for name in _REASON},
        "value": None
        if value is None
        else f"{value:g}"
        if isinstance(value, float)
        else str(value),
    }
