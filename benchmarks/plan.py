"""What planning costs and what the proof is worth: `python -m benchmarks.plan`.

A made-up book of 10,000 accounts (seeded), each with two plays. Prints, for several numbers of hours, how
long the exact plan takes beside a greedy one by worth per hour, and what each is worth; then the whole
command's work, from the store of a scored book to its sentences. Two cores of a shared machine: the
ratios say more than the seconds."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from churnml.actions.plan import Candidate, best_plan
from churnml.features.catalog import CATALOG
from churnml.stages.plan import plan
from churnml.stages.project import open_project
from churnml.store.rows import AccountRow, FeatureValue, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

HOURS = (8.0, 40.0, 400.0, 4000.0)
EFFORTS = (0.5, 1.0, 1.5, 2.0, 3.0)  # of the shipped plays
DAY = datetime(2025, 12, 1)
PLAYS = {"churn": "fading_usage", "contraction": "contraction_review",
         "expansion": "growth_conversation"}  # fmt: skip
T = TypeVar("T")


def a_book(accounts: int, seed: int, odd: bool) -> list[Candidate]:
    """Two actions for each account. odd: hours to the minute, instead of half hours."""
    rng = np.random.default_rng(seed)
    found = []
    for place in range(accounts):
        mrr, risk = rng.lognormal(6.5, 1.2), rng.beta(1, 8)
        for play in "pq":
            hours = rng.integers(30, 240) / 60 if odd else float(rng.choice(EFFORTS))
            worth = 9 * mrr * risk * rng.uniform(0.05, 0.15) - 50 * hours
            found.append(Candidate(f"a{place:05d}", play, hours, float(worth)))
    return found


def greedy(candidates: Sequence[Candidate], hours: float) -> float:
    """The worth of taking actions by worth per hour, as long as they fit, one per account."""
    worth, taken = 0.0, set()
    for item in sorted(candidates, key=lambda item: -item.worth / item.hours):
        if item.worth > 0 and item.hours <= hours and item.account_id not in taken:
            hours -= item.hours
            worth += item.worth
            taken.add(item.account_id)
    return worth


def timed(work: Callable[[], T], repeat: int) -> tuple[T, float]:
    """What it returns, and the median of its seconds."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - start)
    return found, median(seconds)


def a_store(folder: Path, accounts: int, seed: int) -> None:
    """A scored book: three targets, five reasons each, every feature of the catalogue."""
    rng = np.random.default_rng(seed)
    (folder / "churnml.toml").write_text("", encoding="utf-8")
    names = [feature.name for feature in CATALOG if not feature.categorical]
    reason = {"driver": "usage_trend", "feature": "events_change_28d_share", "value": -0.5,
              "unit": "share", "contribution": 0.6, "text": "Use fell by half in 28 days",
              "protective": False}  # fmt: skip
    scores, rows = [], []
    for place in range(accounts):
        account, mrr = f"a{place:05d}", float(np.round(rng.lognormal(6.5, 1.2), 2))
        features: dict[str, FeatureValue] = dict(
            zip(names, rng.normal(0, 1, len(names)).round(4).tolist(), strict=True)
        )
        features["events_change_28d_share"] = -0.5
        rows.append(
            AccountRow(account, DAY, "smb", None, f"csm-{place % 20}", mrr, "USD", features)
        )
        for target, play in PLAYS.items():
            scores.append(
                ScoreRow(account, DAY, target, 90, 14, float(rng.beta(1, 8)), "medium", "ok",
                         [reason] * 5, play, mrr, "USD", "v1", DAY)
            )  # fmt: skip
    store = open_store(sqlite_url(folder / "store.db"))
    store.write_book(ScoringRun("run", DAY, DAY, DAY, "champion", {}), scores, rows)
    store.close()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    print(f"{told.accounts:,} accounts; load before: {os.getloadavg()[0]:.1f}")
    print("| hours | efforts | exact, s | greedy, s | times | worth of greedy / exact |")
    print("|---|---|---|---|---|---|")
    for odd in (False, True):
        book = a_book(told.accounts, told.seed, odd)
        for hours in HOURS:
            exact, slow = timed(lambda h=hours, b=book: best_plan(b, h), told.repeat)  # type: ignore[misc]
            by_hand, quick = timed(lambda h=hours, b=book: greedy(b, h), told.repeat)  # type: ignore[misc]
            kind = "to the minute" if odd else "half hours"
            print(
                f"| {hours:g} | {kind} | {slow:.2f} | {quick:.3f} | {slow / quick:.0f} "
                f"| {by_hand / exact.worth:.5f} |",
                flush=True,
            )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a_store(folder, told.accounts, told.seed)
        for hours in HOURS:
            found, seconds = timed(lambda h=hours: plan(open_project(folder), h), told.repeat)  # type: ignore[misc]
            print(
                f"from the store, {hours:g} hours, an hour more included: {seconds:.2f} s, "
                f"{len(found.chosen):,} actions",
                flush=True,
            )
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
