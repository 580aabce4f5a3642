"""One target from features and labels to a judged model. Owns the order of the steps; does no I/O.

assemble -> split -> fit -> calibrate -> baselines -> evaluate -> gate -> card and bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    ValueConfig,
)
from churnml.errors import Refused
from churnml.features.spec import Feature
from churnml.scoring.bundle import Bundle
from churnml.scoring.predict import RENEWAL, FloatArray
from churnml.training.assemble import TrainingTable, assemble, missing_in_words
from churnml.training.audit import COHORT, Finding, audit_table, enough, waive
from churnml.training.baselines import Baseline, baselines
from churnml.training.contract import Lock, contract_lock
from churnml.training.evaluate import MODEL, Evaluation, evaluate
from churnml.training.gate import Verdict, judge, no_leak
from churnml.training.learn import Parts, accounts_of, cut_parts, learn, refuse_too_few
from churnml.training.papers import PaperFacts, bundle_of, notes_of
from churnml.training.params import MIN_SLOPE_OUTCOMES, FitParams, fit_params
from churnml.training.profit import contact_gains
from churnml.training.segments import judge_segments
from churnml.training.split import Needs, Split, choose_split


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
    value: ValueConfig = field(default_factory=ValueConfig)


@dataclass(frozen=True, eq=False)
class TrainedTarget:
    """What training one target gives.

    predictions: every out-of-time test row (account_id, as_of, horizon_days, label, probability).
    test: the same rows as the model saw them. baselines: their probabilities on the same rows.
    notes: what the reader should know about the fit, in words. findings: of the leak audit, on all
    labelled snapshots; while one of them is not waived, the model may not be registered.
    learned_accounts: whose snapshots it was fitted or calibrated on.
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
    learned_accounts: tuple[str, ...] = ()

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
    treated_in_window, mrr, outcome_at). catalog_features: those that may be used. data_through: up to
    when the data go. params: a parsed models/<target>/params.toml, None for the defaults.
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
    cut = cut_target(features, labels, catalog_features, target, declared, settings)
    whole, split, lock, parts = cut.whole, cut.split, cut.lock, cut.parts
    learned = learn(parts, params, training.seed)
    test = parts.test
    probability = learned.probability(test.x)
    rival_notes: list[str] = []
    rivals = baselines(parts, rival_notes.append)
    evaluation = evaluate(
        test,
        {MODEL: probability, **{rival.name: rival.probability for rival in rivals}},
        settings.capacity.of,
        training.bootstrap_rounds,
        training.seed,
        settings.gates.interval,
        contact_gains(test, target, settings.value),
    )
    evaluation = replace(
        evaluation,
        segments=judge_segments(
            test, probability, training.bootstrap_rounds, training.seed, settings.gates.interval
        ),
    )
    findings = _audited(whole, labels, target, settings, parts.train.columns)
    verdict = Verdict((*judge(evaluation, settings.gates).checks, no_leak(findings)))
    facts = PaperFacts(
        target=target,
        declared=declared,
        grace_days=settings.grace_days,
        basis=settings.basis,
        currency=settings.currency,
        seed=training.seed,
        data_through=data_through,
        params=params,
        catalog_features=tuple(catalog_features),
        missing_labels=missing_in_words(labels),
        split=split,
        parts=parts,
        learned=learned,
        lock=lock,
        locked_test=(len(cut.locked_test), accounts_of(cut.locked_test)[0]),
        evaluation=evaluation,
        baselines=rivals,
        rival_notes=tuple(rival_notes),
        gates=settings.gates,
        value=settings.value,
        verdict=verdict,
        findings=findings,
        unused=tuple(name for name in whole.columns if name not in parts.train.columns),
        not_audited=enough(whole, settings.audit),
    )
    return TrainedTarget(
        target=target,
        bundle=bundle_of(facts),
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
        notes=notes_of(facts),
        findings=findings,
        learned_accounts=tuple(sorted({*parts.train.accounts, *parts.later.accounts})),
    )


@dataclass(frozen=True, eq=False)
class TargetCut:
    """One target's table and what of it a model learns from, is calibrated on and tested on.

    lock: of contracts that cannot end inside the window; locked_test: the test rows that it leaves out.
    """

    whole: TrainingTable
    split: Split
    lock: Lock | None
    locked_test: TrainingTable
    parts: Parts


def cut_target(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    catalog_features: Sequence[Feature],
    target: str,
    declared: TargetConfig,
    settings: Settings,
) -> TargetCut:
    """Assemble and cut, as training does. Arguments as of `train_target`.

    Raises: Refused if too little is there to learn, calibrate or judge.
    """
    training, missing = settings.training, missing_in_words(labels)
    whole = assemble(features, labels, catalog_features, target)
    refuse_too_few(whole, "all labelled snapshots", training.min_outcomes, missing)
    gap_days = declared.lead_days + declared.horizon_days + settings.grace_days
    split = choose_split(whole, gap_days, settings.split, needs_of(settings))
    lock = contract_lock(whole.where(split.train.rows(whole)), declared)
    held = lock.holds(whole) if lock is not None else np.zeros(len(whole), dtype=bool)
    # The bundle must read the contract, even if all that is left renews alike.
    keep = (RENEWAL,) if lock is not None else ()
    parts = cut_parts(whole.where(~held), split, training, missing, keep)
    return TargetCut(whole, split, lock, whole.where(held & split.test.rows(whole)), parts)


def needs_of(settings: Settings) -> Needs:
    """What each part of a split should hold if possible."""
    return Needs(
        # Fewer outcomes to learn from than to judge by would be a well-measured poor model.
        train=max(settings.training.min_outcomes, 2 * settings.gates.min_outcomes),
        calibrate=MIN_SLOPE_OUTCOMES,
        test=settings.gates.min_outcomes,
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
