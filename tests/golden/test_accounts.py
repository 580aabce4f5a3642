"""Some twenty accounts as a CSM reads about them: reasons and action, in every language.

Compared word for word with accounts.md. After a change of words, write it anew with
`CHURNML_REWRITE_GOLDEN=1 pytest tests/golden` and read it through: would a CSM say that?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from churnml.actions.action import render_action
from churnml.actions.choose import choose_play
from churnml.config import LANGUAGES
from churnml.explain.language import language
from churnml.explain.reasons import reasons_for
from churnml.features.evidence import Evidence

GOLDEN = Path(__file__).parent / "accounts.md"
AS_OF = datetime(2024, 3, 4)

TYPICAL = {
    "events_28d_per_week": 120.0,
    "events_change_28d_share": 0.02,
    "events_change_7d_share": 0.0,
    "active_users_28d": 8.0,
    "time_28d_per_week": 14400.0,
    "days_since_last_event": 1.0,
    "days_since_last_completion": 3.0,
    "completed_28d_per_week": 30.0,
    "completed_of_viewed_28d_share": 0.25,
    "modules_28d": 4.0,
    "modules_completed_90d": 3.0,
    "active_users_28d_seat_share": 0.55,
    "seats": 12.0,
    "key_users": 2.0,
    "key_users_left_90d": 0.0,
    "days_since_key_user_event": 2.0,
    "days_since_champion_event": 3.0,
    "contractions_90d": 0.0,
    "mrr": 900.0,
    "billing_months": 12.0,
    "days_to_renewal": 180.0,
    "tenure_days": 700.0,
    "tickets_90d": 3.0,
    "open_tickets": 0.0,
    "resolution_90d_days": 1.5,
    "csat_90d": 4.3,
    "nps_last": 8.0,
    "milestones_reached_share": 0.9,
    "employee_count": 150.0,
    "completed_segment_rank": 0.5,
    "modules_segment_rank": 0.5,
}
REFERENCE = {name: {"median": median} for name, median in TYPICAL.items()}


@dataclass(frozen=True)
class Account:
    """A hand-made score: contributions in log-odds, and what the account's row says."""

    title: str
    contributions: dict[str, float]
    row: dict[str, float | str | None]
    target: str = "churn"
    tier: str = "high"
    status: str = "ok"
    seen: dict[str, float | str | None] = field(default_factory=dict)  # beside the model's features
    evidence: Evidence | None = None


ACCOUNTS = (
    Account(
        "Use halved",
        {"events_change_28d_share": 1.1, "events_28d_per_week": 0.2, "days_since_last_event": 0.3,
         "nps_last": -0.4, "tenure_days": -0.3},
        {"events_change_28d_share": -0.5, "events_28d_per_week": 100.0,
         "days_since_last_event": 4.0, "nps_last": 9.0, "tenure_days": 1400.0},
    ),
    Account(
        "The champion left",
        {"key_users_left_90d": 0.7, "days_since_key_user_left": 0.3,
         "days_since_champion_event": 0.2, "active_users_28d": -0.3},
        {"key_users_left_90d": 1.0, "days_since_key_user_left": 23.0,
         "days_since_champion_event": 24.0, "active_users_28d": 12.0},
        tier="critical",
    ),
    Account(
        "Looks but never completes",
        {"completed_of_viewed_28d_share": 0.8, "modules_completed_90d": 0.4, "modules_28d": 0.3,
         "mrr": -0.2},
        {"completed_of_viewed_28d_share": 0.0, "modules_completed_90d": 0.0, "modules_28d": 2.0,
         "mrr": 1250.0},
    ),
    Account(
        "New and never started",
        {"milestones_overdue": 0.9, "events_28d_per_week": 0.5, "tenure_days": 0.3},
        {"milestones_overdue": 3.0, "events_28d_per_week": 0.0, "tenure_days": 62.0},
    ),
    Account(
        "Cut once, pays less",
        {"contractions_90d": 0.9, "days_since_contraction": 0.2, "mrr": 0.1, "csat_90d": -0.2},
        {"contractions_90d": 1.0, "days_since_contraction": 41.0, "mrr": 86.5, "csat_90d": 4.8},
        tier="medium",
    ),
    Account(
        "A detractor, slow support",
        {"detractors_180d": 0.6, "csat_90d": 0.3, "resolution_90d_days": 0.5, "open_tickets": 0.2},
        {"detractors_180d": 2.0, "csat_90d": 2.7, "resolution_90d_days": 6.4, "open_tickets": 3.0},
    ),
    Account(
        "Renewal ahead, thin use",
        {"days_to_renewal": 0.8, "time_28d_per_week": 0.6, "billing_months": 0.1,
         "active_users_28d": -0.1},
        {"days_to_renewal": 58.0, "time_28d_per_week": 2700.0, "billing_months": 12.0,
         "active_users_28d": 11.0},
        tier="critical",
    ),
    Account(
        "Pays for idle seats",
        {"active_users_28d_seat_share": 0.9, "seats": 0.1, "modules_28d": -0.3},
        {"active_users_28d_seat_share": 0.3, "seats": 40.0, "modules_28d": 6.0},
        target="contraction",
    ),
    Account(
        "Missing answers weigh, and nothing else does",
        {"nps_last": 0.5, "csat_90d": 0.2, "completed_28d_per_week": -0.2},
        {"nps_last": None, "csat_90d": None, "completed_28d_per_week": None},
        tier="medium",
    ),
    Account(
        "More use, yet at risk: the neutral text",
        {"events_change_28d_share": 0.6, "mrr": 0.3, "industry": 0.1, "key_users": -0.2},
        {"events_change_28d_share": 0.2, "mrr": 4300.0, "industry": "Retail", "key_users": 4.0},
        seen={"events_28d_per_week": 240.0},
        tier="medium",
    ),
    Account(
        "Every seat taken",
        {"active_users_28d_seat_share": 0.9, "events_change_28d_share": 0.5,
         "expansions_365d": 0.2, "csat_90d": -0.2, "tickets_90d": -0.1},
        {"active_users_28d_seat_share": 0.96, "events_change_28d_share": 0.35,
         "expansions_365d": 1.0, "csat_90d": 3.1, "tickets_90d": 9.0},
        seen={"events_28d_per_week": 310.0},
        target="expansion",
    ),
    Account(
        "Happy and done with onboarding",
        {"nps_last": -0.6, "milestones_reached_share": -0.4, "events_change_7d_share": -0.2},
        {"nps_last": 9.0, "milestones_reached_share": 1.0, "events_change_7d_share": 0.01},
        tier="low",
    ),
    Account(
        "Nothing to worry about",
        {"events_28d_per_week": -0.6, "days_since_key_user_event": -0.4, "open_tickets": 0.05},
        {"events_28d_per_week": 260.0, "days_since_key_user_event": 0.0, "open_tickets": 1.0},
        tier="low",
    ),
    Account(
        "Too little data",
        {"tenure_days": 0.2, "employee_count": 0.1},
        {"tenure_days": 30.0, "employee_count": None},
        tier="unknown",
        status="too_little_data",
    ),
    Account(
        "Logins halved, and the evidence says where",
        {"logins_change_28d_share": 1.1, "modules_change_28d_share": 0.4,
         "completed_segment_rank": 0.3, "active_users_28d_seat_share": -0.3},
        {"logins_change_28d_share": -0.5, "modules_change_28d_share": -0.5,
         "completed_segment_rank": 0.18, "active_users_28d_seat_share": 0.9},
        seen={"logins_28d_per_week": 100.0, "modules_28d": 2.0, "completed_28d_per_week": 3.0},
        evidence={
            "moves": {"logins": {"moved": -400, "module": "analyse", "users": 2}},
            "modules": {"gone": {"names": ["analyse", "share"], "count": 2},
                        "never": {"names": ["collect"], "count": 1}},
            "peers": {"of": "segment", "medians": {"logins_change_28d_share": 0.01}},
        },
    ),
    Account(
        "The champion left, and nobody has taken over",
        {"key_users_left_90d": 0.9, "lifecycle_stage": 0.4, "nps_last": 0.3},
        {"key_users_left_90d": 1.0, "lifecycle_stage": "renewing", "nps_last": 5.5},
        seen={"days_to_renewal": 27.0},
        tier="critical",
        evidence={
            "roles": {"champion": {"holders": 0, "left_days": 23, "left_90d": 1},
                      "executive": {"holders": 1, "silent_days": 3}},
            "critics": ["executive"],
        },
    ),
    Account(
        "Two left, and the other champion is silent",
        {"key_users_left_90d": 0.5, "days_since_key_user_left": 0.4,
         "days_since_champion_event": 0.9},
        {"key_users_left_90d": 2.0, "days_since_key_user_left": 23.0,
         "days_since_champion_event": 31.0},
        tier="critical",
        evidence={
            "roles": {"champion": {"holders": 1, "left_days": 23, "left_90d": 1, "silent_days": 31},
                      "admin": {"holders": 2, "left_days": 60, "left_90d": 1, "silent_days": 4}},
        },
    ),
    Account(
        "Looks at two modules and never completed anything elsewhere",
        {"completed_of_viewed_28d_share": 0.8, "modules_28d": 0.5, "open_tickets": 0.2},
        {"completed_of_viewed_28d_share": 0.0, "modules_28d": 2.0, "open_tickets": 2.0},
        seen={"oldest_open_ticket_days": 12.0},
        evidence={
            "modules": {"viewed": {"names": ["monitor", "visualise"], "count": 2},
                        "used": {"names": ["monitor", "visualise"], "count": 2},
                        "never": {"names": ["collect", "analyse"], "count": 2},
                        "unused": {"names": ["collect"], "count": 1}},
        },
    ),
    Account(
        "Use grew while others' fell",
        {"events_change_28d_share": -0.7, "modules_segment_rank": -0.4, "tenure_days": 0.1},
        {"events_change_28d_share": 0.25, "modules_segment_rank": 0.9, "tenure_days": 900.0},
        seen={"events_28d_per_week": 250.0, "modules_28d": 5.0},
        tier="low",
        evidence={
            "moves": {"events": {"moved": 200, "users": 1}},
            "modules": {"used": {"names": ["share", "collect", "monitor"], "count": 5}},
            "peers": {"of": "all", "medians": {"events_change_28d_share": -0.18}},
        },
    ),
)  # fmt: skip


def _lines(account: Account, lang: str) -> Iterator[str]:
    words = language(lang)
    row = {**account.row, **account.seen}
    reasons = reasons_for(
        row, list(account.contributions), np.array(list(account.contributions.values())),
        account.target, lang, "USD", REFERENCE, as_of=AS_OF,
        evidence=account.evidence,
    )  # fmt: skip
    play = choose_play(account.target, account.tier, account.status, reasons, row)
    action = render_action(play, lang, reasons, row, "USD")
    tier, status = words.tiers[account.tier], words.statuses[account.status]
    yield f"{words.targets[account.target]['name']} · {tier} · {status}\n"
    for heading, protective in (("raises", False), ("lowers", True)):
        told = [reason for reason in reasons if reason.protective == protective]
        if told:
            yield f"{words.targets[account.target][heading]}"
        for reason in told:
            name = words.drivers[reason.driver]["name"]
            yield f"- {name} ({reason.contribution:+.2f}): {reason.text}"
        if told:
            yield ""
    yield f"→ **{action.title}** ({words.who[action.who]}, {action.due_days} d, {action.effort_hours:g} h)"
    yield f"  {action.text}\n"


def test_accounts_read_as_they_were_read_through() -> None:
    text = "# Some twenty accounts\n"
    for account in ACCOUNTS:
        text += f"\n## {account.title}\n"
        for lang in LANGUAGES:
            text += f"\n### {lang}\n\n" + "\n".join(_lines(account, lang))
    if os.environ.get("CHURNML_REWRITE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_a_sentence_with_evidence_is_short_enough_to_be_said() -> None:
    told = [
        reason.text
        for account in ACCOUNTS
        if account.evidence
        for reason in reasons_for(
            {**account.row, **account.seen}, list(account.contributions),
            np.array(list(account.contributions.values())), account.target, "en", "USD", REFERENCE,
            as_of=AS_OF, evidence=account.evidence,
        )
    ]  # fmt: skip
    assert len(told) > 12
    assert [text for text in told if len(text) > 140] == []
