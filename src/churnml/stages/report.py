"""The leadership report: gather book, ledger and evaluations, build its sections, render, write.

Owns the order and the files; each section's sums are its own module's in `report`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from churnml import __version__
from churnml.config import TargetConfig
from churnml.contract.tables import TABLES
from churnml.contract.validate import Validation
from churnml.report.data import ReportData
from churnml.report.drivers import build_drivers
from churnml.report.papers import Papers, TableCoverage
from churnml.report.quarter import build_quarter, lead_of
from churnml.report.render import render, render_json
from churnml.report.simulation import shared_of
from churnml.report.trust import (
    CalibrationBin,
    Evaluation,
    JudgedSegment,
    Metric,
    Scorer,
    build_trust,
)
from churnml.scoring.bundle import Bundle
from churnml.stages.pdf import find_chromium, print_pdf
from churnml.stages.project import Project, write_whole
from churnml.stages.report_base import base_of
from churnml.stages.report_done import done_of
from churnml.stages.report_drivers import told_of as drivers_told
from churnml.stages.report_ledger import movements_of
from churnml.stages.report_quarter import beside_of
from churnml.stages.report_renewals import forecasts_of, keep_forecasts, renewals_of
from churnml.stages.report_shelf import Shelved, keep_pdf, keep_report
from churnml.stages.report_sources import Sources, report_sources
from churnml.stages.report_trust import record_of
from churnml.store.rows import Alias


@dataclass(frozen=True)
class Written:
    """A report that was written: its data, and the files."""

    data: ReportData
    files: tuple[Path, ...]


def write_report(
    project: Project,
    out: Path,
    lang: str | None = None,
    alias: Alias = "champion",
    as_of: datetime | None = None,
    with_pdf: bool = False,
    with_names: bool = False,
) -> Written:
    """Write the report as one self-contained HTML file; with_pdf: also as a PDF of the same name.
    with_names: with the accounts' display names. What it forecasts is kept in the store; page, data and
    PDF are kept for the service under `reports/`.

    Raises: as `report_data`; ConfigError without a browser for the PDF, before anything is written.
    """
    chromium = find_chromium(project.environment) if with_pdf else None
    data = report_data(
        project, lang or project.config.language, alias, as_of, with_names, keep=True
    )
    html = render(data).encode()
    write_whole(out, lambda path: path.write_bytes(html))
    # A challenger's numbers are for those who compare models: the service doesn't show them.
    shelf = _shelve(project, data, as_of, with_names, html) if alias == "champion" else None
    if chromium is None:
        return Written(data, (out,))
    pdf = out.with_suffix(".pdf")
    print_pdf(out, pdf, chromium)
    if shelf is not None:
        keep_pdf(shelf, pdf)
    return Written(data, (out, pdf))


def _shelve(
    project: Project, data: ReportData, as_of: datetime | None, with_names: bool, html: bytes
) -> Shelved:
    through = date.fromisoformat(data.papers.versions["data_through"])
    day = as_of.date() if as_of else data.as_of or through
    return keep_report(project.folder, day, data.language, with_names, html, render_json(data))


def report_data(
    project: Project,
    lang: str,
    alias: Alias = "champion",
    as_of: datetime | None = None,
    with_names: bool = False,
    keep: bool = False,
) -> ReportData:
    """Everything that the report says at a date (default: of the newest book, or of the data). with_names:
    display names too. keep: what it forecasts is kept in the store, to be held against what comes.

    Raises: ConfigError for a date that the data don't reach, or an unknown language.
    """
    with report_sources(project, lang, alias, as_of) as sources:
        return _built(sources, with_names, keep)


def _built(sources: Sources, with_names: bool, keep: bool) -> ReportData:
    config, book = sources.project.config, sources.book
    movements = movements_of(sources)
    shared = shared_of(movements.months)
    if keep:
        keep_forecasts(sources, movements.months, shared)
    return ReportData(
        company=config.name,
        currency=sources.workspace.currency,
        language=sources.lang,
        created_at=sources.project.now,
        as_of=book.run.as_of.date() if book else None,
        data_through=book.run.data_through if book else None,
        unpromoted=bool(book and book.run.alias == "challenger"),
        quarter=build_quarter(
            book, sources.accounts, sources.reason, sources.action, beside_of(sources), shared
        ),
        drivers=build_drivers(book, lead_of(book), drivers_told(sources)),
        movements=movements,
        renewals=renewals_of(sources, shared, with_names),
        forecasts=forecasts_of(sources),
        trust=build_trust(
            [
                evaluation_of(sources.bundles[target], target in sources.promoted)
                if target in sources.bundles
                else without_model(target, declared)
                for target, declared in config.targets.items()
            ],
            *record_of(sources),
        ),
        papers=Papers(
            coverage=tuple(table_coverage(sources.workspace.validation)),
            drift=dict(book.run.drift) if book else {},
            versions={
                "churnml": __version__,
                "data_through": f"{sources.workspace.data_through:%Y-%m-%d}",
                **{target: bundle.model_version for target, bundle in sources.bundles.items()},
            },
            basis=sources.basis,
            grace_days=config.ledger.grace_days,
        ),
        done=done_of(sources),
        base=base_of(sources, movements.quarters),
    )


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
        outcome_share=test["positive_rows"] / test["rows"] if test.get("positive_rows") else None,
        segments=tuple(_segment(item) for item in papers.get("segments", ())),
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


def _segment(told: Any) -> JudgedSegment:
    return JudgedSegment(
        feature=told["feature"],
        value=told["value"],
        rows=told["rows"],
        accounts=told["accounts"],
        outcomes=told["outcomes"],
        metrics=_scorer("model", told["metrics"]).metrics,
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
