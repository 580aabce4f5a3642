"""A small company, written by hand, whose every number can be added up on paper.

Its 41 accounts hold every kind of movement: new, reactivation after the grace, a gap within it, expansion,
contraction, changes of term (net moves, list stands), a list price that moves alone, a price of zero for a
few weeks, two products, churn with reasons, with two, and without, neutral ends, an end that is known and
not over, and an end in the grace. No amount of cents divides by three. Two books are scored by hand: one of
before the quarter, by model `v1`, and the newest, by `v1` or by `v2`."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from churnml.store.rows import AccountRow, Alias, ScoreRow, ScoringRun
from churnml.store.store import open_store, sqlite_url

AS_OF = datetime(2025, 5, 19)
QUARTER = datetime(2025, 4, 1)
BEFORE = datetime(2025, 3, 31)  # of the older book
THROUGH = date(2025, 5, 20)
GRACE_DAYS = 30
_DATE = pd.ArrowDtype(pa.date32())
NEUTRAL = ("merged", "completed")

# account, product, started, ended, net cents, list cents, the end was known at, why
Row = tuple[str, str, str, str | None, int, int, str | None, str | None]


def _steady() -> list[Row]:
    """Accounts that come and stay, a few in each quarter."""
    starts = [
        "2023-02-01", "2023-02-15", "2023-03-31", "2023-05-02", "2023-05-20", "2023-08-07",
        "2023-08-21", "2023-11-13", "2024-01-01", "2024-02-29", "2024-05-06", "2024-07-01",
        "2024-08-19", "2024-10-01", "2024-12-02", "2025-01-13",
    ]  # fmt: skip
    return [
        (f"steady_{number:02d}", "core", day, None, 10_007 + 3_331 * number, 10_007 + 3_331 * number,
         None, None)
        for number, day in enumerate(starts, 1)
    ]  # fmt: skip


SUBSCRIPTIONS: list[Row] = [
    *_steady(),
    # New in the quarter, and in the one before.
    ("new_now", "core", "2025-04-14", None, 33_333, 33_333, None, None),
    ("new_before", "core", "2025-02-03", None, 7_777, 7_777, None, None),
    ("new_on_the_first", "core", "2025-04-01", None, 10_001, 10_001, None, None),
    ("free_then_pays", "core", "2024-11-01", "2025-04-20", 0, 0, None, None),
    ("free_then_pays", "core", "2025-04-20", None, 4_999, 4_999, None, None),
    # A gap within the grace is none; one beyond it is churn and reactivation.
    ("gap_within", "core", "2024-01-10", "2025-04-05", 12_345, 12_345, None, "budget"),
    ("gap_within", "core", "2025-04-25", None, 12_345, 12_345, None, None),
    ("gap_then_less", "core", "2024-03-10", "2025-01-20", 20_000, 20_000, None, None),
    ("gap_then_less", "core", "2025-02-10", None, 14_999, 14_999, None, None),
    ("came_back", "core", "2023-06-01", "2024-12-15", 8_888, 8_888, None, "price"),
    ("came_back", "core", "2025-04-30", None, 9_999, 9_999, None, None),
    ("left_and_back", "core", "2023-09-01", "2025-04-03", 6_661, 6_661, None, "other"),
    ("left_and_back", "core", "2025-05-10", None, 5_557, 5_557, None, None),
    # Growth, cuts, terms.
    ("grows", "core", "2023-03-03", "2025-04-10", 25_001, 25_001, None, None),
    ("grows", "core", "2025-04-10", None, 41_667, 41_667, None, None),
    ("grows_twice", "core", "2023-12-01", "2025-01-15", 10_000, 10_000, None, None),
    ("grows_twice", "core", "2025-01-15", "2025-05-05", 13_337, 13_337, None, None),
    ("grows_twice", "core", "2025-05-05", None, 16_661, 16_661, None, None),
    ("cuts", "core", "2023-04-11", "2025-05-01", 50_003, 50_003, None, None),
    ("cuts", "core", "2025-05-01", None, 30_001, 30_001, None, None),
    ("cuts_then_grows", "core", "2024-02-02", "2025-04-08", 30_000, 30_000, None, None),
    ("cuts_then_grows", "core", "2025-04-08", "2025-05-08", 20_003, 20_003, None, None),
    ("cuts_then_grows", "core", "2025-05-08", None, 31_009, 31_009, None, None),
    ("cuts_a_little", "core", "2024-06-02", "2025-03-02", 30_000, 30_000, None, None),
    ("cuts_a_little", "core", "2025-03-02", None, 29_501, 29_501, None, None),
    ("goes_annual", "core", "2023-10-10", "2025-04-17", 20_000, 20_000, None, None),
    ("goes_annual", "core", "2025-04-17", None, 16_667, 20_000, None, None),
    ("loses_discount", "core", "2024-04-04", "2025-02-07", 9_001, 12_000, None, None),
    ("loses_discount", "core", "2025-02-07", None, 12_000, 12_000, None, None),
    ("list_moves_alone", "core", "2024-09-09", "2025-05-12", 11_111, 11_111, None, None),
    ("list_moves_alone", "core", "2025-05-12", None, 11_111, 13_333, None, None),
    # Two products.
    ("two_products", "core", "2023-07-07", None, 21_001, 21_001, None, None),
    ("two_products", "addon", "2024-05-01", "2025-04-22", 7_003, 7_003, None, "budget"),
    ("adds_a_product", "core", "2024-01-20", None, 15_013, 15_013, None, None),
    ("adds_a_product", "addon", "2025-05-02", None, 3_337, 3_337, None, None),
    ("leaves_both", "core", "2023-05-05", "2025-04-15", 18_001, 18_001, None, "competitor"),
    ("leaves_both", "addon", "2024-02-05", "2025-04-15", 4_447, 4_447, None, "price"),
    # Churn, with reasons and without, neutral ends, and ends to come.
    ("leaves_for_price", "core", "2023-08-15", "2025-04-11", 13_331, 13_331, None, "price"),
    ("leaves_silently", "core", "2024-03-15", "2025-04-28", 5_003, 5_003, None, None),
    ("left_last_quarter", "core", "2023-11-05", "2025-01-25", 22_223, 22_223, None, "support"),
    ("left_long_ago", "core", "2023-02-20", "2023-12-31", 9_337, 9_337, None, "product_fit"),
    ("left_in_summer", "core", "2023-06-18", "2024-07-20", 17_001, 17_001, None, None),
    ("in_grace", "core", "2024-06-20", "2025-05-08", 8_009, 8_009, None, "budget"),
    ("merged", "core", "2023-09-19", "2025-04-24", 19_009, 19_009, None, "merged"),
    ("completed_before", "core", "2024-05-25", "2025-02-12", 6_007, 6_007, None, "completed"),
    ("will_leave", "core", "2024-07-07", "2025-06-30", 27_001, 27_001, "2025-05-02", "price"),
    ("paused_at_zero", "core", "2024-08-08", "2025-04-07", 14_001, 14_001, None, None),
    ("paused_at_zero", "core", "2025-04-07", "2025-04-27", 0, 0, None, None),
    ("paused_at_zero", "core", "2025-04-27", None, 14_001, 14_001, None, None),
]  # fmt: skip
WHY = (
    ("usage_trend", "events_change_28d_share", -0.5),
    ("key_users", "days_since_key_user_event", 40.0),
    ("support", "open_tickets", 3.0),
)
FEATURES: dict[str, float | str | None] = {name: value for _, name, value in WHY}
ACCOUNTS = sorted({row[0] for row in SUBSCRIPTIONS})


def write_company(folder: Path, rows: list[Row] | None = None, with_reasons: bool = True) -> Path:
    """The project folder with its tables. rows: other subscriptions than the company's."""
    told = SUBSCRIPTIONS if rows is None else rows
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "churnml.toml").write_text(
        f'version = 1\nname = "hand-made"\n\n[source]\ndata_through = {THROUGH}\n'
    )
    first = {row[0]: _day(row[2]) for row in reversed(told)}
    accounts = pd.DataFrame(
        {
            "account_id": list(first),
            "created_at": list(first.values()),
            "segment": ["smb" if number % 3 else "enterprise" for number in range(len(first))],
            "csm_id": [("ana", "bo")[number % 2] for number in range(len(first))],
        }
    )
    events = pd.DataFrame(
        [
            {"account_id": name, "occurred_at": moment, "event": "save", "module": "core",
             "stage": "complete", "user_id": f"user_of_{name}"}
            for name in first
            for moment in (datetime(2023, 1, 2, 9), datetime(2025, 5, 20, 8))
        ]
    )  # fmt: skip
    columns = list(zip(*told, strict=True)) or [()] * 8
    dates = {
        name: pd.Series([_day(text) if text else None for text in columns[place]], dtype=_DATE)
        for name, place in (("started_at", 2), ("ended_at", 3), ("end_known_at", 6))
    }
    subscriptions = pd.DataFrame(
        {
            "account_id": columns[0],
            "product": columns[1],
            "mrr": [cents / 100 for cents in columns[4]],
            "list_mrr": [cents / 100 for cents in columns[5]],
            "end_reason": pd.Series(columns[7], dtype=pd.ArrowDtype(pa.string())),
            **dates,
        }
    )
    if not with_reasons:
        subscriptions = subscriptions.drop(columns="end_reason")
    for name, table in (
        ("accounts", accounts),
        ("events", events),
        ("subscriptions", subscriptions),
    ):
        table.to_parquet(data / f"{name}.parquet", index=False)
    return folder


def _day(text: str) -> date:
    return date.fromisoformat(text)


def paying_at(day: date) -> dict[str, int]:
    """Account -> net cents a month of the rows in force on a day, for the books."""
    found: dict[str, int] = {}
    for name, _, started, ended, mrr, *_ in SUBSCRIPTIONS:
        if _day(started) < day and (ended is None or _day(ended) >= day):
            found[name] = found.get(name, 0) + mrr
    return {name: mrr for name, mrr in found.items() if mrr}


def score_company(
    folder: Path, version: str = "v1", alias: Alias = "champion", older: bool = True
) -> None:
    """Write the two books into the project's store. version: of the newest book's models."""
    store = open_store(sqlite_url((folder / "store.db").resolve()))
    if older:
        _write(store, BEFORE, "v1", alias)
    _write(store, AS_OF, version, alias)
    store.close()


def _write(store: Any, as_of: datetime, version: str, alias: Alias) -> None:
    plays = ("fading_usage", "key_contact_left", "contraction_review")
    scores, accounts = [], []
    for number, (name, cents) in enumerate(sorted(paying_at(as_of.date()).items())):
        later = as_of == AS_OF
        accounts.append(
            AccountRow(name, as_of, "smb" if number % 3 else "enterprise", None,
                       ("ana", "bo")[number % 2], cents / 100, "USD", FEATURES)
        )  # fmt: skip
        for place, target in enumerate(("churn", "contraction", "expansion")):
            chance: float | None = round(
                0.01 + 0.013 * ((number * (7 + place) + 3 * later) % 23), 3
            )
            if name == "new_now" or (name == "steady_05" and not later):
                chance = None  # too little data
            driver, feature, value = WHY[number % 3]
            reason = {
                "feature": feature,
                "value": value,
                "unit": "",
                "driver": driver,
                "text": f"because {driver}",
                "protective": False,
                "contribution": 0.5,
            }
            unknown = chance is None
            scores.append(
                ScoreRow(
                    account_id=name,
                    as_of=as_of,
                    target=target,
                    horizon_days=90,
                    lead_days=14,
                    probability=chance,
                    tier="unknown" if chance is None else ("high" if chance >= 0.25 else "medium"),
                    status="too_little_data" if unknown else "ok",
                    reasons=[] if unknown else [reason],
                    play=plays[(number + place) % 3],
                    mrr=cents / 100,
                    currency="USD",
                    model_version=version,
                    data_through=as_of,
                )
            )
    versions = dict.fromkeys(("churn", "contraction", "expansion"), version)
    made = as_of + timedelta(hours=6)
    run = ScoringRun(f"run-{as_of:%Y%m%d}", as_of, as_of, made, alias, versions)
    store.write_book(run, scores, accounts)
