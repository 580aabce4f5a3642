"""The track record on the page: what its numbers call for, in three languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

import pytest
from tests.unit.report.test_render import Page, text_of

from churnml.config import LANGUAGES
from churnml.monitor.matured import Bin, BookRecord, LeftOut, SegmentRecord, Share, TargetRecord
from churnml.monitor.missed import CAUSES, CauseSum, Miss
from churnml.report.data import ReportData
from churnml.report.render import render
from churnml.report.trust import Evaluation, JudgedSegment, Metric, Missed, NamedMiss, build_trust

ReportOf = Callable[..., ReportData]
BOOK = BookRecord(
    date(2023, 9, 4), "2023-08-28-aaaaaaaa", 500, 3, 9_000_000, 41.0, 38, 700_000.0, 650_000, 50, 12,
    60, 20, 400_000, 44.0, False,
)  # fmt: skip
RECORD = TargetRecord(
    target="churn",
    horizon_days=90,
    lead_days_declared=14,
    books=(BOOK, replace(BOOK, as_of=date(2023, 10, 2), afterwards=True)),
    left_out=(LeftOut(date(2023, 11, 6), "saw_later"), LeftOut(date(2023, 12, 4), "unknown_model")),
    bins=(Bin(900, 450, 0.04, 0.05, 0.03, 0.08), Bin(100, 60, 0.4, 0.35, 0.25, 0.5)),
    overall=Share(76, 1_000, 0.076, 0.06, 0.095),
    precision=Share(24, 100, 0.24, 0.15, 0.33),
    base_share=0.076,
    flagged_mrr=Share(800_000, 1_300_000, 0.615, 0.5, 0.7),
    lead_days=44.0,
    alerts=31,
    segments=(
        SegmentRecord("smb", 600, 300, 40, 0.05, 0.12, 0.09, 0.16, True),
        SegmentRecord("mid", 300, 150, 25, 0.08, 0.09, 0.05, 0.14, False),
        SegmentRecord(None, 100, 50, 4, 0.08, 0.08, 0.03, 0.2, None),
    ),
)  # fmt: skip
EVIL = "<script>alert(1)</script>"
MISSED = Missed(
    churns=3,
    lost=90_000,
    causes=tuple(CauseSum(cause, int(cause == "ignored") * 3, 90_000) for cause in CAUSES),
    first=(
        NamedMiss(
            Miss(EVIL, datetime(2023, 11, 1), 50_000, "ignored", datetime(2023, 9, 4), 0.4, "high"),
            "because of this",
        ),
        NamedMiss(
            Miss(
                "b", datetime(2023, 11, 1), 40_000, "no_data", datetime(2023, 9, 4), None, "unknown"
            ),
            "",
        ),
    ),
)


def with_record(data: ReportData, record: TargetRecord | None, missed: Missed | None = None) -> str:
    trust = build_trust(data.trust.evaluations, [record] if record else [], missed)
    return render(replace(data, trust=trust))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_record_is_drawn_in_every_language(report_of: ReportOf, language: str) -> None:
    html = with_record(report_of(language=language), RECORD, MISSED)
    page = Page(html)
    assert "<script" not in html
    assert len(page.all("table")) == len(page.all("caption"))
    assert html.count("first-says") >= 1


def test_three_sentences_say_whether_it_can_be_trusted(report_of: ReportOf) -> None:
    text = text_of(with_record(report_of(), RECORD, MISSED))
    assert "Its probabilities held: over 2 books" in text
    assert "expected 82 churns and 76 came" in text
    assert "24% left (15% – 33%), against 7.6% of all" in text
    assert "It gave warning: 62% of the MRR that left" in text
    assert "44 days ahead" in text
    assert "1 book left out, scored by a model that had seen what came (6 Nov 2023)" in text
    assert "4 Dec 2023" in text
    assert "scored later" in text
    assert "Surely off in smb" in text
    assert "told too little" in text
    assert "do not rely on the amounts" not in text
    assert "too few to say (4 accounts with the outcome" in text
    assert "not scored on 4 Sep 2023" in text


def test_a_bad_record_is_called_bad(report_of: ReportOf) -> None:
    bad = replace(
        RECORD,
        overall=Share(200, 1_000, 0.2, 0.17, 0.23),
        precision=Share(9, 100, 0.09, 0.04, 0.16),
        flagged_mrr=Share(130_000, 1_300_000, 0.1, 0.0, 0.2),
    )
    text = text_of(with_record(report_of(), bad))
    assert "Its probabilities were off" in text
    assert "do not rely on the amounts here" in text  # beside the headline
    assert "Its order was not surely better than chance" in text
    assert "It gave too little warning: only 10%" in text
    silent = replace(bad, flagged_mrr=Share(0, 1_300_000, 0.0, 0.0, 0.0), lead_days=None)
    assert "It gave no warning: none of the MRR" in text_of(with_record(report_of(), silent))
    nobody = replace(bad, flagged_mrr=Share(0, 0, None), lead_days=None)
    assert "Nobody left" in text_of(with_record(report_of(), nobody))


def test_until_a_book_is_over_the_date_is_told_and_the_test_speaks(
    report_of: ReportOf, evaluation: Evaluation
) -> None:
    model = evaluation.model
    assert model is not None
    told = replace(
        evaluation,
        outcome_share=0.07,
        model=replace(
            model,
            metrics=(
                Metric("roc_auc", 0.8, 0.7, 0.9),
                Metric("precision_at_capacity", 0.2, 0.1, 0.3),
                Metric("mrr_recall_at_capacity", 0.38, 0.2, 0.5),
                Metric("lead_days_median", 80.0),
            ),
        ),
        segments=(
            JudgedSegment("region", "north", 500, 100, 25,
                (Metric("roc_auc", 0.55, 0.45, 0.65), Metric("calibration_error", 0.05))),
            JudgedSegment("region", "south", 90, 20, 2),
        ),
    )  # fmt: skip
    waiting = TargetRecord("churn", 90, 14, (), open_books=1, first_over=date(2024, 7, 16))
    text = text_of(with_record(report_of(evaluations=[told]), waiting))
    assert "what came of the first will be known on 16 July 2024" in text
    assert "20% had the outcome, against 7.0% of all" in text
    assert "Those accounts held 38% of the MRR with the outcome, 80 days ahead" in text
    assert "Surely off in region: north" in text
    assert "its order is no better than chance for sure" in text
    assert "too few to say (2 accounts" in text


def test_books_that_all_prove_nothing_are_not_taken_for_a_record(report_of: ReportOf) -> None:
    record = TargetRecord("churn", 90, 14, (), left_out=(LeftOut(date(2023, 11, 6), "saw_later"),))
    assert "1 past book proves nothing yet" in text_of(with_record(report_of(), record))
    assert "No book has been scored yet" in text_of(with_record(report_of(), None))
