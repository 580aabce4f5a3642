"""Books whose outcome windows are over: what was told against what came. Owns the arithmetic of the track
record and which books count; reads no store and no ledger.

A book proves something only if its model had seen nothing of what came: its data end by the book's as_of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.store.rows import ScoringRun

FLAGGED = ("high", "critical")
LEAST_OUTCOMES = 20  # accounts of either kind, below which nothing is said of a segment
_BINS = 10
_ROUNDS, _SEED, _LEVEL = 500, 7, 0.95

LeftOutWhy = Literal["saw_later", "unknown_model"]
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LeftOut:
    """A book that proves nothing, and why."""

    as_of: date
    why: LeftOutWhy


@dataclass(frozen=True)
class Share:
    """A share with its interval, which counts each account once; value None where there is nothing to
    share. of: what it is a share of; hits: how much of it. Money is in minor units."""

    hits: int
    of: int
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bin:
    """Scores that were told about the same, and what came. accounts: different ones among them."""

    rows: int
    accounts: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True)
class BookRecord:
    """One book: expected against what came, over the accounts whose outcome is known.

    without_label: judged, and ended in the lead or for a neutral reason. handled: accounts that capacity
    allows; hits: of them, those with the outcome. flagged: in tiers high and critical. came_mrr,
    flagged_mrr: MRR at the as_of of those with the outcome, and of those of them that were flagged.
    lead_days: median from the as_of to the outcome, of flagged accounts that had it. afterwards: the book
    was written when data of after its as_of were there (by a model that had not seen them).
    """

    as_of: date
    version: str
    accounts: int
    without_label: int
    mrr: int
    expected_accounts: float
    came_accounts: int
    expected_mrr: float
    came_mrr: int
    handled: int
    hits: int
    flagged: int
    flagged_came: int
    flagged_mrr: int
    lead_days: float | None
    afterwards: bool


@dataclass(frozen=True)
class SegmentRecord:
    """One segment over all books that count. weak: what came lies surely off what was told; None: too few
    to say."""

    segment: str | None
    rows: int
    accounts: int
    outcome_accounts: int
    told: float
    came: float
    low: float
    high: float
    weak: bool | None


@dataclass(frozen=True)
class TargetRecord:
    """One target's track record.

    open_books: books that count and whose window is not over; first_over: when the first of them will be
    (its window and grace), where none is yet. overall: those with the outcome among all; precision: among
    those that capacity allows; flagged_mrr: of the MRR with the outcome, the part that was flagged. An
    account counts in each book. lead_days: median from the first alert to the outcome; alerts: how many
    outcomes that is of, each once.
    """

    target: str
    horizon_days: int
    lead_days_declared: int
    books: tuple[BookRecord, ...]
    left_out: tuple[LeftOut, ...] = ()
    open_books: int = 0
    first_over: date | None = None
    bins: tuple[Bin, ...] = ()
    overall: Share | None = None
    precision: Share | None = None
    base_share: float | None = None
    flagged_mrr: Share | None = None
    lead_days: float | None = None
    alerts: int = 0
    segments: tuple[SegmentRecord, ...] = ()


def standing(run: ScoringRun, saw_through: datetime | None) -> LeftOutWhy | None:
    """Why a run proves nothing; None where it counts. saw_through: up to when its model's data went."""
    if saw_through is None:
        return "unknown_model"
    return "saw_later" if saw_through > run.as_of else None


def over_at(as_of: datetime, lead_days: int, horizon_days: int, grace_days: int) -> datetime:
    """When what came of a book can be known: its window and the grace are over."""
    return as_of + timedelta(days=lead_days + horizon_days + grace_days)


def book_record(
    rows: pd.DataFrame, version: str, capacity: Callable[[int], int], afterwards: bool
) -> BookRecord:
    """rows: one book's judged accounts with account_id, as_of, probability, tier, mrr (minor units), label
    (1, 0 or NaN) and outcome_at."""
    known = rows[rows["label"].notna()]
    came = known["label"] == 1
    flagged = known["tier"].isin(FLAGGED)
    first = _handled(known, capacity)
    alerted = known[came & flagged]
    return BookRecord(
        as_of=rows["as_of"].iloc[0].date(),
        version=version,
        accounts=len(known),
        without_label=len(rows) - len(known),
        mrr=int(known["mrr"].sum()),
        expected_accounts=float(known["probability"].sum()),
        came_accounts=int(came.sum()),
        expected_mrr=float((known["probability"] * known["mrr"]).sum()),
        came_mrr=int(known["mrr"][came].sum()),
        handled=len(first),
        hits=int(came.loc[first].sum()),
        flagged=int(flagged.sum()),
        flagged_came=len(alerted),
        flagged_mrr=int(alerted["mrr"].sum()),
        lead_days=_median_days(alerted["as_of"], alerted["outcome_at"]),
        afterwards=afterwards,
    )


def _handled(known: pd.DataFrame, capacity: Callable[[int], int]) -> pd.Index:
    """The rows that capacity allows: likeliest first, of equals the one that pays more, then by id."""
    if known.empty:
        return known.index
    order = known.sort_values(["probability", "mrr", "account_id"], ascending=[False, False, True])
    return order.index[: capacity(len(known))]


def target_record(
    target: str,
    days: tuple[int, int],
    rows: pd.DataFrame,
    books: Sequence[BookRecord],
    capacity: Callable[[int], int],
    left_out: Sequence[LeftOut] = (),
    open_until: Sequence[datetime] = (),
) -> TargetRecord:
    """All books of a target together. days: lead and horizon. rows: of all books, as `book_record` wants
    them, with segment. open_until: when each book that counts and isn't over will be."""
    known = rows[rows["label"].notna()].reset_index(drop=True)
    told = TargetRecord(
        target=target,
        horizon_days=days[1],
        lead_days_declared=days[0],
        books=tuple(books),
        left_out=tuple(left_out),
        open_books=len(open_until),
        first_over=min(open_until).date() if open_until and not books else None,
    )
    if known.empty:
        return told
    came = (known["label"] == 1).to_numpy()
    flagged = known["tier"].isin(FLAGGED).to_numpy()
    handled = np.zeros(len(known), dtype=bool)
    for _, own in known.groupby("as_of", sort=True):
        handled[_handled(own, capacity)] = True
    mrr = known["mrr"].to_numpy(dtype=float)
    accounts = known["account_id"].to_numpy()
    alerts = (
        known[came & flagged].groupby(["account_id", "outcome_at"])["as_of"].min().reset_index()
    )
    return TargetRecord(
        **{
            **vars(told),
            "bins": _bins(known),
            "precision": _share(accounts, came & handled, handled),
            "overall": _share(accounts, came, np.ones(len(known))),
            "base_share": float(came.mean()),
            "flagged_mrr": _share(accounts, np.where(came & flagged, mrr, 0), np.where(came, mrr, 0)),
            "lead_days": _median_days(alerts["as_of"], alerts["outcome_at"]),
            "alerts": len(alerts),
            "segments": _segments(known),
        }
    )  # fmt: skip


def wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in `size` independent cases."""
    z = 1.959963984540054
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * np.sqrt(share * (1 - share) / size + z * z / (4 * size**2))
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _bins(known: pd.DataFrame) -> tuple[Bin, ...]:
    """Tenths of the scores, by what was told; ties stay together."""
    ranks = known["probability"].rank(method="average", pct=True)
    places = np.minimum((ranks * _BINS).astype(int), _BINS - 1)
    bins = []
    for _, own in known.groupby(places.to_numpy(), sort=True):
        accounts, observed = own["account_id"].nunique(), float(own["label"].mean())
        low, high = wilson(observed, accounts)
        bins.append(Bin(len(own), accounts, float(own["probability"].mean()), observed, low, high))
    return tuple(bins)


def _segments(known: pd.DataFrame) -> tuple[SegmentRecord, ...]:
    names = known["segment"].astype(object).where(known["segment"].notna(), None)
    if names.nunique(dropna=False) < 2:
        return ()
    found = [
        _segment(None if pd.isna(name) else str(name), own)
        for name, own in known.groupby(names, dropna=False)
    ]
    return tuple(sorted(found, key=lambda item: (-item.accounts, item.segment or "")))


def _segment(name: str | None, own: pd.DataFrame) -> SegmentRecord:
    accounts = own["account_id"].nunique()
    outcomes = own.loc[own["label"] == 1, "account_id"].nunique()
    told, came = float(own["probability"].mean()), float(own["label"].mean())
    low, high = wilson(came, accounts)
    enough = min(outcomes, accounts - outcomes) >= LEAST_OUTCOMES
    return SegmentRecord(
        name, len(own), accounts, outcomes, told, came, low, high,
        not low <= told <= high if enough else None,
    )  # fmt: skip


def _share(accounts: npt.NDArray[np.object_], hits: Counts, of: Counts) -> Share:
    """The share of sums, with an interval from accounts drawn again and again: books overlap."""
    codes, ids = pd.factorize(accounts)
    top = np.bincount(codes, weights=hits.astype(float), minlength=len(ids))
    whole = np.bincount(codes, weights=of.astype(float), minlength=len(ids))
    sums = round(float(top.sum())), round(float(whole.sum()))
    if not sums[1]:
        return Share(*sums, None)
    generator = np.random.default_rng(_SEED)
    drawn = generator.multinomial(len(ids), np.full(len(ids), 1 / len(ids)), size=_ROUNDS)
    below = drawn @ whole
    ratios = (drawn @ top)[below > 0] / below[below > 0]
    low, high = np.quantile(ratios, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Share(*sums, sums[0] / sums[1], float(low), float(high))


def _median_days(since: pd.Series, until: pd.Series) -> float | None:
    if not len(since):
        return None
    days = (pd.to_datetime(until) - pd.to_datetime(since)).dt.total_seconds() / 86_400
    return float(days.median())
