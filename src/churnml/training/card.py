"""The model card: what a model is, how far to trust it, what it is not for. Owns its Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from churnml.config import GateConfig, ValueConfig
from churnml.features.spec import FAMILIES, Feature
from churnml.scoring.bundle import Bundle
from churnml.training.baselines import Baseline
from churnml.training.evaluate import MODEL, Estimate, Evaluation
from churnml.training.gate import Verdict
from churnml.training.params import MIN_SLOPE_OUTCOMES
from churnml.training.profit import in_words
from churnml.training.segments import failings, name_of

MEANING = {
    "churn": "MRR reaches 0 inside the window and stays there for the grace time",
    "contraction": "MRR falls by at least the least change, without churn",
    "expansion": "MRR rises by at least the least change, without churn",
}
IN_WORDS = {
    "roc_auc": "ROC AUC",
    "pr_auc": "PR AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept",
    "calibration_error": "calibration error",
    "lift_at_10_percent": "lift at 10 %",
    "precision_at_capacity": "precision at capacity",
    "recall_at_capacity": "recall at capacity",
    "mrr_recall_at_capacity": "MRR recall at capacity",
    "expected_profit_per_account": "expected profit per account",
    "contact_share": "share to contact for it",
    "alerted_share": "alerted before the outcome",
    "lead_days_median": "median days from first alert to outcome",
}
DIGITS = {"expected_profit_per_account": 2, "lead_days_median": 0}  # of the others: 3
SIGNS = {"passed": "passed", "failed": "**failed**", "cannot_tell": "**cannot tell**"}


@dataclass(frozen=True)
class CardFacts:
    """What the card is written from. features: the declared features that the model uses."""

    bundle: Bundle
    evaluation: Evaluation
    verdict: Verdict
    baselines: tuple[Baseline, ...]
    features: tuple[Feature, ...]
    currency: str
    missing_labels: str
    gates: GateConfig
    value: ValueConfig


def write_card(facts: CardFacts) -> str:
    """The card as Markdown; the same facts give the same text."""
    sections = (
        _head, _data, _label, _features, _metrics, _calibration, _segments, _verdict, _use,
    )  # fmt: skip
    return "\n\n".join("\n".join(section(facts)) for section in sections) + "\n"


def _head(facts: CardFacts) -> Iterator[str]:
    bundle = facts.bundle
    yield f"# {bundle.target.capitalize()} within {bundle.horizon_days} days: model card"
    yield ""
    verdict = {
        "passed": "By its gate it **may be promoted**.",
        "failed": "By its gate it **is not to be promoted**.",
        "cannot_tell": "Its gate **cannot tell**: it is not to be promoted but on somebody's word.",
    }[facts.verdict.result]
    yield f"Version `{bundle.model_version}`. {verdict}"


def _data(facts: CardFacts) -> Iterator[str]:
    bundle, split = facts.bundle, facts.bundle.papers["split"]
    yield "## Data"
    yield ""
    yield f"Data through {bundle.data_through[:10]}; amounts in {facts.currency}."
    yield ""
    yield "| part | first snapshot | last | dates | rows | rows with the outcome | accounts with it |"
    yield "|---|---|---|---|---|---|---|"
    for name in ("train", "calibrate", "test"):
        part = split[name]
        yield (
            f"| {name} | {part['first']} | {part['last']} | {part['dates']} | {part['rows']:,} | "
            f"{part['positive_rows']:,} | {part['outcomes']:,} |"
        )
    yield ""
    yield (
        f"Between the parts lie at least {split['gap_days']} days: every outcome of a part was "
        f"known before the next begins. {split['dropped_dates']} labelled dates fall into the gaps "
        f"or after the test. Missing labels: {facts.missing_labels}."
    )


def _label(facts: CardFacts) -> Iterator[str]:
    bundle = facts.bundle
    change = bundle.papers["definition"]["min_change_share"]
    yield "## Label"
    yield ""
    yield (
        f"*{bundle.target}*: {MEANING.get(bundle.target, 'see the glossary')}, inside the "
        f"{bundle.horizon_days} days that begin {bundle.lead_days} days after the snapshot. Grace "
        f"{bundle.grace_days} days; mode `{bundle.mode}`; MRR basis `{bundle.basis or 'automatic'}`"
        + ("" if bundle.target == "churn" else f"; least change {change:.0%}")
        + "."
    )


def _features(facts: CardFacts) -> Iterator[str]:
    yield "## Features"
    yield ""
    yield (
        f"{len(facts.features)} features, catalogue `{facts.bundle.catalog_fingerprint}`. "
        "User ids, names and links are never features."
    )
    yield ""
    yield "| family | features |"
    yield "|---|---|"
    for family in FAMILIES:
        names = [f"`{feature.name}`" for feature in facts.features if feature.family == family]
        if names:
            yield f"| {family} | {', '.join(names)} |"


def _metrics(facts: CardFacts) -> Iterator[str]:
    evaluation = facts.evaluation
    names = [MODEL, *(baseline.name for baseline in facts.baselines)]
    yield "## Out-of-time metrics"
    yield ""
    yield (
        f"On {evaluation.rows:,} test snapshots of {evaluation.accounts:,} accounts "
        f"({evaluation.outcomes:,} with the outcome). In brackets {evaluation.interval:.0%} "
        "intervals from resampled accounts; – where undefined."
    )
    yield ""
    yield "| metric | " + " | ".join(name.replace("_", " ") for name in names) + " |"
    yield "|---" * (len(names) + 1) + "|"
    for metric, words in IN_WORDS.items():
        digits = DIGITS.get(metric, 3)
        cells = (figure(evaluation.metrics[name][metric], digits) for name in names)
        yield f"| {words} | " + " | ".join(cells) + " |"
    yield ""
    for baseline in facts.baselines:
        yield f"- {baseline.name.replace('_', ' ')}: {baseline.what}"
    yield from _metric_notes(facts)
    if evaluation.without_treated:
        auc = evaluation.without_treated["roc_auc"]
        loss = evaluation.without_treated["log_loss"]
        yield (
            f"- {evaluation.treated_rows:,} test rows had an intervention in their window; without "
            f"them the model's ROC AUC is {_number(auc)} and its log loss {_number(loss)}"
        )


def _metric_notes(facts: CardFacts) -> Iterator[str]:
    model = facts.evaluation.model
    if not math.isnan(model["expected_profit_per_account"].value):
        target = facts.bundle.target
        yield (
            "- expected profit per account, on one date, at the threshold that is best for these rows: "
            f"{in_words(target, facts.value, facts.currency)} (`[value]` in churnml.toml)"
        )
    if not math.isnan(model["alerted_share"].value):
        yield (
            "- alerted: among the accounts at capacity on a date whose window holds the outcome, so more "
            f"than {facts.bundle.lead_days} days ahead; who names other accounts on each date alerts more "
            "in the end, so read it beside precision"
        )


def figure(estimate: Estimate, digits: int = 3) -> str:
    """A figure with its interval, e.g. "0.71 [0.66, 0.75]"; – where undefined."""
    if math.isnan(estimate.value):
        return "–"
    value, low, high = (
        _number(number, digits) for number in (estimate.value, estimate.low, estimate.high)
    )
    return value if math.isnan(estimate.low) else f"{value} [{low}, {high}]"


def _number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:,.{digits}f}"


def _calibration(facts: CardFacts) -> Iterator[str]:
    calibrator = facts.bundle.calibrator
    yield "## Calibration"
    yield ""
    yield (
        f"Sigmoid on later data: slope {calibrator['slope']:.3f}, intercept "
        f"{calibrator['intercept']:.3f}. On the test rows, told and seen:"
    )
    yield ""
    yield "| rows | told on average | had the outcome |"
    yield "|---|---|---|"
    for part in facts.evaluation.calibration:
        yield f"| {part.rows:,} | {part.predicted:.1%} | {part.observed:.1%} |"
    yield ""
    yield "Drawn in `plots/reliability.png` of the model's run, by segment in `plots/segments.png`."


def _segments(facts: CardFacts) -> Iterator[str]:
    segments = facts.evaluation.segments
    judged = [segment for segment in segments if segment.metrics]
    yield "## Segments"
    yield ""
    if not segments:
        yield "No feature is a category: the model was not judged by segment."
        return
    features = ", ".join(f"`{name}`" for name in dict.fromkeys(s.feature for s in segments))
    yield (
        f"{len(judged)} of {len(segments)} categories of {features} hold the {MIN_SLOPE_OUTCOMES} test "
        "accounts with the outcome, and as many without, that it takes to judge the model there"
        + ("." if judged else ": too few to tell.")
    )
    if not judged:
        return
    yield ""
    yield "| segment | rows | accounts with the outcome | ROC AUC | slope | intercept | error |"
    yield "|---|---|---|---|---|---|---|"
    measures = ("roc_auc", "calibration_slope", "calibration_intercept", "calibration_error")
    for segment in judged:
        cells = " | ".join(figure(segment.metrics[name], 2) for name in measures)
        yield f"| {name_of(segment)} | {segment.rows:,} | {segment.outcomes:,} | {cells} |"
    yield ""
    yield "### Segments where it fails"
    yield ""
    limit = facts.gates.max_calibration_error
    failing = [(segment, failings(segment, limit)) for segment in judged]
    for segment, found in failing:
        if found:
            yield f"- {name_of(segment)}: {'; '.join(found)}"
    if not any(found for _, found in failing):
        yield "None of those that could be judged."
    yield ""
    yield (
        f"Of so many {facts.evaluation.interval:.0%} intervals some miss by chance: "
        f"{(1 - facts.evaluation.interval) * len(judged):.1f} slopes of the {len(judged)} are to be "
        "expected."
    )


def _verdict(facts: CardFacts) -> Iterator[str]:
    yield "## Verdict"
    yield ""
    for check in facts.verdict.checks:
        yield f"- {SIGNS[check.result]}: {check.sentence}"
    notes = facts.bundle.papers["notes"]
    if notes:
        yield ""
        yield "Notes: " + " ".join(notes)


def _use(facts: CardFacts) -> Iterator[str]:
    bundle = facts.bundle
    yield "## Intended use"
    yield ""
    yield (
        "For customer success managers who decide which accounts to look after first, and for "
        f"reports on how much MRR is likely to see {bundle.target}, about accounts of the kind and "
        "period that it was trained on."
    )
    yield ""
    yield "Not for:"
    yield ""
    yield "- decisions about single people: it knows accounts, and judges nobody's work"
    yield "- refusing service, raising prices or changing terms automatically"
    yield "- saying what would happen *because of* an action: its reasons are associations"
    yield f"- other horizons or leads than {bundle.horizon_days} and {bundle.lead_days} days"
    yield "- accounts with too little data, new products or markets it has not seen"
    yield "- segments where it fails or could not be judged, without somebody looking closer"
