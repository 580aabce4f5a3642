"""A small company to report on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from churnml.report.data import ReportData
from churnml.report.drivers import build_drivers
from churnml.report.forecasts import build_forecasts
from churnml.report.movements import LedgerMonth, build_movements
from churnml.report.papers import Papers, TableCoverage
from churnml.report.quarter import build_quarter, lead_of
from churnml.report.renewals import Todo, build_renewals
from churnml.report.simulation import UNKNOWN
from churnml.report.told import stored_reason
from churnml.report.trust import CalibrationBin, Evaluation, Metric, Scorer, build_trust
from churnml.store.rows import AccountRow, Book, ScoreRow, ScoringRun

MONDAY = datetime(2024, 3, 4)


def a_score(
    account_id: str,
    probability: float | None = 0.3,
    mrr: float = 100.0,
    driver: str | None = "usage_trend",
    target: str = "churn",
    tier: str = "high",
) -> ScoreRow:
    reasons = []
    if driver:
        keeps = {"driver": "breadth", "text": "keeps", "protective": True, "contribution": -2.0}
        raises = {
            "driver": driver,
            "text": f"because {driver}",
            "protective": False,
            "contribution": 1.0,
        }
        reasons = [
            {"feature": "f", "value": 1.0, "unit": "", **reason} for reason in (keeps, raises)
        ]
    judged = probability is not None
    return ScoreRow(
        account_id, MONDAY, target, 90, 14, probability, tier if judged else "unknown",
        "ok" if judged else "too_little_data", reasons, "check_in", mrr, "USD", "v1", MONDAY,
    )  # fmt: skip


def a_run(alias: str = "champion") -> ScoringRun:
    drift = {
        "churn": {
            "status": "moving", "features": 40, "moving": 2, "shifted": 0, "missing_jumps": 0,
            "moved": [{"feature": "events_7d"}],
        }
    }  # fmt: skip
    return ScoringRun("run-1", MONDAY, MONDAY, MONDAY, alias, {"churn": "v1"}, drift)


def an_evaluation(target: str = "churn", promoted: bool = True) -> Evaluation:
    return Evaluation(
        target=target,
        horizon_days=90,
        lead_days=14,
        promoted=promoted,
        model_version="v1",
        test_from=date(2023, 10, 2),
        test_until=date(2023, 12, 25),
        rows=2_000,
        accounts=500,
        outcomes=120,
        model=Scorer(
            "model",
            (
                Metric("roc_auc", 0.81, 0.77, 0.85),
                Metric("lift_at_10_percent", 3.4, 2.8, 4.1),
                Metric("calibration_error", 0.013, 0.01, 0.02),
                Metric("mrr_recall_at_capacity", None, None, None),
            ),
        ),
        baselines=(
            Scorer("prevalence", (Metric("roc_auc", 0.5),)),
            Scorer("logistic", (Metric("roc_auc", 0.72, 0.68, 0.76),)),
        ),
        calibration=(CalibrationBin(1_500, 0.05, 0.05), CalibrationBin(500, 0.3, 0.31)),
    )


def months() -> list[LedgerMonth]:
    return [
        LedgerMonth(date(2024, 1, 1), 100_000, 110_050, new=20_000, contraction=-4_000, churn=-5_950),
        LedgerMonth(
            date(2024, 2, 1), 110_050, 115_050, new=4_000, reactivation=3_000, expansion=2_000,
            term_change=-1_000, ended_otherwise=-3_000,
        ),
        LedgerMonth(date(2024, 3, 1), 115_050, 115_050, partial=True),
    ]  # fmt: skip


@pytest.fixture
def score_of() -> Callable[..., ScoreRow]:
    return a_score


@pytest.fixture
def ledger() -> list[LedgerMonth]:
    return months()


@pytest.fixture
def evaluation() -> Evaluation:
    return an_evaluation()


def whole(told: dict[str, Any]) -> ReportData:
    book, accounts = told["book"], told["accounts"]
    return ReportData(
        company=told["company"],
        currency=told["currency"],
        language=told["language"],
        created_at=told["created_at"],
        as_of=book.run.as_of.date() if book else None,
        data_through=book.run.data_through if book else None,
        unpromoted=bool(book and book.run.alias == "challenger"),
        quarter=build_quarter(book, accounts, stored_reason, lambda row: row.play),
        drivers=build_drivers(book, lead_of(book)),
        movements=build_movements(told["ledger"]),
        renewals=build_renewals(
            book,
            accounts,
            stored_reason,
            lambda row: Todo(row.play),
            UNKNOWN,
            told["has_column"],
            told["names"],
        ),
        forecasts=build_forecasts(told["forecasts"], told["members"], told["outcomes"], MONDAY, 30),
        trust=build_trust(told["evaluations"]),
        papers=Papers(
            tuple(told["coverage"]), dict(book.run.drift) if book else {}, told["versions"]
        ),
    )


@pytest.fixture
def report_of() -> Callable[..., ReportData]:
    """A report of these scores; whatever else is given replaces the default."""

    def make(
        scores: list[ScoreRow] | None = None, alias: str = "champion", **other: Any
    ) -> ReportData:
        rows = [a_score("a1", 0.6, 1_000.0, tier="critical"), a_score("a2", 0.05, 250.5, None, tier="low"),
                a_score("a3", None, 80.25)] if scores is None else scores  # fmt: skip
        ids = dict.fromkeys(row.account_id for row in rows)
        mrr = {row.account_id: row.mrr for row in rows}
        accounts = [
            AccountRow(name, MONDAY, "smb", None, "mia", mrr[name], "USD", {}) for name in ids
        ]
        told: dict[str, Any] = {
            "company": "acme",
            "currency": "USD",
            "language": "en",
            "created_at": datetime(2024, 3, 4, 9, 30),
            "book": Book(a_run(alias), tuple(rows)),
            "accounts": accounts,
            "ledger": months(),
            "has_column": True,
            "names": {},
            "forecasts": (),
            "members": {},
            "outcomes": {},
            "evaluations": [an_evaluation()],
            "coverage": [
                TableCoverage("accounts", 3, 3, date(2023, 1, 1), date(2024, 3, 1)),
                TableCoverage(
                    "events", 9_000, 3, date(2023, 1, 1), date(2024, 3, 3), ("session_id",)
                ),
                TableCoverage("surveys", None),
            ],
            "versions": {"churnml": "0.1.0", "churn": "v1"},
        }
        return whole({**told, **other})

    return make


@pytest.fixture
def refused_evaluation() -> Evaluation:
    """A target that could not be trained."""
    return replace(
        Evaluation("expansion", 90, 14, False), why=("9 outcomes. Expected at least 20.",)
    )
