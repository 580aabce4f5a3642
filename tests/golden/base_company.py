"""A small company that is used, asked, referred and tried, drawn once with a fixed seed.

Among its rows: events known late, by machines, without a user, a module or a stage; accounts that ended, that
have no event, no seats, no milestone; key users who left, changed their role, or fell silent; answers given
twice; referrals and trials that came to something after the report's date; ends known before they come."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

AS_OF = datetime(2025, 5, 19)
FIRST = datetime(2024, 1, 3)
THROUGH = datetime(2025, 6, 10)
_STAGES = ("view", "start", "complete", None)
_MODULES = ("core", "reports", "", None)
_ROLES = ("admin", "executive", "champion", "contact", "member")


def write_company(folder: Path, accounts: int = 24, seed: int = 5) -> Path:
    """The project folder with all tables."""
    rng = np.random.default_rng(seed)
    data = folder / "data"
    data.mkdir(parents=True)
    (folder / "churnml.toml").write_text(
        f'version = 1\nname = "base"\n\n[source]\ndata_through = {THROUGH:%Y-%m-%d}\n'
    )
    ids = [f"a{number:02d}" for number in range(accounts)]
    tables = {
        "accounts": _accounts(rng, ids),
        "subscriptions": _subscriptions(rng, ids),
        "users": _users(rng, ids),
        "events": _events(rng, ids),
        "surveys": _surveys(rng, ids),
        "milestones": _milestones(rng, ids),
        "referrals": _referrals(rng, ids),
    }
    for name, table in tables.items():
        table.to_parquet(data / f"{name}.parquet", index=False)
    return folder


def without(folder: Path, table: str, *columns: str) -> None:
    """Take a table, or columns of it, out of the project."""
    file = folder / "data" / f"{table}.parquet"
    if columns:
        pd.read_parquet(file).drop(columns=list(columns)).to_parquet(file, index=False)
    else:
        file.unlink()


def _created(number: int) -> datetime:
    return datetime(2023, 11, 1, 8) + timedelta(days=22 * (number % 24))


def _maybe(rng: np.random.Generator, share: float, moment: datetime) -> datetime | None:
    return moment if rng.random() < share else None


def _accounts(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(ids):
        trial = _maybe(rng, 0.8, _created(number))
        converted = trial and _maybe(rng, 0.7, trial + timedelta(days=float(rng.integers(3, 90))))
        rows.append((name, _created(number), trial, converted))
    # One whose trial began in the last days, one that converts after the report.
    rows[-1] = (ids[-1], AS_OF - timedelta(days=12), AS_OF - timedelta(days=12), None)
    rows[-2] = (
        ids[-2],
        AS_OF - timedelta(days=70),
        AS_OF - timedelta(days=70),
        AS_OF + timedelta(days=2),
    )
    names = ["account_id", "created_at", "trial_started_at", "converted_at"]
    return _moments(pd.DataFrame(rows, columns=names), *names[1:])


def _subscriptions(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(ids):
        start = _created(number) + timedelta(days=10)
        end = known = None
        if number % 5 == 2:
            end = start + timedelta(days=float(rng.integers(60, 400)), hours=3)
            known = end - timedelta(days=20) if number % 2 else end + timedelta(days=4)
        seats = None if number % 7 == 3 else float(rng.integers(1, 9))
        rows.append((name, "core", start, end, 10.0 + number, seats, known))
        if number % 4 == 1 and (end is None or end > start + timedelta(days=90)):
            rows.append(
                (
                    name,
                    "addon",
                    start + timedelta(days=90),
                    None if end is None else end,
                    5.5,
                    2.0,
                    known,
                )
            )
    names = ["account_id", "product", "started_at", "ended_at", "mrr", "seats", "end_known_at"]
    return _moments(pd.DataFrame(rows, columns=names), "started_at", "ended_at", "end_known_at")


def _users(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(ids):
        for place in range(5):
            start = _created(number) + timedelta(days=float(rng.integers(0, 40)))
            left = known = None
            if rng.random() < 0.3:
                left = AS_OF - timedelta(days=float(rng.integers(-20, 150)), hours=5)
                left = max(left, start + timedelta(days=1))
                known = left + timedelta(days=float(rng.integers(0, 9)))
            user, role = f"u{number}_{place}", _ROLES[(place + number) % 5]
            rows.append((user, name, role, start, left, known))
            if left is not None and rng.random() < 0.4:  # a role that changes
                rows.append((user, name, _ROLES[(place + 1) % 5], left, None, None))
    names = ["user_id", "account_id", "role", "valid_from", "valid_to", "end_known_at"]
    return _moments(pd.DataFrame(rows, columns=names), "valid_from", "valid_to", "end_known_at")


def _events(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    span = (THROUGH - FIRST) / timedelta(seconds=1)
    for number, name in enumerate(ids):
        if number == 4:
            continue  # an account without events
        for _ in range(int(rng.integers(20, 260))):
            at = FIRST + timedelta(seconds=int(rng.random() * span))
            place = int(rng.integers(0, 6))
            user = None if place == 5 else f"u{number}_{place}"
            if place == 0 and at > AS_OF - timedelta(days=28):
                continue  # the first of each fell silent
            known = at + timedelta(days=float(rng.integers(1, 30))) if rng.random() < 0.1 else None
            rows.append(
                (name, at, "save", user, _MODULES[rng.integers(4)], _STAGES[rng.integers(4)],
                 None if rng.random() < 0.2 else f"{name}-{at:%Y%m%d%H}", bool(rng.random() < 0.1), known)
            )  # fmt: skip
    rows += [  # on the edges of the last four weeks
        (ids[0], AS_OF, "save", "u0_1", "core", "complete", "edge", False, None),
        (
            ids[0],
            AS_OF - timedelta(days=28),
            "save",
            "u0_2",
            "core",
            "complete",
            "edge2",
            False,
            None,
        ),
        (ids[0], THROUGH, "save", "u0_1", "core", "complete", "end", False, None),
        (ids[0], FIRST, "save", "u0_1", "core", "complete", "begin", False, None),
    ]
    names = ["account_id", "occurred_at", "event", "user_id", "module", "stage", "session_id",
             "is_automated", "known_at"]  # fmt: skip
    return _moments(pd.DataFrame(rows, columns=names), "occurred_at", "known_at")


def _surveys(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(ids):
        for _ in range(int(rng.integers(0, 14))):
            at = AS_OF - timedelta(
                days=float(rng.integers(-15, 400)), seconds=int(rng.integers(0, 86400))
            )
            user = f"u{number}_{rng.integers(0, 4)}" if rng.random() < 0.85 else None
            kind = "nps" if rng.random() < 0.8 else "csat"
            rows.append((name, at, user, kind, float(rng.integers(1, 11 if kind == "nps" else 6))))
    found = pd.DataFrame(rows, columns=["account_id", "answered_at", "user_id", "kind", "score"])
    return _moments(found, "answered_at")


def _milestones(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    for number, name in enumerate(ids):
        if number == 7:
            continue
        for step, due in (("kickoff", 14), ("live", 45)):
            reached = _created(number) + timedelta(days=float(rng.integers(0, 2 * due)))
            rows.append((name, step, due, _maybe(rng, 0.9, reached)))
    found = pd.DataFrame(rows, columns=["account_id", "milestone", "due_day", "reached_at"])
    return _moments(found, "reached_at")


def _referrals(rng: np.random.Generator, ids: list[str]) -> pd.DataFrame:
    rows = []
    for name in ids:
        for _ in range(int(rng.integers(0, 4))):
            at = AS_OF - timedelta(days=float(rng.integers(-10, 800)), hours=2)
            rows.append(
                (name, at, _maybe(rng, 0.5, at + timedelta(days=float(rng.integers(1, 60)))))
            )
    return _moments(
        pd.DataFrame(rows, columns=["account_id", "referred_at", "converted_at"]),
        "referred_at", "converted_at",
    )  # fmt: skip


def _moments(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    for column in columns:
        table[column] = pd.to_datetime(table[column]).astype("datetime64[us]")
    return table
