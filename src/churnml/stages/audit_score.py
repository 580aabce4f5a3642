"""Hold a company's own score against the model, on the model's out-of-time test rows alone.

Owns the order and where each side comes from: the file, and the predictions that the model's run kept
when it was trained. Computes no measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from churnml.config import target_of
from churnml.errors import ChurnmlError, ConfigError, NotFound, Refused
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import current_version
from churnml.scoring.registry import Version, fetch_bundle, versions
from churnml.snapshots.cohort import build_spine
from churnml.stages.build import calendar_dates, label_frame, open_tables
from churnml.stages.legacy_file import Faults, Higher, Legacy, open_sheet, read_legacy
from churnml.stages.project import Project, write_whole
from churnml.stages.registry import challenger_of
from churnml.store.rows import Alias
from churnml.training.legacy import Held, Matched, hold, match
from churnml.training.legacy_words import VERBS, sentences
from churnml.training.logged import logged_predictions
from churnml.training.track import PREDICTIONS_FILE

ROWS_FILE = "legacy_rows.csv"
NAMED = 5  # unknown accounts that are named
KEYS = ["account_id", "as_of"]


@dataclass(frozen=True, eq=False)
class ScoreAudit:
    """What came of it.

    ours: the model that the score was held against. names: account_id -> display_name, of the missed
    ones. notes: what the reader should know, in words. out: the file written, if one was asked for.
    """

    target: str
    ours: Version
    test: Mapping[str, Any]
    legacy: Legacy
    matched: Matched
    held: Held
    currency: str
    names: Mapping[str, str]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    out: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        held, matched = self.held, self.matched
        return {
            "target": self.target,
            "model_version": self.ours.model_version,
            "registered": f"{self.ours.name} version {self.ours.number}",
            "run_id": self.ours.run_id,
            "predictions": PREDICTIONS_FILE,
            "test": {key: self.test[key] for key in ("first", "last", "dates", "rows")},
            "columns": list(self.legacy.read),
            "levels": list(self.legacy.scores.levels),
            "rows": len(held.rows),
            "accounts": held.accounts,
            "outcomes": held.outcomes,
            "outcome_mrr": held.outcome_mrr,
            "currency": self.currency,
            "left_out": {
                "never_scored": matched.never,
                "too_old": matched.too_old,
                "outcome_accounts_without_a_score": matched.unseen,
            },
            "interval": held.interval,
            "metrics": {
                side: {name: estimate.as_dict() for name, estimate in found.items()}
                for side, found in held.metrics.items()
            },
            "calibrated_on_rows": held.calibrated_on,
            "by_level": [asdict(level) for level in held.levels],
            "alarms": {
                side: {
                    **{key: value for key, value in vars(found).items() if key != "measures"},
                    **{name: estimate.as_dict() for name, estimate in found.measures.items()},
                }
                for side, found in held.alarms.items()
            },
            "alarm_differences": {
                name: estimate.as_dict() for name, estimate in held.alarm_differences.items()
            },
            "missed": [
                {
                    **asdict(one),
                    "as_of": f"{one.as_of:%Y-%m-%d}",
                    "display_name": self.names.get(one.account_id),
                }
                for one in held.missed
            ],
            "sentences": list(self.sentences),
            "notes": list(self.notes),
            "out": str(self.out) if self.out else None,
        }


def audit_score(
    project: Project,
    path: Path,
    target: str = "churn",
    alias: Alias = "champion",
    higher_is: Higher | None = None,
    levels: Sequence[str] = (),
    max_age_days: int = 35,
    out: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> ScoreAudit:
    """Hold the scores in the file at `path` against the predictions of a target's model.

    higher_is, levels: see `read_legacy`. max_age_days: how old a score may be at a snapshot. out: a
    folder for the rows, as CSV.
    Raises: ConfigError for an option that cannot be; SourceError with all faults of the file; NotFound
    without a model; Refused if no row has both; ContractError.
    """
    declared = target_of(project.config, target)
    if target not in VERBS:
        raise ConfigError(
            f"--target: found {target}. Expected {' or '.join(VERBS)}: a score of risk says nothing of "
            "accounts that grow. Choose one of these."
        )
    if out is not None and out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file. Expected a folder. Choose another name.")
    config = project.config
    notes: list[str] = []
    sheet = open_sheet(path)
    say("Reading and checking the tables …")
    with open_tables(project) as workspace:
        known = dict(workspace.query("select account_id, display_name from accounts"))
        legacy = read_legacy(
            sheet, higher_is, levels, project.now,
            lambda accounts, faults: _check_accounts(accounts, known, faults, notes),
        )  # fmt: skip
        version = model_of(project, target, alias)
        bundle = fetch_bundle(project.tracking_uri, version, with_model=False)
        test: Mapping[str, Any] = bundle.papers["split"]["test"]
        gap = timedelta(days=int(bundle.papers["split"]["gap_days"]))
        predictions = _test_rows(
            logged_predictions(project.tracking_uri, version.run_id), bundle, notes
        )
        first = predictions["as_of"].min().to_pydatetime()
        before = [date for date in calendar_dates(workspace, config) if date + gap <= first]
        tested = sorted({moment.to_pydatetime() for moment in predictions["as_of"]})
        build_spine(workspace.connection, [*before, *tested], config.ledger, config.cohort)
        if declared.horizon_days != bundle.horizon_days:
            notes.append(
                f"churnml.toml says horizon_days = {declared.horizon_days} now; the model was trained "
                f"and is judged on {bundle.horizon_days}."
            )
        labels = label_frame(workspace, config, target)
        currency = workspace.currency
    rows = _with_money(predictions, labels, notes)
    matched = match(rows, legacy.scores, max_age_days)
    if matched.rows.empty:
        raise Refused(_nothing_to_compare(rows, legacy, path, max_age_days))
    earlier = labels[(labels["as_of"] < first) & labels["label"].notna()]
    held = hold(
        matched.rows, match(earlier[[*KEYS, "label"]], legacy.scores, max_age_days).rows,
        legacy.scores.levels, config.capacity.of, config.training.bootstrap_rounds,
        config.training.seed, config.gates.interval,
    )  # fmt: skip
    notes += _notes(legacy, matched, held, max_age_days)
    written = None
    if out is not None:
        written = out / ROWS_FILE
        write_whole(
            written, lambda temporary: _plain_rows(held.rows).to_csv(temporary, index=False)
        )
    return ScoreAudit(
        target=target,
        ours=version,
        test=test,
        legacy=legacy,
        matched=matched,
        held=held,
        currency=currency,
        names={
            one.account_id: known[one.account_id]
            for one in held.missed
            if known.get(one.account_id) is not None
        },
        sentences=sentences(held, target, legacy.scores.levels, currency),
        notes=tuple(notes),
        out=written,
    )


def model_of(project: Project, target: str, alias: Alias) -> Version:
    """The registered version that speaks for an alias: of champions, the one that is exported.

    Raises: NotFound.
    """
    if alias == "challenger":
        return challenger_of(project, target)
    promoted = current_version(project.bundles, target)
    if promoted is None:
        raise NotFound(
            f"{project.folder}: no champion of {target}. Expected a promoted model. Run: churnml "
            "promote, or say --alias challenger"
        )
    own = project.own_database
    found = (
        []
        if own is not None and not own.is_file()
        else versions(project.tracking_uri, project.config.name, target)
    )
    for version in found:
        if version.model_version == promoted:
            return version
    raise NotFound(
        f"registry: the champion of {target}, {promoted}, is no registered version here. Expected its "
        "run in MLflow, which keeps the predictions of its test. Check MLFLOW_TRACKING_URI, or train "
        "and promote again."
    )


def _check_accounts(
    accounts: Sequence[str], known: Mapping[str, object], faults: Faults, notes: list[str]
) -> None:
    """A file may know more accounts than the tables; where most are unknown, the ids are others."""
    unknown = [account for account in accounts if account not in known]
    if not unknown:
        return
    named = ", ".join(unknown[:NAMED]) + (", …" if len(unknown) > NAMED else "")
    told = f"{len(unknown):,} of {len(accounts):,} accounts that the table accounts does not have"
    if 2 * len(unknown) > len(accounts):
        example = next(iter(known), "")
        faults.add(
            "account_id", f"{told} ({named})", f"the same account_id as in your tables, such as {example}",
            "Export the ids that the tables hold.",
        )  # fmt: skip
        return
    notes.append(f"Not used: {told} ({named}).")


def _test_rows(predictions: pd.DataFrame, bundle: Bundle, notes: list[str]) -> pd.DataFrame:
    """The kept predictions, once they are seen to be of the model's own test part."""
    test = bundle.papers["split"]["test"]
    days = predictions["as_of"].dt.strftime("%Y-%m-%d")
    if days.empty or days.min() < test["first"] or days.max() > test["last"]:
        raise ChurnmlError(
            f"{bundle.target} {bundle.model_version}: its run keeps {len(predictions):,} predictions"
            + (f" from {days.min()} to {days.max()}" if len(days) else "")
            + f". Expected those of its out-of-time test, {test['first']} to {test['last']}. Train the "
            "target again."
        )
    if len(predictions) < test["rows"]:
        notes.append(
            f"{test['rows'] - len(predictions):,} of {test['rows']:,} test snapshots were erased from "
            "the run (churnml forget): they are left out for both."
        )
    return predictions


def _with_money(predictions: pd.DataFrame, labels: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The test rows as they were judged, with the MRR of the tables."""
    told = labels[[*KEYS, "mrr", "treated_in_window"]]
    rows = predictions[[*KEYS, "label", "probability"]].merge(told, on=KEYS, how="inner")
    if rows.empty:
        raise ChurnmlError(
            "predictions: none belongs to a snapshot that the tables still have. Expected the tables "
            "that the model was trained on. Train the target again."
        )
    if len(rows) < len(predictions):
        notes.append(
            f"{len(predictions) - len(rows):,} of {len(predictions):,} test snapshots are in the tables "
            "no more: they were left out for both."
        )
    return rows


def _nothing_to_compare(rows: pd.DataFrame, legacy: Legacy, path: Path, days: int) -> str:
    known = legacy.scores.frame["known_at"]
    return (
        f"{path.name}: none of the {len(rows):,} out-of-time snapshots from {rows['as_of'].min():%Y-%m-%d} "
        f"to {rows['as_of'].max():%Y-%m-%d} has a score that was known by then and not older than {days} "
        f"days; the file's scores are from {known.min():%Y-%m-%d} to {known.max():%Y-%m-%d}. Expected "
        "scores of that time. Export older ones, or raise --max-age-days."
    )


def _notes(legacy: Legacy, matched: Matched, held: Held, max_age_days: int) -> list[str]:
    notes = []
    if matched.never or matched.too_old:
        gone = (
            f", among them all snapshots of {matched.unseen:,} accounts with the outcome"
            if matched.unseen
            else ""
        )
        notes.append(
            f"Left out for both: {matched.never:,} snapshot(s) without a score by then and "
            f"{matched.too_old:,} whose newest was older than {max_age_days} days{gone}."
        )
    if legacy.empty:
        notes.append(
            f"{legacy.empty:,} rows of the file have an empty score: no score, neither good nor bad."
        )
    if legacy.dated:
        notes.append(
            f"A {legacy.read[1]} without a time counts as known from the next midnight on. If your "
            "scores were there when the day began, call the column as_of."
        )
    treated = held.rows["treated_in_window"].fillna(False).astype(bool)
    if treated.any():
        alarmed = int((treated & held.rows["legacy_alarm"]).sum())
        notes.append(
            f"After {int(treated.sum()):,} of the {len(held.rows):,} snapshots the team intervened "
            f"({alarmed:,} of them the legacy score's alarms): who was saved so counts as a false alarm "
            "of whoever warned, so read those with care."
        )
    if not held.calibrated_on:
        notes.append(
            "Log loss and Brier are left out: the file has too few scores from before the test to "
            "turn the score into a probability by."
        )
    else:
        notes.append(
            f"For log loss and Brier the legacy score was turned into a probability by what followed "
            f"{held.calibrated_on:,} earlier snapshots, all over before the test began."
        )
    return notes


def _plain_rows(rows: pd.DataFrame) -> pd.DataFrame:
    columns = {
        "account_id": "account_id",
        "as_of": "as_of",
        "label": "label",
        "mrr": "mrr",
        "score": "legacy_score",
        "known_at": "legacy_known_at",
        "legacy_alarm": "legacy_alarm",
        "probability": "probability",
        "model_alarm": "model_alarm",
    }
    return rows[list(columns)].rename(columns=columns)
