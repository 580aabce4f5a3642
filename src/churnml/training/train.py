"""One target from features and labels to a judged model. Owns the order of the steps; does no I/O.

assemble -> split -> fit -> calibrate -> baselines -> evaluate -> gate -> card and bundle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from churnml.config import (
    AuditConfig,
    CapacityConfig,
    GateConfig,
    SplitConfig,
    TargetConfig,
    TrainingConfig,
)
from churnml.errors import Refused
from churnml.features.catalog import fingerprint
from churnml.features.spec import Feature
from churnml.scoring.bundle import Bundle, booster_of, version_of
from churnml.scoring.predict import FloatArray, predict_matrix, raw_scores
from churnml.training.assemble import TrainingTable, assemble, missing_in_words
from churnml.training.audit import COHORT, Finding, audit_table, enough, waive
from churnml.training.baselines import Baseline, baselines
from churnml.training.calibrate import Calibration, calibrate
from churnml.training.card import CardFacts, write_card
from churnml.training.evaluate import MODEL, Evaluation, evaluate
from churnml.training.fit import Fitted, fit, usable_columns
from churnml.training.gate import Verdict, judge, no_leak
from churnml.training.params import (
    MIN_PART_OUTCOMES,
    MIN_SLOPE_OUTCOMES,
    FitParams,
    fit_params,
)
from churnml.training.split import Needs, Part, Split, choose_split


@dataclass(frozen=True)
class Settings:
    """The pieces of the configuration that training needs, as `churnml.toml` gives them.

    rebuilt: what the last `churnml audit` found by building features again, which training doesn't.
    """

    grace_days: int
    basis: str | None
    currency: str
    split: SplitConfig
    training: TrainingConfig
    capacity: CapacityConfig
    gates: GateConfig
    audit: AuditConfig = field(default_factory=AuditConfig)
    rebuilt: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainedTarget:
    """What training one target gives.

    predictions: every out-of-time test row (account_id, as_of, horizon_days, label, probability).
    test: the same rows as the model saw them. baselines: their probabilities on the same rows.
    notes: what the reader should know about the fit, in words. findings: of the leak audit, on all
    labelled snapshots; while one of them is not waived, the model may not be registered.
    """

    target: str
    bundle: Bundle
    params: FitParams
    split: Split
    evaluation: Evaluation
    baselines: tuple[Baseline, ...]
    verdict: Verdict
    predictions: pd.DataFrame
    test: TrainingTable
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self.bundle.card

    @property
    def probability(self) -> FloatArray:
        """The model's probabilities of the test rows, (rows,)."""
        return self.predictions["probability"].to_numpy()


def train_target(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    catalog_features: Sequence[Feature],
    target: str,
    declared: TargetConfig,
    settings: Settings,
    data_through: datetime,
    params: Mapping[str, Any] | None = None,
) -> TrainedTarget:
    """Train, calibrate and judge the model of one target.

    features, labels: one row per snapshot (labels: account_id, as_of, label, missing_reason,
    treated_in_window, mrr). catalog_features: those that may be used. data_through: up to when the
    data go. params: a parsed models/<target>/params.toml, None for the defaults.
    The same arguments give the same model text and the same predictions.
    Raises: Refused, in words, if the target cannot be trained honestly; ConfigError for params.
    """
    chosen = fit_params(params, f"models/{target}/params.toml")
    try:
        return _train(
            features, labels, catalog_features, target, declared, settings, data_through, chosen
        )
    except Refused as refusal:
        raise Refused(f"{target}: {refusal}") from None


def _train(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    catalog_features: Sequence[Feature],
    target: str,
    declared: TargetConfig,
    settings: Settings,
    data_through: datetime,
    params: FitParams,
) -> TrainedTarget:
    training = settings.training
    whole = assemble(features, labels, catalog_features)
    _refuse_too_few(whole, "all labelled snapshots", training.min_outcomes, labels)
    gap_days = declared.lead_days + declared.horizon_days + settings.grace_days
    needs = Needs(
        # Fewer outcomes to learn from than to judge by would be a well-measured poor model.
        train=max(training.min_outcomes, 2 * settings.gates.min_outcomes),
        calibrate=MIN_SLOPE_OUTCOMES,
        test=settings.gates.min_outcomes,
    )
    split = choose_split(whole, gap_days, settings.split, needs)
    train, later, test = _parts(whole, split, training, labels)
    fitted = fit(train, params, training.seed)
    fewest = min(accounts_of(later))
    bundle = _bundle(
        fitted, train, target, declared, settings, data_through, catalog_features, params
    )
    calibration = calibrate(raw_scores(bundle, later.x), later.y, fewest, MIN_SLOPE_OUTCOMES)
    bundle = replace(bundle, calibrator=calibration.as_calibrator())
    probability = predict_matrix(bundle, test.x)
    rivals = baselines(train, later, test, fewest, MIN_SLOPE_OUTCOMES)
    evaluation = evaluate(
        test,
        {MODEL: probability, **{rival.name: rival.probability for rival in rivals}},
        settings.capacity.of,
        training.bootstrap_rounds,
        training.seed,
        settings.gates.interval,
    )
    findings = _audited(whole, labels, target, settings, train.columns)
    verdict = Verdict((*judge(evaluation, settings.gates).checks, no_leak(findings)))
    notes = _notes(fitted, calibration, train, whole, enough(whole, settings.audit))
    bundle = _with_papers(
        bundle, declared, settings, split, evaluation, rivals, verdict, notes, catalog_features,
        labels, (train, later, test), findings,
    )  # fmt: skip
    return TrainedTarget(
        target=target,
        bundle=bundle,
        params=params,
        split=split,
        evaluation=evaluation,
        baselines=rivals,
        verdict=verdict,
        predictions=pd.DataFrame(
            {
                "account_id": test.accounts,
                "as_of": test.as_of,
                "horizon_days": declared.horizon_days,
                "label": test.y,
                "probability": probability,
            }
        ),
        test=test,
        notes=notes,
        findings=findings,
    )


def _audited(
    whole: TrainingTable,
    labels: pd.DataFrame,
    target: str,
    settings: Settings,
    used: Sequence[str],
) -> tuple[Finding, ...]:
    """What the leak audit found of the features that the model uses, waived ones marked.

    It looks at all labelled snapshots, as `churnml audit` does: it chooses no feature, so the test is
    as unseen by the model as before.
    """
    statistical = audit_table(whole.with_columns(used), labels, target, settings.audit)
    rebuilt = [finding for finding in settings.rebuilt if finding.feature in (*used, COHORT)]
    return waive((*statistical, *rebuilt), settings.audit.waive)


def _parts(
    whole: TrainingTable, split: Split, training: TrainingConfig, labels: pd.DataFrame
) -> tuple[TrainingTable, TrainingTable, TrainingTable]:
    """The three parts, with the columns and categories that the train part can teach."""
    parts = [whole.where(part.rows(whole)) for part in (split.train, split.calibrate, split.test)]
    if training.leave_out_treated:
        # What the CS team did changed these outcomes; the test keeps them and shows both.
        parts[:2] = [part.untreated() for part in parts[:2]]
    minima = (training.min_outcomes, MIN_PART_OUTCOMES, MIN_PART_OUTCOMES)
    for part, dates, minimum in zip(
        parts, (split.train, split.calibrate, split.test), minima, strict=True
    ):
        _refuse_too_few(part, _part_in_words(dates), minimum, labels)
    kept = usable_columns(parts[0])
    seen = parts[0].with_columns(kept).seen_categories()
    train, later, test = (part.with_columns(kept).with_categories(seen) for part in parts)
    return train, later, test


def _part_in_words(part: Part) -> str:
    return f"the {part.name} part ({part.first:%Y-%m-%d} to {part.last:%Y-%m-%d})"


def accounts_of(table: TrainingTable) -> tuple[int, int]:
    """Distinct accounts with and without the outcome: an outcome is seen by many snapshots."""
    return (
        len(set(table.accounts[table.y > 0.5])),
        len(set(table.accounts[table.y <= 0.5])),
    )


def _refuse_too_few(table: TrainingTable, where: str, minimum: int, labels: pd.DataFrame) -> None:
    counts = accounts_of(table)
    if min(counts) >= minimum:
        return
    raise Refused(
        f"{where} hold{'s' if where.startswith('the ') else ''} {counts[0]} accounts with the "
        f"outcome and {counts[1]} without ({int(table.y.sum())} and "
        f"{len(table) - int(table.y.sum())} snapshots). Expected at least {minimum} of each. "
        f"Labels are missing because: {missing_in_words(labels)}. Give more history or accounts, "
        "or another horizon_days."
    )


def _bundle(
    fitted: Fitted,
    train: TrainingTable,
    target: str,
    declared: TargetConfig,
    settings: Settings,
    data_through: datetime,
    catalog_features: Sequence[Feature],
    params: FitParams,
) -> Bundle:
    used = [feature for feature in catalog_features if feature.name in train.columns]
    through = data_through.isoformat()
    catalog = fingerprint(used)
    definition = {
        "target": target,
        **declared.model_dump(),
        "grace_days": settings.grace_days,
        "basis": settings.basis,
        "catalog": catalog,
        "params": params.model_dump(),
    }
    return Bundle(
        target=target,
        horizon_days=declared.horizon_days,
        lead_days=declared.lead_days,
        grace_days=settings.grace_days,
        mode=declared.mode,
        basis=settings.basis,
        model_version=version_of(through, fitted.model_text, definition),
        catalog_fingerprint=catalog,
        features=train.columns,
        categories=train.categories,
        calibrator={"kind": "sigmoid", "slope": 1.0, "intercept": 0.0},
        reference=reference_of(train),
        metrics={},
        data_through=through,
        trained_rows=len(train),
        trained_outcomes=accounts_of(train)[0],
        papers={},
        model_text=fitted.model_text,
        # Read back from its own text: the model judged here is the one that will be served.
        loaded=booster_of(fitted.model_text),
    )


def reference_of(table: TrainingTable) -> dict[str, dict[str, Any]]:
    """What each column looked like in these rows: see `Bundle.reference`."""
    found: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(table.columns):
        values = table.x[:, place]
        known = values[np.isfinite(values)]
        missing = float(np.isnan(values).mean())
        if name in table.categories:
            shares = np.bincount(known.astype(np.int64), minlength=len(table.categories[name]))
            found[name] = {
                "shares": dict(
                    zip(table.categories[name], (shares / len(values)).tolist(), strict=True)
                ),
                "missing_share": missing,
            }
            continue
        found[name] = {
            "median": float(np.median(known)) if len(known) else None,
            "deciles": np.quantile(known, np.arange(1, 10) / 10).tolist() if len(known) else None,
            "missing_share": missing,
        }
    return found


def _notes(
    fitted: Fitted,
    calibration: Calibration,
    train: TrainingTable,
    whole: TrainingTable,
    not_audited: str | None,
) -> tuple[str, ...]:
    notes = [f"{fitted.rounds} trees: {fitted.note}."]
    if calibration.note:
        notes.append(f"Calibration: {calibration.note}.")
    unused = [name for name in whole.columns if name not in train.columns]
    if unused:
        notes.append(f"Constant or missing in the train part, left out: {', '.join(unused)}.")
    if not_audited:
        notes.append(f"Leak audit: {not_audited}.")
    return tuple(notes)


def _with_papers(
    bundle: Bundle,
    declared: TargetConfig,
    settings: Settings,
    split: Split,
    evaluation: Evaluation,
    rivals: Sequence[Baseline],
    verdict: Verdict,
    notes: Sequence[str],
    catalog_features: Sequence[Feature],
    labels: pd.DataFrame,
    parts: Sequence[TrainingTable],
    findings: Sequence[Finding],
) -> Bundle:
    metrics = {
        name: {metric: estimate.as_dict() for metric, estimate in found.items()}
        for name, found in evaluation.metrics.items()
    }
    papers: dict[str, Any] = {
        "definition": {
            **declared.model_dump(),
            "grace_days": settings.grace_days,
            "basis": settings.basis,
        },
        "split": split_in_plain(split, parts),
        "baselines": {name: found for name, found in metrics.items() if name != MODEL},
        "without_treated": {
            name: _plain(value) for name, value in evaluation.without_treated.items()
        },
        "calibration": [
            {key: _plain(value) for key, value in asdict(part).items()}
            for part in evaluation.calibration
        ],
        "verdict": verdict.as_dict(),
        "audit": [finding.as_dict() for finding in findings],
        "notes": list(notes),
        "seed": settings.training.seed,
    }
    bundle = replace(bundle, metrics=metrics[MODEL], papers=papers)
    card = write_card(
        CardFacts(
            bundle=bundle,
            evaluation=evaluation,
            verdict=verdict,
            baselines=tuple(rivals),
            features=tuple(f for f in catalog_features if f.name in bundle.features),
            currency=settings.currency,
            missing_labels=missing_in_words(labels),
        )
    )
    return replace(bundle, card=card)


def _plain(value: float) -> float | None:
    """A number as JSON has it: None where undefined."""
    return None if math.isnan(value) else value


def split_in_plain(split: Split, parts: Sequence[TrainingTable]) -> dict[str, Any]:
    """The split as plain JSON: dates, snapshots and accounts of each part, and the gap.

    outcomes and others count accounts with and without the outcome.
    """
    plain: dict[str, Any] = {"gap_days": split.gap_days, "dropped_dates": split.dropped}
    for part, table in zip((split.train, split.calibrate, split.test), parts, strict=True):
        outcomes, others = accounts_of(table)
        plain[part.name] = {
            "first": f"{part.first:%Y-%m-%d}",
            "last": f"{part.last:%Y-%m-%d}",
            "dates": len(part.as_ofs),
            "rows": len(table),
            "positive_rows": int(table.y.sum()),
            "accounts": len(set(table.accounts)),
            "outcomes": outcomes,
            "others": others,
        }
    return plain
