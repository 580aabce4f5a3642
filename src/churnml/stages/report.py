"""The leadership report: gather book, ledger and evaluations, build, render, write."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

from churnml import __version__
from churnml.actions.plays import all_plays
from churnml.config import TargetConfig
from churnml.contract.tables import TABLES
from churnml.contract.validate import Validation
from churnml.report.build import build_report
from churnml.report.model import (
    CalibrationBin,
    Evaluation,
    LedgerMonth,
    Metric,
    ReportData,
    Scorer,
    TableCoverage,
)
from churnml.report.render import render
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import champions
from churnml.snapshots.labels import build_outcome_ledger
from churnml.snapshots.ledger import monthly
from churnml.sources.workspace import Workspace
from churnml.stages.build import open_tables, target_basis
from churnml.stages.explain import ToldScore, tell_score
from churnml.stages.project import Project, write_whole
from churnml.store.rows import Alias, ScoreRow
from churnml.store.store import open_store

MONTHS = 18  # as many as a screen shows


def write_report(
    project: Project, out: Path, lang: str | None = None, alias: Alias = "champion"
) -> ReportData:
    """Write the report as one self-contained HTML file and return its data."""
    data = report_data(project, lang or project.config.language, alias)
    html = render(data)
    write_whole(out, lambda path: path.write_text(html, encoding="utf-8"))
    return data


def report_data(project: Project, lang: str, alias: Alias = "champion") -> ReportData:
    """Everything that the report says. Without champions the challenger's book is shown, as such."""
    config = project.config
    with open_tables(project) as workspace:
        basis = target_basis(workspace, config)
        build_outcome_ledger(workspace.connection, workspace.data_through, config.ledger)
        months = ledger_months(workspace, basis)
        coverage = table_coverage(workspace.validation)
        currency, through = workspace.currency, workspace.data_through
    bundles = champions(project.bundles, with_model=False)
    promoted = set(bundles)
    if alias == "challenger":
        from churnml.stages.registry import challengers

        bundles = {**bundles, **challengers(project)}
        promoted = set()
    plays = all_plays(project.play_texts())
    store = open_store(project.store_url)
    try:
        book = store.latest_book(alias=alias)
        accounts = store.account_rows(alias) if book else ()
    finally:
        store.close()
    of_account = {row.account_id: row for row in accounts}

    def told(row: ScoreRow) -> ToldScore:
        bundle = bundles.get(row.target)
        return tell_score(
            row, of_account[row.account_id], lang, plays, bundle.reference if bundle else {}
        )

    def reason(row: ScoreRow) -> str:
        raising = [item.text for item in told(row).reasons if not item.protective]
        return raising[0] if raising else ""

    def action(row: ScoreRow) -> str:
        return told(row).action.title

    return build_report(
        company=config.name,
        currency=currency,
        language=lang,
        created_at=project.now,
        book=book,
        accounts=accounts,
        ledger=months,
        evaluations=[
            evaluation_of(bundles[target], target in promoted)
            if target in bundles
            else without_model(target, declared)
            for target, declared in config.targets.items()
        ],
        coverage=coverage,
        versions={
            "churnml": __version__,
            "data_through": f"{through:%Y-%m-%d}",
            **{target: bundle.model_version for target, bundle in bundles.items()},
        },
        tell_reason=reason,
        tell_action=action,
        basis=basis,
        grace_days=config.ledger.grace_days,
    )


def ledger_months(workspace: Workspace, basis: str) -> list[LedgerMonth]:
    """MRR movements of the last months, in hindsight, from `outcome_ledger`."""
    through = workspace.data_through
    first_of_data = workspace.query("select min(from_at) from outcome_ledger")[0][0]
    if first_of_data is None:
        return []
    last = datetime(through.year, through.month, 1)
    if last == through:
        last = _months_before(
            last, 1
        )  # the data end where this month begins: nothing of it is known
    first = max(
        _months_before(last, MONTHS - 1), datetime(first_of_data.year, first_of_data.month, 1)
    )
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    if count < 1:
        return []
    rows = workspace.query(monthly("outcome_ledger", "outcome_churns", basis, first, count))
    moves: dict[datetime, dict[str, int]] = {}
    starts: dict[datetime, int] = {}
    for month, kind, amount, start in rows:
        starts[month] = start
        mine = moves.setdefault(month, {})
        if kind is not None:
            mine[kind] = mine.get(kind, 0) + amount
    return [
        LedgerMonth(
            month=month.date(),
            start=starts[month],
            end=starts[month] + sum(mine.values()),
            partial=_months_before(month, -1) > through,
            **mine,
        )
        for month, mine in sorted(moves.items())
    ]


def _months_before(moment: datetime, months: int) -> datetime:
    number = moment.year * 12 + moment.month - 1 - months
    return datetime(number // 12, number % 12 + 1, 1)


def table_coverage(validation: Validation) -> list[TableCoverage]:
    """What there is of each table of the contract."""
    profiles = {profile.table: profile for profile in validation.profiles}
    coverage = []
    for name, table in TABLES.items():
        profile = profiles.get(name)
        if profile is None:
            coverage.append(TableCoverage(name, None))
            continue
        coverage.append(
            TableCoverage(
                name,
                profile.rows,
                profile.accounts,
                _day(profile.first),
                _day(profile.last),
                tuple(c.name for c in table.columns if c.name not in profile.filled_share),
            )
        )
    return coverage


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def evaluation_of(bundle: Bundle, promoted: bool) -> Evaluation:
    """How a bundle did on its out-of-time test, as its papers tell."""
    papers = bundle.papers
    test: Any = papers["split"]["test"]
    objections = [c for c in papers["verdict"]["checks"] if c["result"] != "passed"]
    return Evaluation(
        target=bundle.target,
        horizon_days=bundle.horizon_days,
        lead_days=bundle.lead_days,
        promoted=promoted,
        model_version=bundle.model_version,
        test_from=_day(test["first"]),
        test_until=_day(test["last"]),
        rows=test["rows"],
        accounts=test["accounts"],
        outcomes=test["outcomes"],
        model=_scorer("model", bundle.metrics),
        baselines=tuple(_scorer(name, found) for name, found in papers["baselines"].items()),
        calibration=tuple(_bin(item) for item in papers["calibration"]),
        why=tuple(check["sentence"] for check in objections),
        checks=tuple(check["name"] for check in objections),
    )


def without_model(target: str, declared: TargetConfig) -> Evaluation:
    """A declared target that no model speaks for: the report says so instead of leaving it out."""
    return Evaluation(
        target=target,
        horizon_days=declared.horizon_days,
        lead_days=declared.lead_days,
        promoted=False,
        why=("No model of this target has been promoted.",),
        checks=("no_champion",),
    )


def _scorer(name: str, metrics: Any) -> Scorer:
    return Scorer(
        name,
        tuple(
            Metric(metric, found["value"], found["low"], found["high"])
            for metric, found in metrics.items()
        ),
    )


def _bin(told: Any) -> CalibrationBin:
    # The papers' interval comes from resampled accounts: snapshots of one account overlap.
    return CalibrationBin(
        told["rows"], told["predicted"], told["observed"], told["low"], told["high"]
    )


def as_json(data: ReportData) -> dict[str, Any]:
    """The report's data as plain values."""
    return asdict(data)
