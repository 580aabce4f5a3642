"""Ledgers of why a score changed, as a CSM reads them, in every language.

Compared word for word with changes.md. After a change of words, write it anew with
`CHURNML_REWRITE_GOLDEN=1 pytest tests/golden` and read it through: would a CSM say that to a colleague?"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from churnml.config import LANGUAGES
from churnml.explain.change import (
    Calibrated,
    Change,
    Ledger,
    Side,
    Untold,
    log_odds_of,
    mean_slope,
    moved_ledger,
    weighed_ledger,
)
from churnml.explain.tell_change import tell_change

GOLDEN = Path(__file__).parent / "changes.md"
THEN, NOW = datetime(2024, 3, 4), datetime(2024, 4, 1)
START = -2.0  # 11.9 %
REFERENCE = {"nps_last": {"median": 8.0}}


@dataclass(frozen=True)
class Case:
    """A hand-made change: what each feature's move added, and its value then and now."""

    title: str
    moved: dict[str, tuple[float, Any, Any]]
    target: str = "churn"
    seen: dict[str, Any] = field(default_factory=dict)  # of the newer row, beside what moved
    model: float = 0.0
    calibration: float = 0.0
    unkept: bool = False  # the older score's parts
    bound: tuple[bool, bool] = (False, False)
    contract: float = 0.0
    then_horizon: int = 90
    held: tuple[str, ...] = ()
    untold: Untold | None = None
    chances: tuple[float | None, float | None] = (0.119, 0.31)


CASES = (
    Case(
        "Use halved, and the champion fell silent",
        {
            "logins_change_28d_share": (0.5, 0.02, -0.5),
            "events_28d_per_week": (0.2, 200.0, 100.0),
            "days_since_champion_event": (0.3, 2.0, 31.0),
            "active_users_28d": (-0.1, 8.0, 9.0),
        },
        seen={"logins_28d_per_week": 100.0},
    ),
    Case(
        "They came back",
        {
            "events_change_28d_share": (-0.5, -0.6, 0.4),
            "days_since_last_event": (-0.3, 19.0, 0.0),
            "completed_28d_per_week": (-0.2, 0.0, 14.0),
        },
        seen={"events_28d_per_week": 140.0},
    ),
    Case(
        "First use ever, first answer ever",
        {
            "days_since_last_event": (-0.5, None, 3.0),
            "nps_last": (0.4, None, 3.0),
            "days_since_admin_event": (-0.2, None, 3.0),
        },
    ),
    Case(
        "Their answers went missing",
        {"nps_last": (0.4, 9.0, None), "csat_90d": (-0.4, 2.1, None)},
    ),
    Case(
        "A person in a key role left, a renewal nears, they pay less",
        {
            "key_users_left_90d": (0.6, 0.0, 1.0),
            "days_to_renewal": (0.4, 86.0, 58.0),
            "mrr": (0.2, 900.0, 450.0),
            "contractions_90d": (0.3, 0.0, 1.0),
            "open_tickets": (0.15, 0.0, 3.0),
        },
    ),
    Case(
        "More use, yet more at risk: told as it is, beside the rest",
        {"logins_28d_per_week": (0.3, 100.0, 200.0), "time_28d_per_week": (0.1, 5400.0, 16200.0)},
    ),
    Case(
        "Every seat taken",
        {
            "active_users_28d_seat_share": (0.5, 0.6, 0.96),
            "events_own_cadence_share": (0.2, 1.0, 1.4),
        },
        target="expansion",
        seen={"events_7d": 70.0},
    ),
    Case(
        "Another champion",
        {"events_28d_per_week": (0.2, 200.0, 150.0)},
        model=0.4,
        calibration=-0.1,
    ),
    Case(
        "Another champion, from before scores were kept in parts, with numbers of its own",
        {"events_28d_per_week": (0.2, 200.0, 150.0)},
        model=0.3,
        unkept=True,
        held=("nps_last", "csat_90d", "seats"),
    ),
    Case("Another question", {"seats": (0.1, 10.0, 12.0)}, model=0.5, then_horizon=60),
    Case("They renewed: the contract binds", {}, bound=(False, True), contract=-2.0),
    Case(
        "The contract can end again",
        {"events_28d_per_week": (0.5, 200.0, 90.0)},
        bound=(True, False),
        contract=1.2,
    ),
    Case(
        "The contract binds at both dates",
        {"events_28d_per_week": (0.0, 200.0, 90.0)},
        bound=(True, True),
    ),
    Case(
        "Two moves that cancel",
        {"events_28d_per_week": (0.4, 200.0, 140.0), "nps_last": (-0.4, 5.0, 9.0)},
    ),
    Case("Nothing moved", {}),
    Case("Too little data then", {}, untold="too_little_data_then", chances=(None, 0.31)),
    Case("Too little data now", {}, untold="too_little_data_now", chances=(0.119, None)),
    Case("The newer model is gone", {}, untold="model_gone"),
    Case("The numbers don't lead to the score", {}, untold="row_differs"),
)


def _chance(log_odds: float) -> float:
    # From one half on, so that the two functions are held against each other.
    return 0.5 + log_odds * mean_slope(0.0, log_odds)


def _told(case: Case, lang: str) -> Iterator[str]:
    then_row = {name: then for name, (_, then, _) in case.moved.items()}
    now_row = {**{name: now for name, (_, _, now) in case.moved.items()}, **case.seen}
    moved = {name: part for name, (part, _, _) in case.moved.items()}
    ledger: Ledger | None = None
    chances = case.chances
    if case.untold is None:
        crossed = START + case.model
        raw = crossed + math.fsum(moved.values()) + case.contract
        then = Calibrated(START, 1.0, 0.0)
        now = Calibrated(raw, 1.0, case.calibration)
        known = log_odds_of(_chance(START)) if case.unkept else then
        same = not (case.model or case.calibration)
        ledger = moved_ledger(known, now, crossed, moved, case.bound, (then_row, now_row), same)
        chances = (_chance(ledger.log_odds_then), _chance(ledger.log_odds_now))
    version = "2024-03-03-0a1b2c3d"
    newer = version if not (case.model or case.calibration) else "2024-03-31-4e5f6a7b"
    change = Change(
        case.target,
        Side(THEN, version, case.then_horizon, 14, chances[0]),
        Side(NOW, newer, 90, 14, chances[1]),
        ledger,
        case.untold,
        case.held,
    )
    yield from _lines(change, (then_row, now_row), lang)


def _lines(change: Change, rows: tuple[Any, Any], lang: str) -> Iterator[str]:
    told = tell_change(change, rows, lang, "USD", REFERENCE)
    for line in told.lines:
        yield f"- {line.text}: {line.points}"
        for part in line.of_which:
            yield f"  - {part.text}: {part.points}"
    yield f"\n**{told.summary}**\n"
    yield from (f"{note}\n" for note in told.notes)


def _two_models(lang: str) -> Iterator[str]:
    row = {"events_28d_per_week": 100.0, "nps_last": 9.0, "seats": 12.0}
    then, now = Calibrated(-1.5, 1.0, 0.0), Calibrated(-1.2, 0.9, 0.0)
    before = {"events_28d_per_week": 0.3, "nps_last": -0.4, "seats": 0.1}
    after = {"events_28d_per_week": 0.7, "nps_last": -0.2, "seats": 0.1}
    ledger = weighed_ledger(then, now, before, after, (-1.5, -1.8), row)
    sides = [
        Side(NOW, version, 90, 14, _chance(log_odds))
        for version, log_odds in (("v1", ledger.log_odds_then), ("v2", ledger.log_odds_now))
    ]
    yield from _lines(Change("churn", sides[0], sides[1], ledger), (row, row), lang)


def test_ledgers_read_as_they_were_read_through() -> None:
    text = "# Why a score changed\n"
    for case in CASES:
        text += f"\n## {case.title}\n"
        for lang in LANGUAGES:
            text += f"\n### {lang}\n\n" + "\n".join(_told(case, lang))
    text += "\n## Two models on one row\n"
    for lang in LANGUAGES:
        text += f"\n### {lang}\n\n" + "\n".join(_two_models(lang))
    if os.environ.get("CHURNML_REWRITE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")
