"""The report's sums: every number from the rows that were handed in, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from churnml.errors import ChurnmlError
from churnml.report.data import ReportData
from churnml.report.money import share_interval
from churnml.report.movements import Flow, LedgerMonth
from churnml.report.render import render, render_json
from churnml.report.trust import CalibrationBin, Evaluation
from churnml.store.rows import ScoreRow

ReportOf = Callable[..., ReportData]
ScoreOf = Callable[..., ScoreRow]


def test_mrr_at_risk_is_the_sum_of_probability_times_mrr(report_of: ReportOf) -> None:
    data = report_of()
    outlook = data.quarter.outlook("churn")
    assert outlook is not None
    assert outlook.expected_mrr == pytest.approx(0.6 * 100_000 + 0.05 * 25_050)
    assert outlook.expected_accounts == pytest.approx(0.65)
    assert (outlook.accounts, outlook.mrr) == (2, 125_050)
    assert (outlook.window_from, outlook.window_until) == (date(2024, 3, 18), date(2024, 6, 16))


def test_an_account_that_was_not_judged_is_shown_as_such_and_never_as_safe(
    report_of: ReportOf,
) -> None:
    data = report_of()
    assert (data.quarter.accounts, data.quarter.mrr) == (3, 133_075)
    assert (data.quarter.unscored_accounts, data.quarter.unscored_mrr) == (1, 8_025)
    assert [(tier.tier, tier.accounts, tier.mrr) for tier in data.quarter.tiers] == [
        ("critical", 1, 100_000),
        ("high", 0, 0),
        ("medium", 0, 0),
        ("low", 1, 25_050),
        ("unknown", 1, 8_025),
    ]
    assert sum(tier.mrr for tier in data.quarter.tiers) == data.quarter.mrr


def test_the_accounts_to_look_at_first_are_those_with_most_mrr_at_risk(
    report_of: ReportOf, score_of: ScoreOf
) -> None:
    rows = [score_of(f"a{number:02d}", 0.01 * number, 100.0) for number in range(1, 31)]
    rows.append(score_of("small_but_certain", 0.99, 1.0))
    data = report_of(rows)
    assert [line.account_id for line in data.quarter.first] == [f"a{n}" for n in range(30, 20, -1)]
    assert data.quarter.first[0].reason == "because usage_trend"
    assert data.quarter.first[0].csm_id == "mia"


def test_a_month_that_does_not_tie_by_one_cent_is_refused(
    report_of: ReportOf, ledger: list[LedgerMonth]
) -> None:
    ledger[1] = replace(ledger[1], end=ledger[1].end + 1)
    with pytest.raises(ChurnmlError, match=r"ledger of 2024-02: start and moves make 1150\.50"):
        report_of(ledger=ledger)


def test_a_month_that_does_not_begin_where_the_last_one_ended_is_refused(
    report_of: ReportOf, ledger: list[LedgerMonth]
) -> None:
    with pytest.raises(ChurnmlError, match=r"the month before ended at 1100\.50"):
        report_of(ledger=[ledger[0], replace(ledger[2], start=1, end=1)])


def test_grr_and_nrr_are_the_mean_share_kept_over_full_months(report_of: ReportOf) -> None:
    kept = report_of().movements.kept
    assert kept is not None
    assert kept.months == 2
    assert kept.grr == pytest.approx((0.9005 * 1.0) ** 0.5)
    assert kept.nrr == pytest.approx((0.9005 * (1 + 1_000 / 110_050)) ** 0.5)


def test_without_churn_scores_the_report_speaks_of_the_next_target(
    report_of: ReportOf, score_of: ScoreOf
) -> None:
    data = report_of([score_of("a", 0.2, target="expansion")])
    assert data.quarter.lead == "expansion"
    assert data.quarter.unscored_accounts == 0


def test_before_the_first_scoring_there_is_no_number_about_the_future(report_of: ReportOf) -> None:
    data = report_of(book=None, accounts=(), ledger=(), evaluations=(), coverage=())
    assert data.quarter.lead is None
    assert data.as_of is None
    assert data.quarter.outlooks == ()


def test_a_calibration_bin_gets_an_interval_that_counts_each_account_once(
    report_of: ReportOf, evaluation: Evaluation
) -> None:
    wide = report_of(evaluations=[evaluation]).trust.evaluations[0].calibration[1]
    narrow = replace(evaluation, accounts=evaluation.rows)
    tight = report_of(evaluations=[narrow]).trust.evaluations[0].calibration[1]
    assert wide.low is not None
    assert tight.low is not None
    assert wide.low < tight.low < 0.31
    assert (wide.low, wide.high) == pytest.approx(share_interval(0.31, 125))


def test_an_interval_that_was_handed_in_is_kept(
    report_of: ReportOf, evaluation: Evaluation
) -> None:
    own = replace(evaluation, calibration=(CalibrationBin(10, 0.1, 0.2, 0.15, 0.25),))
    assert report_of(evaluations=[own]).trust.evaluations[0].calibration == own.calibration


def test_the_data_can_be_written_as_json(report_of: ReportOf) -> None:
    text = render_json(report_of())
    assert b'"expected_mrr": 61252.5' in text


def test_mrr_churn_is_of_those_who_paid_at_the_start() -> None:
    """In a company that grows fast, churn of the newly won would be more than there was at the start."""
    flow = Flow(date(2024, 1, 1), date(2024, 12, 31), 1_000, 9_000, {"new": 9_000, "churn": -1_000},
                {"new": 90, "churn": 10}, 10, 1, 0.9, 0.9, churned_mrr=100)  # fmt: skip
    assert flow.mrr_churn == 0.1
    assert replace(flow, start=0, churned_mrr=0).mrr_churn is None


def test_a_book_that_leaves_out_much_of_what_is_paid_says_so(report_of: ReportOf) -> None:
    data = report_of()
    assert data.quarter.mrr == 133_075

    def told(end: int) -> str:
        flow = Flow(date(2024, 1, 1), date(2024, 3, 3), end, end, {}, {}, 9, 0, 1.0, 1.0)
        return render(replace(data, movements=replace(data.movements, to_date=flow)))

    assert "It leaves out 50% of the $2,662 that is paid" in told(266_150)
    assert "It leaves out" not in told(133_075)
