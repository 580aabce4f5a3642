"""Past books of the hand-made company, some of which prove nothing, and actions on what they flagged."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.golden.report_company import AS_OF, paying_at

from churnml.actions.record import ActionRow, change
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import Store, open_store, sqlite_url

EARLY, LATE = "2024-06-01-aaaaaaaa", "2025-05-01-bbbbbbbb"
# as_of, version, by how much its chances are moved. Written in this order.
BOOKS = (
    (datetime(2024, 6, 3), EARLY, 0),
    (datetime(2024, 7, 8), EARLY, 1),
    (datetime(2024, 8, 5), LATE, 2),  # a model that had seen what came
    (datetime(2024, 9, 2), "v1", 3),  # a model of which nothing is known
    (datetime(2024, 10, 7), EARLY, 4),
    (datetime(2024, 10, 7), LATE, 5),  # scored again when the outcome was known
    (datetime(2024, 12, 9), EARLY, 6),
    (datetime(2025, 1, 6), EARLY, 7),  # its grace is not over
    (AS_OF, LATE, 8),
)
COUNTED = (BOOKS[0], BOOKS[1], BOOKS[4], BOOKS[6])
# What was told of those that left, so that each cause comes up.
TOLD = {
    "left_in_summer": 0.45,  # flagged, an action done
    "came_back": 0.35,  # flagged, nothing done
    "left_last_quarter": 0.02,  # no signal
}
TOO_LITTLE = ("steady_05", "new_before")
WHY = (
    ("usage_trend", "events_change_28d_share", -0.5),
    ("key_users", "days_since_key_user_event", 40.0),
    ("support", "open_tickets", 3.0),
)


def score_past(project: Path, most: int | None = None) -> None:
    """Write the books, the newest of at most `most` accounts, and the actions."""
    store = open_store(sqlite_url((project / "store.db").resolve()))
    for number, (as_of, version, moved) in enumerate(BOOKS):
        _write(store, f"run-{number}", as_of, version, moved, most if as_of == AS_OF else None)
    opened = datetime(2024, 6, 10)
    _act(store, "left_in_summer", opened, "talked to them")
    _act(store, "came_back", datetime(2024, 10, 14), "lapsed")
    store.close()


def _write(
    store: Store, run_id: str, as_of: datetime, version: str, moved: int, most: int | None
) -> None:
    scores, accounts = [], []
    for number, (name, cents) in enumerate(sorted(paying_at(as_of.date()).items())[:most]):
        segment = ("smb", "mid", "enterprise")[number % 3]
        accounts.append(
            AccountRow(name, as_of, segment, None, "ana", cents / 100, "USD",
                       {feature: value for _, feature, value in WHY})
        )  # fmt: skip
        told: float | None = round(0.01 + 0.0137 * ((number * 7 + 3 * moved) % 23), 4)
        told = TOLD.get(name, told)
        if name in TOO_LITTLE:
            told = None
        scores.append(
            ScoreRow(
                account_id=name,
                as_of=as_of,
                target="churn",
                horizon_days=90,
                lead_days=14,
                probability=told,
                tier=_tier(told),
                status="ok" if told is not None else "too_little_data",
                reasons=_reasons(number) if told is not None else [],
                play="fading_usage",
                mrr=cents / 100,
                currency="USD",
                model_version=version,
                data_through=as_of,
            )
        )
    run = ScoringRun(
        run_id, as_of, as_of, as_of + timedelta(hours=6), "champion", {"churn": version}
    )
    store.write_book(run, scores, accounts)


def _tier(told: float | None) -> Any:
    if told is None:
        return "unknown"
    return "high" if told >= 0.25 else "medium" if told >= 0.1 else "low"


def _reasons(number: int) -> list[dict[str, Any]]:
    """Up to three that raise, of uneven weights, and one that lowers."""
    pulls = [0.9, 0.37, 0.11][: number % 4]
    raising = [(*WHY[(number + place) % 3], pull) for place, pull in enumerate(pulls)]
    return [
        {"driver": driver, "feature": feature, "value": value, "unit": "", "contribution": pull,
         "text": f"because {driver}", "protective": pull < 0}
        for driver, feature, value, pull in (*raising, ("breadth", "modules_28d", 4.0, -0.8))
    ]  # fmt: skip


def _act(store: Store, account_id: str, at: datetime, outcome: str) -> None:
    """An action that was opened and ended three weeks later."""
    opened = ActionRow(
        action_id=f"of-{account_id}", account_id=account_id, play="fading_usage", occasion="once",
        target="churn", state="open", arm="treated", propensity=1.0, who="csm", csm_id="ana",
        opened_at=at, due_at=at + timedelta(days=7), recover_by=None, as_of=at, probability=0.4,
        tier="high", reasons=(),
    )  # fmt: skip
    ended = ActionRow(
        **{
            **vars(opened),
            "state": "closed",
            "closed_at": at + timedelta(days=21),
            "outcome": outcome,
        }
    )
    with store.actions.changing() as pen:
        pen.write([change(opened, "opened", at)])
        assert ended.closed_at is not None
        pen.write([change(ended, "closed", ended.closed_at, detail=outcome)])
