"""Make the report's data from the book, the ledger and the evaluations. Owns every sum; draws none.

All sums come from the rows that were handed in: nothing is looked up, no clock is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np

from churnml.config import TARGETS, TIERS
from churnml.contract.tables import MONEY_SCALE
from churnml.errors import ChurnmlError
from churnml.report.model import (
    MOVES,
    AccountLine,
    DriverRisk,
    Evaluation,
    Kept,
    LedgerMonth,
    Outlook,
    ReportData,
    TableCoverage,
    TierShare,
)
from churnml.store.rows import AccountRow, Book, ScoreRow

LEVEL = 0.9
_DRAWS = 2_000
_SEED = 7
_FIRST = 10
_KEPT_MONTHS = 12
_HIGH = ("high", "critical")

TellReason = Callable[[ScoreRow], str]
TellAction = Callable[[ScoreRow], str]


def build_report(
    *,
    company: str,
    currency: str,
    language: str,
    created_at: datetime,
    book: Book | None,
    accounts: Sequence[AccountRow],
    ledger: Sequence[LedgerMonth],
    evaluations: Sequence[Evaluation],
    coverage: Sequence[TableCoverage],
    versions: Mapping[str, str],
    tell_reason: TellReason | None = None,
    tell_action: TellAction | None = None,
    basis: str = "net",
    grace_days: int = 30,
) -> ReportData:
    """Everything that the report says, from plain values.

    book, accounts: the scores and account rows of one run (None and () before the first scoring).
    ledger: whole months, oldest first. tell_reason, tell_action: the strongest reason and the
    action of a score in `language`; by default the stored text and the play's name.
    Raises: ChurnmlError if a month of the ledger does not tie to the cent.
    """
    check_ledger(ledger)
    scores = book.scores if book else ()
    judged = [row for row in scores if row.probability is not None]
    lead = next((target for target in TARGETS if any(row.target == target for row in judged)), None)
    of_lead = _shortest([row for row in judged if row.target == lead])
    known = {row.account_id for row in of_lead}
    unscored = [row for row in accounts if row.account_id not in known]
    return ReportData(
        company=company,
        currency=currency,
        language=language,
        created_at=created_at,
        as_of=book.run.as_of.date() if book else None,
        data_through=book.run.data_through if book else None,
        unpromoted=bool(book and book.run.alias == "challenger"),
        lead=lead,
        accounts=len(accounts),
        mrr=sum(_minor(row.mrr) for row in accounts),
        unscored_accounts=len(unscored),
        unscored_mrr=sum(_minor(row.mrr) for row in unscored),
        outlooks=tuple(_outlooks(judged)),
        tiers=_tiers(of_lead, unscored),
        first=_first(of_lead, accounts, tell_reason or stored_reason, tell_action or _play_name),
        drivers=_drivers(of_lead),
        months=tuple(ledger),
        kept=_kept(ledger),
        evaluations=tuple(_with_intervals(item) for item in evaluations),
        coverage=tuple(coverage),
        drift=dict(book.run.drift) if book else {},
        versions=dict(versions),
        basis=basis,
        grace_days=grace_days,
    )


def check_ledger(months: Sequence[LedgerMonth]) -> None:
    """Raise ChurnmlError unless every month adds up, and each begins where the last one ended."""
    for month in months:
        end = month.start + sum(month.move(name) for name in MOVES)
        if end != month.end:
            raise ChurnmlError(
                f"ledger of {month.month:%Y-%m}: start and moves make {end / MONEY_SCALE:.2f}, its "
                f"end is {month.end / MONEY_SCALE:.2f}. Expected them to be equal to the cent. This "
                "is a fault of churnml: please report it with the month's subscriptions."
            )
    for before, after in pairwise(months):
        if before.end != after.start:
            raise ChurnmlError(
                f"ledger of {after.month:%Y-%m}: it starts at {after.start / MONEY_SCALE:.2f}, the "
                f"month before ended at {before.end / MONEY_SCALE:.2f}. Expected them to be equal "
                "to the cent. Hand in neighbouring months, oldest first."
            )


def _shortest(rows: Sequence[ScoreRow]) -> list[ScoreRow]:
    """The rows of the shortest horizon among them."""
    least = min((row.horizon_days for row in rows), default=0)
    return [row for row in rows if row.horizon_days == least]


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
    mrr = np.array([_minor(row.mrr) for row in rows], dtype=float)
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
        shares.append(TierShare(tier, len(of_tier), sum(_minor(row.mrr) for row in of_tier)))
    unknown = sum(_minor(row.mrr) for row in unscored)
    return (*shares, TierShare("unknown", len(unscored), unknown))


def _first(
    rows: Sequence[ScoreRow],
    accounts: Sequence[AccountRow],
    tell_reason: TellReason,
    tell_action: TellAction,
) -> tuple[AccountLine, ...]:
    # Money first; the id breaks ties, so that two runs never differ.
    ranked = sorted(rows, key=lambda row: (-_at_risk(row), row.account_id))[:_FIRST]
    of = {row.account_id: row for row in accounts}
    lines = []
    for row in ranked:
        account = of.get(row.account_id)
        lines.append(
            AccountLine(
                account_id=row.account_id,
                segment=account.segment if account else None,
                csm_id=account.csm_id if account else None,
                mrr=_minor(row.mrr),
                probability=row.probability or 0.0,
                tier=row.tier,
                mrr_at_risk=_at_risk(row),
                reason=tell_reason(row),
                play=row.play,
                action=tell_action(row),
            )
        )
    return tuple(lines)


def _drivers(rows: Sequence[ScoreRow]) -> tuple[DriverRisk, ...]:
    behind: dict[str, list[ScoreRow]] = {}
    for row in rows:
        reason = strongest_reason(row)
        behind.setdefault(reason["driver"] if reason else "", []).append(row)
    risks = [
        DriverRisk(
            driver=driver,
            accounts=len(own),
            mrr_at_risk=sum(_at_risk(row) for row in own),
            high_mrr_at_risk=sum(_at_risk(row) for row in own if row.tier in _HIGH),
        )
        for driver, own in behind.items()
    ]
    # Those without a reason stand last, however much they are.
    risks.sort(key=lambda risk: (risk.driver == "", -risk.mrr_at_risk, risk.driver))
    return tuple(risks)


def _with_intervals(evaluation: Evaluation) -> Evaluation:
    """The same, with an interval for each calibration bin that came without one.

    Snapshots of one account overlap, so a bin counts for as many rows as it would hold if every
    account had been scored once (Wilson's interval of a share, 95 %).
    """
    once = evaluation.accounts / evaluation.rows if evaluation.rows else 1.0
    bins = []
    for item in evaluation.calibration:
        if item.low is None or item.high is None:
            low, high = share_interval(item.observed, max(1.0, item.rows * min(1.0, once)))
            item = replace(item, low=low, high=high)
        bins.append(item)
    return replace(evaluation, calibration=tuple(bins))


def share_interval(share: float, size: float) -> tuple[float, float]:
    """Wilson's 95 % interval of a share seen in `size` independent cases."""
    z = NormalDist().inv_cdf(0.975)
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z / (1 + z * z / size) * math.sqrt(share * (1 - share) / size + z * z / (4 * size**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _kept(months: Sequence[LedgerMonth]) -> Kept | None:
    full = [month for month in months if not month.partial and month.start > 0][-_KEPT_MONTHS:]
    if not full:
        return None
    # Geometric means: a share that is kept month after month multiplies.
    grr = nrr = 1.0
    for month in full:
        lost = month.contraction + month.churn
        grr *= max(0.0, 1 + lost / month.start)
        nrr *= max(0.0, 1 + (lost + month.expansion + month.term_change) / month.start)
    return Kept(len(full), grr ** (1 / len(full)), nrr ** (1 / len(full)))


def strongest_reason(row: ScoreRow) -> Mapping[str, Any] | None:
    """The first stored reason that raises the probability, if there is one."""
    return next((reason for reason in row.reasons if not reason.get("protective")), None)


def stored_reason(row: ScoreRow) -> str:
    """The text of the strongest reason as the scoring run stored it."""
    reason = strongest_reason(row)
    return str(reason["text"]) if reason else ""


def _play_name(row: ScoreRow) -> str:
    return row.play


def _at_risk(row: ScoreRow) -> float:
    return (row.probability or 0.0) * _minor(row.mrr)


def _minor(mrr: float) -> int:
    return round(mrr * MONEY_SCALE)
