"""The quarter on one screen: what is at risk, and the accounts to look at first. Owns these sums.

All sums come from the rows that were handed in: nothing is looked up, no clock is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from churnml.config import TARGETS, TIERS
from churnml.report.money import at_risk, minor
from churnml.report.told import shortest
from churnml.store.rows import AccountRow, Book, ScoreRow

LEVEL = 0.9
_DRAWS = 2_000
_SEED = 7
_FIRST = 10

TellReason = Callable[[ScoreRow], str]
TellAction = Callable[[ScoreRow], str]


@dataclass(frozen=True)
class Outlook:
    """What a target's scores add up to. Money: MRR of the accounts expected to have the outcome.

    low, high: the range that holds `level` of the cases, if accounts act independently.
    """

    target: str
    horizon_days: int
    window_from: date
    window_until: date
    accounts: int
    mrr: int
    expected_accounts: float
    expected_mrr: float
    low_mrr: float
    high_mrr: float
    level: float


@dataclass(frozen=True)
class TierShare:
    """The accounts of one tier and the MRR that they pay."""

    tier: str
    accounts: int
    mrr: int


@dataclass(frozen=True)
class AccountLine:
    """One account to look at: why, and what to do."""

    account_id: str
    segment: str | None
    csm_id: str | None
    mrr: int
    probability: float
    tier: str
    mrr_at_risk: float
    reason: str
    play: str
    action: str


@dataclass(frozen=True)
class Quarter:
    """The first section. lead: the target that the headline speaks of."""

    lead: str | None
    accounts: int
    mrr: int
    unscored_accounts: int
    unscored_mrr: int
    outlooks: tuple[Outlook, ...]
    tiers: tuple[TierShare, ...]
    first: tuple[AccountLine, ...]

    def outlook(self, target: str) -> Outlook | None:
        """The outlook of a target (its shortest horizon), if it was scored."""
        return next((item for item in self.outlooks if item.target == target), None)


def lead_of(book: Book | None) -> str | None:
    """The target that the report speaks of first: churn, where it was judged."""
    judged = {row.target for row in book.scores if row.probability is not None} if book else set()
    return next((target for target in TARGETS if target in judged), None)


def build_quarter(
    book: Book | None,
    accounts: Sequence[AccountRow],
    tell_reason: TellReason,
    tell_action: TellAction,
) -> Quarter:
    """book, accounts: the scores and account rows of one run (None and () before the first scoring).
    tell_reason, tell_action: the strongest reason and the action of a score, in words."""
    judged = [row for row in (book.scores if book else ()) if row.probability is not None]
    lead = lead_of(book)
    of_lead = shortest([row for row in judged if row.target == lead])
    known = {row.account_id for row in of_lead}
    unscored = [row for row in accounts if row.account_id not in known]
    return Quarter(
        lead=lead,
        accounts=len(accounts),
        mrr=sum(minor(row.mrr) for row in accounts),
        unscored_accounts=len(unscored),
        unscored_mrr=sum(minor(row.mrr) for row in unscored),
        outlooks=tuple(_outlooks(judged)),
        tiers=_tiers(of_lead, unscored),
        first=_first(of_lead, accounts, tell_reason, tell_action),
    )


def _outlooks(rows: Sequence[ScoreRow]) -> Iterable[Outlook]:
    for target in TARGETS:
        horizons = sorted({row.horizon_days for row in rows if row.target == target})
        for horizon in horizons:
            yield _outlook(
                [row for row in rows if row.target == target and row.horizon_days == horizon]
            )


def _outlook(rows: Sequence[ScoreRow]) -> Outlook:
    first = rows[0]
    probability = np.array([row.probability for row in rows], dtype=float)
    mrr = np.array([minor(row.mrr) for row in rows], dtype=float)
    low, high = independent_range(probability, mrr, LEVEL)
    opens = first.as_of + timedelta(days=first.lead_days)
    return Outlook(
        target=first.target,
        horizon_days=first.horizon_days,
        # The window is open at its left end: its first day is the one that begins after it.
        window_from=opens.date(),
        window_until=(opens + timedelta(days=first.horizon_days)).date(),
        accounts=len(rows),
        mrr=int(mrr.sum()),
        expected_accounts=float(probability.sum()),
        expected_mrr=float((probability * mrr).sum()),
        low_mrr=low,
        high_mrr=high,
        level=LEVEL,
    )


def independent_range(
    probability: np.ndarray, mrr: np.ndarray, level: float
) -> tuple[float, float]:
    """The central range of the summed MRR of the accounts that have the outcome.

    Simulated with accounts independent of each other and a fixed seed: a shared cause (a price
    rise, an outage, a rival) would widen it. probability, mrr: (n,).
    """
    rng = np.random.default_rng(_SEED)
    totals = np.zeros(_DRAWS)
    for start in range(0, len(mrr), 500):  # by parts, so that memory stays bounded
        chosen = slice(start, start + 500)
        drawn = rng.random((_DRAWS, len(mrr[chosen])), dtype=np.float32) < probability[chosen]
        totals += drawn @ mrr[chosen]
    low, high = np.quantile(totals, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _tiers(rows: Sequence[ScoreRow], unscored: Sequence[AccountRow]) -> tuple[TierShare, ...]:
    shares = []
    for tier in reversed(TIERS):
        of_tier = [row for row in rows if row.tier == tier]
        shares.append(TierShare(tier, len(of_tier), sum(minor(row.mrr) for row in of_tier)))
    unknown = sum(minor(row.mrr) for row in unscored)
    return (*shares, TierShare("unknown", len(unscored), unknown))


def _first(
    rows: Sequence[ScoreRow],
    accounts: Sequence[AccountRow],
    tell_reason: TellReason,
    tell_action: TellAction,
) -> tuple[AccountLine, ...]:
    # Money first; the id breaks ties, so that two runs never differ.
    ranked = sorted(rows, key=lambda row: (-at_risk(row), row.account_id))[:_FIRST]
    of = {row.account_id: row for row in accounts}
    lines = []
    for row in ranked:
        account = of.get(row.account_id)
        lines.append(
            AccountLine(
                account_id=row.account_id,
                segment=account.segment if account else None,
                csm_id=account.csm_id if account else None,
                mrr=minor(row.mrr),
                probability=row.probability or 0.0,
                tier=row.tier,
                mrr_at_risk=at_risk(row),
                reason=tell_reason(row),
                play=row.play,
                action=tell_action(row),
            )
        )
    return tuple(lines)
