"""A tiny random company with every table of the contract, late rows and awkward moments included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

START = pd.Timestamp("2024-01-01")
DAYS = 260
EVENTS = ("login", "view_report", "save_report", "export", "api_call", "page_view", "help_view",
          "invite", "begin_report")  # fmt: skip
STAGES = (None, "view", "complete", "complete", None, "view", None, None, "start")
MODULES = tuple(f"m{i}" for i in range(5))
ROLES = ("admin", "executive", "champion", "contact", "member")
NEEDS = ("reporting", "audit", None)


def tables(seed: int, accounts: int = 10, many_users: int = 0) -> dict[str, pd.DataFrame]:
    """The contract's tables. many_users: events of so many more users in the first account, so that
    its users need several bitmap words."""
    rng = np.random.default_rng(seed)
    ids = [f"A{i:02d}" for i in range(accounts)]

    def moment(low: int, high: int) -> pd.Timestamp:
        # Every fourth falls on a midnight, where window edges bite.
        day = START + pd.Timedelta(days=int(rng.integers(low, high)))
        seconds = 0 if rng.random() < 0.25 else int(rng.integers(1, 86_400))
        return day + pd.Timedelta(seconds=seconds)

    found: dict[str, list[dict[str, object]]] = {
        name: []
        for name in (
            "accounts",
            "users",
            "events",
            "subscriptions",
            "tickets",
            "surveys",
            "milestones",
            "referrals",
            "interventions",
        )
    }
    for number, account in enumerate(ids):
        found["accounts"].append(
            {
                "account_id": account,
                "created_at": START - pd.Timedelta(days=int(rng.integers(0, 400))),
                "need": NEEDS[number % 3],
                "segment": ("smb", "mid")[number % 2],
                "industry": "retail",
                "region": "EMEA",
                "employee_count": int(rng.integers(5, 500)),
                "trial_started_at": moment(-60, 0) if rng.random() < 0.7 else pd.NaT,
                "converted_at": moment(1, 200) if rng.random() < 0.7 else pd.NaT,
            }
        )
        users = [f"{account}u{i}" for i in range(int(rng.integers(1, 7)))]
        for user in users:
            begins = moment(-100, 100)
            role = ROLES[int(rng.integers(0, 5))]
            ends = moment(100, 250) if rng.random() < 0.4 else pd.NaT
            found["users"].append(
                {
                    "user_id": user,
                    "account_id": account,
                    "role": role,
                    "valid_from": begins,
                    "valid_to": ends,
                    "end_known_at": ends + pd.Timedelta(days=3)
                    if not pd.isna(ends) and rng.random() < 0.5
                    else pd.NaT,
                }
            )
            if not pd.isna(ends) and rng.random() < 0.3:  # a role that changes is no departure
                found["users"].append(
                    {"user_id": user, "account_id": account, "role": "member", "valid_from": ends,
                     "valid_to": pd.NaT, "end_known_at": pd.NaT}
                )  # fmt: skip
        if number == accounts - 1:
            continue  # an account that never did anything
        extra = [f"{account}x{i}" for i in range(many_users if number == 0 else 0)]
        for _ in range(int(rng.integers(40, 160)) + 3 * len(extra)):
            kind = int(rng.integers(0, len(EVENTS)))
            occurred = moment(0, DAYS)
            late = rng.random() < 0.1
            everyone = users + extra
            found["events"].append(
                {
                    "account_id": account,
                    "occurred_at": occurred,
                    "event": EVENTS[kind],
                    "user_id": everyone[int(rng.integers(0, len(everyone)))],
                    "module": MODULES[int(rng.integers(0, 5))],
                    "stage": STAGES[kind],
                    "session_id": f"s{rng.integers(0, 40)}",
                    "duration_s": round(float(rng.uniform(0, 900)), 3),
                    "quantity": float(rng.integers(0, 50)) / 4,
                    "is_automated": EVENTS[kind] == "api_call",
                    "known_at": occurred + pd.Timedelta(days=int(rng.integers(1, 40)))
                    if late
                    else occurred,
                }
            )
        _subscriptions(rng, found["subscriptions"], account, moment)
        for ticket in range(int(rng.integers(0, 8))):
            opened = moment(0, DAYS - 20)
            closed = opened + pd.Timedelta(hours=int(rng.integers(1, 400)))
            open_still = rng.random() < 0.2
            found["tickets"].append(
                {
                    "ticket_id": f"{account}-{ticket}",
                    "account_id": account,
                    "opened_at": opened,
                    "first_reply_at": opened + (closed - opened) / 3
                    if rng.random() < 0.8
                    else pd.NaT,
                    "closed_at": pd.NaT if open_still else closed,
                    "severity": ("low", "Urgent", "high")[int(rng.integers(0, 3))],
                    "csat": np.nan
                    if open_still or rng.random() < 0.3
                    else float(rng.integers(1, 6)),
                }
            )
        for user in users:
            for _ in range(int(rng.integers(0, 3))):
                found["surveys"].append(
                    {"account_id": account, "user_id": user, "answered_at": moment(0, DAYS),
                     "kind": "nps", "score": float(rng.integers(0, 11))}
                )  # fmt: skip
            for kind, high in (("csat", 6), ("article_vote", 2)):
                if rng.random() < 0.5:
                    low = 1 if kind == "csat" else 0
                    found["surveys"].append(
                        {"account_id": account, "user_id": user, "answered_at": moment(0, DAYS),
                         "kind": kind, "score": float(rng.integers(low, high))}
                    )  # fmt: skip
        for nth in range(int(rng.integers(0, 3))):
            referred = moment(0, DAYS)
            found["referrals"].append(
                {"account_id": account, "referred_at": referred,
                 "converted_at": referred + pd.Timedelta(days=20) if nth else pd.NaT}
            )  # fmt: skip
        for nth in range(int(rng.integers(0, 4))):
            performed = moment(0, DAYS)
            found["interventions"].append(
                {"intervention_id": f"{account}-i{nth}", "account_id": account,
                 "performed_at": performed, "play": "call",
                 "arm": ("treated", "held_out", None)[nth % 3],
                 "closed_at": performed + pd.Timedelta(days=10) if rng.random() < 0.5 else pd.NaT}
            )  # fmt: skip
        for step, due in (("first_report", 30), ("integration", 60), ("rollout", 300)):
            found["milestones"].append(
                {"account_id": account, "milestone": step, "due_day": due,
                 "reached_at": moment(0, DAYS) if rng.random() < 0.6 else pd.NaT}
            )  # fmt: skip
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def _subscriptions(rng, rows, account, moment) -> None:  # type: ignore[no-untyped-def]
    price, at = int(rng.integers(50, 400)), START - pd.Timedelta(days=30)
    for _ in range(int(rng.integers(1, 4))):
        ends = at + pd.Timedelta(days=int(rng.integers(40, 150)))
        last = rng.random() < 0.4
        rows.append(
            {
                "account_id": account,
                "product": "core",
                "started_at": at,
                "ended_at": pd.NaT if last else ends,
                "mrr": price - (7.25 if rng.random() < 0.3 else 0),
                "list_mrr": float(price),
                "seats": int(rng.integers(3, 20)),
                "billing_months": 1,
                "renews_at": at + pd.Timedelta(days=30),
                "end_reason": None if last else ("payment_failed", "price")[int(rng.integers(2))],
                "known_at": at + pd.Timedelta(days=2) if rng.random() < 0.2 else at,
            }
        )
        if last:
            break
        at = ends + pd.Timedelta(days=int(rng.choice([0, 0, 5, 45])))
        price = max(10, price + int(rng.integers(-40, 60)))
    if rng.random() < 0.5:
        begins = moment(0, 120).normalize()
        rows.append(
            {
                "account_id": account,
                "product": "add-on",
                "started_at": begins,
                "ended_at": begins + pd.Timedelta(days=60) if rng.random() < 0.5 else pd.NaT,
                "mrr": 20.0,
                "list_mrr": 20.0,
                "seats": None,
                "billing_months": 12,
                "renews_at": begins + pd.Timedelta(days=365),
                "end_reason": "price",
                "known_at": begins,
            }
        )


def write(found: dict[str, pd.DataFrame], folder: Path) -> Path:
    """Write the tables as Parquet files and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in found.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder
