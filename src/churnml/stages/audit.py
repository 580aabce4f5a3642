"""Look for features that know too much: by their labels, and by building them again from less.

Owns the order, the last audit of each target (`artifacts/<target>/audit.json`) and which waivers can be;
`training/audit.py` owns what is measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import pandas as pd

from churnml.config import AuditConfig, Config, WaiverConfig, target_of
from churnml.errors import ConfigError, Refused
from churnml.features.catalog import BY_NAME
from churnml.features.engine import build_features, feature_frame
from churnml.snapshots.cohort import build_spine
from churnml.snapshots.late import late_and_absent
from churnml.snapshots.views import AsOfView
from churnml.sources.workspace import Workspace, altered
from churnml.stages.build import (
    Built,
    build,
    calendar_dates,
    label_frame,
    open_tables,
    target_basis,
)
from churnml.stages.project import Project, write_whole
from churnml.training.assemble import assemble
from churnml.training.audit import (
    COHORT,
    STATISTICAL,
    Finding,
    audit_table,
    enough,
    finding_of,
    moved,
    moved_findings,
    standing,
    unmatched,
    waive,
)

AUDIT_FILE = "audit.json"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Audited:
    """What the audit found.

    findings: waived ones carry the reason. unmatched: waivers that no finding needs (looked for only
    where all was audited). dates: where features were built again. notes: what could not be told.
    """

    targets: tuple[str, ...]
    features: int
    dates: tuple[datetime, ...]
    findings: tuple[Finding, ...]
    unmatched: tuple[WaiverConfig, ...]
    notes: tuple[str, ...]

    @property
    def standing(self) -> tuple[Finding, ...]:
        """The findings that nobody waived."""
        return standing(self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {
            "ok": not self.standing,
            "targets": list(self.targets),
            "features": self.features,
            "dates": [f"{date:%Y-%m-%d}" for date in self.dates],
            "findings": [finding.as_dict() for finding in self.findings],
            "unmatched_waivers": [waiver.model_dump() for waiver in self.unmatched],
            "notes": list(self.notes),
        }


def audit(project: Project, targets: Sequence[str] = (), say: Say = lambda _: None) -> Audited:
    """Audit every feature for each target (default: all declared), and keep what was found.

    Raises: ConfigError for an unknown target, or a waiver of a feature that doesn't exist;
    ContractError, SourceError.
    """
    config = project.config
    check_waivers(config.audit)
    chosen = list(dict.fromkeys(targets)) or list(config.targets)
    for target in chosen:
        target_of(config, target)
    say("Reading and checking the tables …")
    with open_tables(project) as workspace:
        dates = calendar_dates(workspace, config)
        say(
            f"Building features at {len(dates)} dates, {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d} …"
        )
        built = build(workspace, config, dates, config.training.families)
        seen: list[Finding] = []
        notes = []
        for target in chosen:
            say(f"Holding each feature against the labels of {target} …")
            found, note = _against_labels(workspace, config, built, target)
            seen += found
            if note:
                notes.append(f"{target}: {note}.")
        again = tuple(_spread(built.frame["as_of"], config.audit.dates))
        rebuilt = _built_again(workspace, config, built, again, say)
    findings = waive((*seen, *rebuilt), config.audit.waive)
    for target in chosen:
        _keep(project, target, [f for f in findings if f.target in (None, target)])
    whole = set(chosen) == set(config.targets) and not notes
    return Audited(
        targets=tuple(chosen),
        features=len(built.features),
        dates=again,
        findings=findings,
        unmatched=unmatched(findings, config.audit.waive) if whole else (),
        notes=tuple(notes),
    )


def check_waivers(declared: AuditConfig) -> None:
    """Raises: ConfigError for a waiver of a feature that is in no catalogue."""
    for waiver in declared.waive:
        if waiver.feature in BY_NAME or waiver.feature == COHORT:
            continue
        like = get_close_matches(waiver.feature, BY_NAME, 1)
        raise ConfigError(
            f"churnml.toml: audit.waive: found feature {waiver.feature!r}. Expected a feature of the "
            f"catalogue (docs/features.md){f', such as {like[0]}' if like else ''}. Correct the name, "
            "or remove the waiver."
        )


def _against_labels(
    workspace: Workspace, config: Config, built: Built, target: str
) -> tuple[tuple[Finding, ...], str | None]:
    """The statistical checks for one target, or in words why they cannot tell."""
    labels = label_frame(workspace, config, target)
    try:
        table = assemble(built.frame, labels, built.features)
    except Refused as refusal:
        return (), str(refusal).rstrip(".")
    return audit_table(table, labels, target, config.audit), enough(table, config.audit)


def _spread(dates: pd.Series[Any], count: int) -> list[datetime]:
    """So many of the dates, evenly inside the calendar: there is a past and a future to each."""
    known = sorted(date.to_pydatetime() for date in dates.unique())
    places = {(number + 1) * len(known) // (count + 1) for number in range(count)}
    return [known[min(place, len(known) - 1)] for place in sorted(places)]


def _built_again(
    workspace: Workspace, config: Config, built: Built, dates: Sequence[datetime], say: Say
) -> tuple[Finding, ...]:
    """The checks that build features again from tables that hold less, or hold it later."""
    view = AsOfView()
    cut: dict[str, dict[str, tuple[int, int]]] = {}
    late: dict[str, dict[str, tuple[int, int]]] = {}
    for date in dates:
        name = f"{date:%Y-%m-%d}"
        say(f"Building features again at {name}, from what could be known and with late rows …")
        told = built.frame[built.frame["as_of"] == date].reset_index(drop=True)

        def again(tables: Mapping[str, str], date: datetime = date) -> pd.DataFrame:
            with altered(workspace, tables):
                return _features_at(workspace, config, built, date)

        stood = again({table: view.stood_at(table, date) for table in workspace.columns})
        cut[name] = _moves(told, stood, built)
        versions = {table: late_and_absent(table, date) for table in workspace.columns}
        delayed = again({table: pair[0] for table, pair in versions.items()})
        absent = again({table: pair[1] for table, pair in versions.items()})
        late[name] = _moves(absent, delayed, built)
    return (
        *moved_findings("target_time_mutation", cut),
        *moved_findings("late_arrival", late),
    )


def _features_at(
    workspace: Workspace, config: Config, built: Built, date: datetime
) -> pd.DataFrame:
    connection = workspace.connection
    if build_spine(connection, [date], config.ledger, config.cohort) == 0:
        return built.frame.iloc[:0]
    build_features(
        connection, built.features, workspace.columns, workspace.meanings,
        target_basis(workspace, config),
    )  # fmt: skip
    return feature_frame(connection)


def _moves(before: pd.DataFrame, after: pd.DataFrame, built: Built) -> dict[str, tuple[int, int]]:
    counts = moved(before, after, [feature.name for feature in built.features])
    return {name: (count, len(before)) for name, count in counts.items()}


# ------------------------------------------------------------------------------- the last audit


def _keep(project: Project, target: str, findings: Sequence[Finding]) -> None:
    plain = {
        "audited_at": project.now.isoformat(),
        "findings": [finding.as_dict() for finding in findings],
    }
    text = json.dumps(plain, indent=1, ensure_ascii=False) + "\n"
    path = project.artifacts / target / AUDIT_FILE
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def rebuilt_findings(project: Project, target: str) -> tuple[Finding, ...] | None:
    """What the last `churnml audit` found by building features again; None if there was none.

    Not waived: that is for the configuration of today.
    """
    path = project.artifacts / target / AUDIT_FILE
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["findings"]
        findings = [finding_of(plain) for plain in kept]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{path}: is no audit. Expected what `churnml audit` writes. Run it again."
        ) from None
    return tuple(finding for finding in findings if finding.check not in STATISTICAL)
