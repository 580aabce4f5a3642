"""A learned model's bundle and papers: what it was made of, how it did, what it looked like.

Owns what is written down about a training; learns and judges nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from churnml.config import GateConfig, TargetConfig, ValueConfig
from churnml.features.catalog import fingerprint
from churnml.features.spec import Feature
from churnml.scoring.bundle import Bundle, Calibrator, version_of
from churnml.scoring.ends import ends_of, outside
from churnml.training.assemble import TrainingTable
from churnml.training.audit import Finding
from churnml.training.bands import band
from churnml.training.baselines import Baseline
from churnml.training.card import CardFacts, write_card
from churnml.training.contract import Lock
from churnml.training.evaluate import MODEL, Evaluation
from churnml.training.gate import Verdict
from churnml.training.learn import Learned, Parts, accounts_of
from churnml.training.moves import moves
from churnml.training.params import FitParams
from churnml.training.segments import segment_in_plain
from churnml.training.split import Split
from churnml.training.timing import timing


@dataclass(frozen=True, eq=False)
class PaperFacts:
    """All that is written down about one training.

    lock: of contracts that cannot end inside the window; locked_test: rows, and accounts with the
    outcome, among the test rows that it left out. rival_notes: why a baseline is
    absent, in words. unused: columns that the train part could not teach. not_audited: why the leak audit
    could not look, in words.
    """

    target: str
    declared: TargetConfig
    grace_days: int
    basis: str | None
    currency: str
    seed: int
    data_through: datetime
    params: FitParams
    catalog_features: tuple[Feature, ...]
    missing_labels: str
    split: Split
    parts: Parts
    learned: Learned
    lock: Lock | None
    locked_test: tuple[int, int]
    evaluation: Evaluation
    baselines: tuple[Baseline, ...]
    rival_notes: tuple[str, ...]
    gates: GateConfig
    value: ValueConfig
    verdict: Verdict
    findings: tuple[Finding, ...]
    unused: tuple[str, ...]
    not_audited: str | None


def bundle_of(facts: PaperFacts) -> Bundle:
    """The model as a bundle, with its metrics, papers and card."""
    train, fitted, declared = facts.parts.train, facts.learned.fitted, facts.declared
    used = tuple(feature for feature in facts.catalog_features if feature.name in train.columns)
    through = facts.data_through.isoformat()
    catalog = fingerprint(used)
    definition = {
        "target": facts.target,
        **declared.model_dump(mode="json"),
        "grace_days": facts.grace_days,
        "basis": facts.basis,
        "catalog": catalog,
        "params": facts.params.model_dump(),
    }
    metrics = {
        name: {metric: estimate.as_dict() for metric, estimate in found.items()}
        for name, found in facts.evaluation.metrics.items()
    }
    reference = reference_of(train)
    bundle = Bundle(
        target=facts.target,
        horizon_days=declared.horizon_days,
        lead_days=declared.lead_days,
        grace_days=facts.grace_days,
        mode=declared.mode,
        basis=facts.basis,
        model_version=version_of(through, fitted.model_text, definition),
        catalog_fingerprint=catalog,
        features=train.columns,
        categories=train.categories,
        calibrator=_calibrator(facts),
        reference=reference,
        metrics=metrics[MODEL],
        data_through=through,
        trained_rows=len(train),
        trained_outcomes=accounts_of(train)[0],
        papers={
            **_papers(facts, metrics),
            "outside_limit": outside_limit(reference, facts.parts),
            "moves": moves(train, reference, facts.target),
        },
        model_text=fitted.model_text,
        loaded=facts.learned.booster,
    )
    card = write_card(
        CardFacts(
            bundle=bundle,
            evaluation=facts.evaluation,
            verdict=facts.verdict,
            baselines=facts.baselines,
            features=used,
            currency=facts.currency,
            missing_labels=facts.missing_labels,
            gates=facts.gates,
            value=facts.value,
        )
    )
    return replace(bundle, card=card)


def _calibrator(facts: PaperFacts) -> Calibrator:
    learned, later = facts.learned, facts.parts.later
    doubt = band(learned.raw(later.x), later, learned.calibration, learned.outcomes, facts.seed)
    return learned.calibration.as_calibrator(doubt)


def _papers(
    facts: PaperFacts, metrics: Mapping[str, Mapping[str, Mapping[str, float | None]]]
) -> dict[str, Any]:
    evaluation = facts.evaluation
    return {
        "definition": {
            **facts.declared.model_dump(mode="json"),
            "grace_days": facts.grace_days,
            "basis": facts.basis,
        },
        "split": split_in_plain(facts.split, facts.parts),
        "baselines": {name: found for name, found in metrics.items() if name != MODEL},
        "without_treated": {
            name: _plain(value) for name, value in evaluation.without_treated.items()
        },
        "calibration": [
            {key: _plain(value) for key, value in asdict(part).items()}
            for part in evaluation.calibration
        ],
        "segments": [segment_in_plain(segment) for segment in evaluation.segments],
        "value": facts.value.model_dump(),
        "verdict": facts.verdict.as_dict(),
        "audit": [finding.as_dict() for finding in facts.findings],
        "timing": timing(
            [facts.parts.train, facts.parts.later],
            facts.declared.lead_days,
            facts.declared.horizon_days,
            facts.declared.shorter,
        ),
        "contract_lock": _lock(facts),
        "monotone": held_of(facts.parts.train),
        "notes": list(notes_of(facts)),
        "seed": facts.seed,
    }


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
            "least": float(known.min()) if len(known) else None,
            "most": float(known.max()) if len(known) else None,
            "deciles": np.quantile(known, np.arange(1, 10) / 10).tolist() if len(known) else None,
            "missing_share": missing,
        }
    return found


def _lock(facts: PaperFacts) -> dict[str, float] | None:
    if facts.lock is None:
        return None
    calibration, told = facts.learned.calibration, facts.lock.probability
    log_odds = (math.log(told / (1 - told)) - calibration.intercept) / calibration.slope
    return {**asdict(facts.lock), "log_odds": log_odds}


def held_of(table: TrainingTable) -> dict[str, int]:
    """The columns that the model is held to the declared direction of: +1 or -1."""
    return {name: table.monotone[name] for name in table.columns if name in table.monotone}


def notes_of(facts: PaperFacts) -> tuple[str, ...]:
    """What the reader should know about the fit, in words."""
    fitted, calibration = facts.learned.fitted, facts.learned.calibration
    notes = [f"{fitted.rounds} trees: {fitted.note}."]
    if calibration.note:
        notes.append(f"Calibration: {calibration.note}.")
    if facts.lock is not None:
        lock, (rows, outcomes) = facts.lock, facts.locked_test
        notes.append(
            f"Contracts bind: {lock.rows:,} train snapshots of {lock.accounts:,} accounts could not end "
            f"within {lock.beyond_days} days, and {lock.outcomes} of these accounts had the outcome. Such "
            f"snapshots are told {lock.probability:.2%} and stay out of training and metrics; in the test "
            f"they were {rows:,}, with the outcome in {outcomes} accounts."
        )
    if held := held_of(facts.parts.train):
        more, less = ([name for name in held if held[name] == sign] for sign in (1, -1))
        told = [f"more {', '.join(more)} never lowers a score"] if more else []
        told += [f"more {', '.join(less)} never raises one"] if less else []
        notes.append(f"Held to their declared direction: {'; '.join(told)}.")
    if facts.unused:
        notes.append(f"Constant or missing in the train part, left out: {', '.join(facts.unused)}.")
    notes += facts.rival_notes
    if facts.not_audited:
        notes.append(f"Leak audit: {facts.not_audited}.")
    return tuple(notes)


USUAL_SHARE = 0.99  # of the later rows are not called unlike the training


def outside_limit(reference: Mapping[str, Mapping[str, Any]], parts: Parts) -> int:
    """How many numbers of a row may lie outside the training rows' before it is called unlike them.

    Counted on the calibrate part: later rows always stray a little.
    """
    counts = outside(ends_of(reference, parts.later.columns), parts.later.x)
    return max(1, int(np.quantile(counts, USUAL_SHARE, method="higher")))


def _plain(value: float) -> float | None:
    """A number as JSON has it: None where undefined."""
    return None if math.isnan(value) else value


def split_in_plain(split: Split, parts: Parts) -> dict[str, Any]:
    """The split as plain JSON: dates, snapshots and accounts of each part, and the gap.

    outcomes and others count accounts with and without the outcome.
    """
    plain: dict[str, Any] = {"gap_days": split.gap_days, "dropped_dates": split.dropped}
    tables = (parts.train, parts.later, parts.test)
    for part, table in zip((split.train, split.calibrate, split.test), tables, strict=True):
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
