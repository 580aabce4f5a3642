"""The quarter on one screen: what is at risk, and the accounts to look at first. Owns these sums.

All sums come from the rows that were handed in: nothing is looked up, no clock is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from churnml.actions.plays import GET_DATA, LEAVE_ALONE
from churnml.actions.worth import ChurnCost
from churnml.config import TARGETS, TIERS
from churnml.report.change import Change
from churnml.report.drivers import BASE, base_rate_of, share_out
from churnml.report.money import at_risk, minor
from churnml.report.retention import Chances, MoveSize, Payer, Retention, retention_of
from churnml.report.simulation import UNKNOWN, Shared, shared_range, spread_of
from churnml.report.told import shortest
from churnml.store.rows import AccountRow, Book, ScoreRow

LEVEL = 0.9
_FIRST = 10

TellReason = Callable[[ScoreRow], str]
TellAction = Callable[[ScoreRow], str]


@dataclass(frozen=True)
class Outlook:
    """What a target's scores add up to. Money: MRR of the accounts expected to have the outcome.

    low, high: the range that holds `level` of the cases, where accounts share causes (simulation.py).
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
class Behind:
    """What stands behind a number: the driver and the play with most of its MRR, and their shares of it;
    empty where there is none. The driver's share is what `drivers.share_out` gives it: the section on
    drivers says the same. action: the play's title."""

    driver: str
    driver_share: float
    play: str
    action: str
    play_share: float


@dataclass(frozen=True)
class ExpectedMove:
    """By how much contractions or expansions are expected to move MRR, in minor units (without a sign).

    accounts: expected to move, and not to churn. before: the same of the older book, by the same size.
    """

    target: str
    accounts: float
    change: float
    low: float
    high: float
    level: float
    size: MoveSize
    before: float | None


@dataclass(frozen=True)
class Beside:
    """What the quarter is told with beside its book. older: the scores of the newest book of before the
    period. payers: who paid at the period's start. costs: of this churn rate, as a plan tells them."""

    period_start: date
    older: Book | None = None
    change: Change | None = None
    payers: Sequence[Payer] = ()
    sizes: Mapping[str, MoveSize] = field(default_factory=dict)
    churn_rate: float | None = None
    costs: tuple[ChurnCost, ...] = ()


@dataclass(frozen=True)
class Quarter:
    """The first section. lead: the target that the headline speaks of. behind: by target, and of grr and
    nrr. change: None without a book of before the period."""

    lead: str | None
    accounts: int
    mrr: int
    unscored_accounts: int
    unscored_mrr: int
    outlooks: tuple[Outlook, ...]
    tiers: tuple[TierShare, ...]
    first: tuple[AccountLine, ...]
    behind: Mapping[str, Behind] = field(default_factory=dict)
    expected: tuple[ExpectedMove, ...] = ()
    period_start: date | None = None
    change: Change | None = None
    retention: Retention | None = None
    churn_rate: float | None = None
    costs: tuple[ChurnCost, ...] = ()

    def move(self, target: str) -> ExpectedMove | None:
        """The expected move of a target, if it was scored beside churn."""
        return next((item for item in self.expected if item.target == target), None)

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
    beside: Beside | None = None,
    shared: Shared = UNKNOWN,
) -> Quarter:
    """book, accounts: the scores and account rows of one run (None and () before the first scoring).
    tell_reason, tell_action: the strongest reason and the action of a score, in words. shared: what
    the ranges of sums assume that accounts have in common."""
    judged = [row for row in (book.scores if book else ()) if row.probability is not None]
    lead = lead_of(book)
    of_lead = shortest([row for row in judged if row.target == lead])
    known = {row.account_id for row in of_lead}
    unscored = [row for row in accounts if row.account_id not in known]
    outlooks = tuple(_outlooks(judged, shared))
    chances = chances_of(judged)
    sizes = beside.sizes if beside else {}
    weights = _weights(judged, chances, sizes)
    return Quarter(
        lead=lead,
        accounts=len(accounts),
        mrr=sum(minor(row.mrr) for row in accounts),
        unscored_accounts=len(unscored),
        unscored_mrr=sum(minor(row.mrr) for row in unscored),
        outlooks=outlooks,
        tiers=_tiers(of_lead, unscored),
        first=_first(of_lead, accounts, tell_reason, tell_action),
        behind={
            name: behind(rows, tell_action)
            for name, rows in weights.items()
            if any(part.weight > 0 for part in rows)
        },
        expected=tuple(_expected(judged, chances, beside, shared)) if beside else (),
        period_start=beside.period_start if beside else None,
        change=beside.change if beside else None,
        retention=_retention(outlooks, chances, beside, shared) if beside else None,
        churn_rate=beside.churn_rate if beside else None,
        costs=beside.costs if beside else (),
    )


def judged_of(rows: Sequence[ScoreRow], target: str) -> list[ScoreRow]:
    """The judged rows of a target's shortest horizon."""
    return shortest([row for row in rows if row.target == target and row.probability is not None])


def chances_of(rows: Sequence[ScoreRow]) -> dict[str, Chances]:
    """The probabilities of each account that has one of churn, and how unsure each is."""
    told: dict[str, dict[str, tuple[float, float]]] = {}
    for target in TARGETS:
        own = judged_of(rows, target)
        told[target] = {
            row.account_id: (row.probability or 0.0, spread)
            for row, spread in zip(own, spread_of(own).tolist(), strict=True)
        }
    found = {}
    for name in told["churn"]:
        pairs = [told[target].get(name, (0.0, 0.0)) for target in TARGETS]
        churn, contraction, expansion = (chance for chance, _ in pairs)
        found[name] = Chances(churn, contraction, expansion, tuple(spread for _, spread in pairs))
    return found


@dataclass(frozen=True)
class _Part:
    """A row behind a number. weight: the MRR that it stands for; drivers: that weight, shared out."""

    row: ScoreRow
    weight: float
    drivers: Mapping[str, float]


def behind(rows: Sequence[_Part], tell_action: TellAction) -> Behind:
    """The driver and the play with most of the rows' weight. Leaving alone is a play where nothing else
    is called for; the words of a play are those of its heaviest row."""
    total = sum(part.weight for part in rows) or 1.0
    drivers: dict[str, float] = {}
    plays: dict[str, float] = {}
    for part in rows:
        for name, weight in part.drivers.items():
            if name != BASE:
                drivers[name] = drivers.get(name, 0.0) + weight
        if part.row.play not in (LEAVE_ALONE, GET_DATA):
            plays[part.row.play] = plays.get(part.row.play, 0.0) + part.weight
    driver = min(drivers, key=lambda name: (-drivers[name], name), default="")
    play = min(plays, key=lambda name: (-plays[name], name), default="")
    own = [(part.weight, part.row.account_id, part.row) for part in rows if part.row.play == play]
    return Behind(
        driver=driver,
        driver_share=drivers.get(driver, 0.0) / total,
        play=play,
        action=tell_action(max(own, key=lambda item: item[:2])[2]) if own else "",
        play_share=plays.get(play, 0.0) / total,
    )


def _weights(
    rows: Sequence[ScoreRow], chances: Mapping[str, Chances], sizes: Mapping[str, MoveSize]
) -> dict[str, list[_Part]]:
    """The rows behind each number, with the MRR that each of them stands for."""
    found: dict[str, list[_Part]] = {}
    for target in TARGETS:
        size = sizes[target].share if target in sizes else 1.0
        own = judged_of(rows, target)
        base_rate = base_rate_of(own)
        found[target] = []
        for row in own:
            moves = size * (1.0 if target == "churn" else _stays(row, chances))
            shares = {name: part * moves for name, part in share_out(row, base_rate).items()}
            found[target].append(_Part(row, at_risk(row) * moves, shares))
    if sizes:
        found["grr"] = [*found["churn"], *found["contraction"]]
        found["nrr"] = [*found["grr"], *found["expansion"]]
    return found


def _stays(row: ScoreRow, chances: Mapping[str, Chances]) -> float:
    return 1.0 - chances[row.account_id].churn if row.account_id in chances else 1.0


def _expected(
    judged: Sequence[ScoreRow], chances: Mapping[str, Chances], beside: Beside, shared: Shared
) -> Iterable[ExpectedMove]:
    older = beside.older.scores if beside.older else ()
    older_chances = chances_of(older)
    for target in ("contraction", "expansion"):
        rows = judged_of(judged, target)
        if not rows:
            continue
        size = beside.sizes[target]
        probability, mrr = _moving(rows, chances)
        low, high = shared_range(probability, mrr * size.share, spread_of(rows), shared.rho, LEVEL)
        before = judged_of(older, target)
        then, then_mrr = _moving(before, older_chances)
        yield ExpectedMove(
            target=target,
            accounts=float(probability.sum()),
            change=float((probability * mrr).sum()) * size.share,
            low=low,
            high=high,
            level=LEVEL,
            size=size,
            before=float((then * then_mrr).sum()) * size.share if before else None,
        )


def _moving(
    rows: Sequence[ScoreRow], chances: Mapping[str, Chances]
) -> tuple[np.ndarray, np.ndarray]:
    """The probability that each moves and doesn't churn, and its MRR."""
    moving = [(row.probability or 0.0) * _stays(row, chances) for row in rows]
    return np.array(moving, dtype=float), np.array([minor(row.mrr) for row in rows], dtype=float)


def _retention(
    outlooks: Sequence[Outlook],
    chances: Mapping[str, Chances],
    beside: Beside,
    shared: Shared,
) -> Retention | None:
    """Until the churn window is over; without scores of churn nothing is expected."""
    churn = next((item for item in outlooks if item.target == "churn"), None)
    if churn is None:
        return None
    scored = {item.target for item in outlooks}
    without = [target for target in TARGETS if target not in scored]
    return retention_of(
        beside.payers, chances, beside.sizes, churn.window_until, LEVEL, without, shared.rho
    )


def _outlooks(rows: Sequence[ScoreRow], shared: Shared) -> Iterable[Outlook]:
    for target in TARGETS:
        horizons = sorted({row.horizon_days for row in rows if row.target == target})
        for horizon in horizons:
            yield _outlook(
                [row for row in rows if row.target == target and row.horizon_days == horizon],
                shared,
            )


def _outlook(rows: Sequence[ScoreRow], shared: Shared) -> Outlook:
    first = rows[0]
    probability = np.array([row.probability for row in rows], dtype=float)
    mrr = np.array([minor(row.mrr) for row in rows], dtype=float)
    low, high = shared_range(probability, mrr, spread_of(rows), shared.rho, LEVEL)
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
