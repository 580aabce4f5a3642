"""The health of the base: shares, intervals, what is not over yet, and what stays unsaid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

import pytest

from churnml.actions.voice import VoiceNote
from churnml.config import LANGUAGES
from churnml.report.balance import balance_of
from churnml.report.base import (
    Activation,
    Base,
    ModuleFunnel,
    MonthUse,
    Nps,
    Referrals,
    RoleHeld,
    Started,
    Trials,
    nps_of,
    started_of,
    voice_of,
)
from churnml.report.data import ReportData
from churnml.report.render import render

ReportOf = Callable[..., ReportData]
START, END = datetime(2025, 4, 1), datetime(2025, 5, 19)
NEEDS = ("visits", "people", "modules", "seats", "key_users", "nps", "referrals", "trials", "activation",
         "milestones")  # fmt: skip


def test_nps_is_promoters_less_detractors_and_each_account_counts_as_one() -> None:
    told = nps_of([(1, 1, 0)] * 10 + [(1, 0, 1)] * 5 + [(1, 0, 0)] * 5)
    assert told is not None
    assert (told.respondents, told.accounts, told.score) == (20, 20, 25.0)
    # Of independent answers: s² = (15 - 20 × 0.25²) / 19, half = 1.96 s / √20.
    half = 196 * ((15 - 20 * 0.0625) / 19 / 20) ** 0.5
    assert told.low == pytest.approx(25 - half, abs=0.01)
    assert told.high == pytest.approx(25 + half, abs=0.01)
    alike = nps_of([(4, 4, 0)] * 10 + [(4, 0, 4)] * 5 + [(4, 0, 0)] * 5)
    assert alike is not None
    assert alike.low == pytest.approx(told.low)  # four answers of one voice say no more than one


def test_of_many_modules_those_used_most_are_shown_and_the_others_folded(
    report_of: ReportOf,
) -> None:
    modules = tuple(
        ModuleFunnel(f"m{number:02}", number, 0, 0, 0, number) for number in range(1, 14)
    )
    html = render(replace(report_of(), base=replace(a_base(), modules=modules)))
    assert "3 other modules" in html
    assert html.index("m13") < html.index("m04") < html.index("3 other modules") < html.index("m03")


def test_nps_of_few_accounts_has_no_interval_and_of_nobody_is_none() -> None:
    told = nps_of([(3, 2, 0)] * 9)
    assert told is not None
    assert (told.low, told.high) == (None, None)
    assert nps_of([]) is None


def test_a_cohort_tells_a_mark_when_its_last_account_is_that_old() -> None:
    rows = [(datetime(2025, 1, 1), 9, 3, 4, 5), (datetime(2024, 10, 1), 8, 2, 3, 4)]
    first, second = started_of(rows, datetime(2025, 5, 1))
    assert (first.quarter, first.within) == (date(2024, 10, 1), (2, 3, 4))
    assert second.within == (3, None, None)
    assert started_of(rows, datetime(2025, 6, 30))[1].within == (3, 4, 5)


def a_note(
    number: int, topic: str, account: str, noted: datetime, closed: datetime | None = None
) -> VoiceNote:
    return VoiceNote(number, account, topic, "wish", "product", "Ann Secret wants more", noted, None, closed,
                     "done" if closed else None)  # fmt: skip


def test_the_voice_is_told_as_it_stood_by_topic_with_each_account_once() -> None:
    may, june = datetime(2025, 5, 2), datetime(2025, 6, 2)
    notes = [
        a_note(1, "pricing", "a", datetime(2025, 2, 1)),
        a_note(2, "pricing", "a", may),
        a_note(3, "pricing", "b", may, closed=june),  # closed after the report's date
        a_note(4, "pricing", "gone", may),
        a_note(5, "support", "b", datetime(2025, 1, 1), closed=may),
        a_note(6, "support", "b", june),
    ]
    told = voice_of(notes, {"a": 100.25, "b": 50.5}, START, END)
    assert (told.open, told.noted, told.closed) == (4, 3, 1)
    (topic,) = told.topics
    assert (topic.topic, topic.notes, topic.accounts, topic.mrr) == ("pricing", 4, 3, 15_075)
    assert (topic.without_mrr, topic.oldest) == (1, date(2025, 2, 1))


def a_base(**other: object) -> Base:
    month = MonthUse(date(2025, 5, 18), 10, 9, 8, 30, 30, 400, 50, 90)
    told = {
        "as_of": END, "paying": 10, "months": (replace(month, last=date(2025, 4, 20), seated=20), month),
        "modules": (ModuleFunnel("<b>core</b>", 9, 8, 4, 2, 99),),
        "key_users": (RoleHeld("admin", 10, 7, 9, 1, 2), RoleHeld("contact", 5, None, 5, 0, None)),
        "activation": Activation("completed", (Started(date(2025, 1, 1), 4, (1, 2, None)),)),
        "nps": (Nps(20, 20, 10, 5, 25.0, -8.0, 58.0), None),
        "referrals": (Referrals(4, 3, 1), Referrals(2, 2, 0)), "trials": Trials(8, 5, 14.0, 2),
        "voice": voice_of([a_note(1, "pricing", "a", START)], {"a": 100.0}, START, END),
        "balance": balance_of(()), "needs": (),
    }  # fmt: skip
    return Base(**{**told, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_section_is_drawn_and_quotes_no_note(report_of: ReportOf, language: str) -> None:
    html = render(replace(report_of(language=language), base=a_base()))
    assert 'id="base-key_users"' in html
    assert "Secret" not in html
    assert "<b>core" not in html
    assert "60%" in html  # 30 people on 50 seats
    assert "+25" in html
    assert "−8" in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_absent_is_a_line_and_never_a_zero(report_of: ReportOf, language: str) -> None:
    nothing = voice_of([], {}, START, END)
    month = MonthUse(date(2025, 5, 18), 10, 9, None, None, None, 400, None, None)
    base = a_base(months=(month,), modules=None, key_users=None, activation=None, nps=None, referrals=None,
                  trials=None, voice=nothing, needs=NEEDS)  # fmt: skip
    html = render(replace(report_of(language=language), base=base))
    for name in ("modules", "key_users", "activation", "nps", "referrals"):
        assert f'id="base-{name}"' not in html
    for table in ("surveys", "referrals", "milestones", "session_id", "trial_started_at"):
        assert table in html


def test_an_empty_company_has_no_shares(report_of: ReportOf) -> None:
    month = MonthUse(date(2025, 5, 18), 0, 0, 0, 0, 0, 0, None, 0)
    assert (month.completing_share, month.seat_share, month.per_account(0)) == (None, None, None)
    html = render(replace(report_of(), base=a_base(paying=0, months=(month,), modules=())))
    assert 'id="base-company"' not in html
