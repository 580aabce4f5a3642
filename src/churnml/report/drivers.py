"""What drives churn, in money. Owns how MRR at risk is shared out among drivers; reads no book.

An account's MRR at risk is its probability times its MRR. The part that it would have at the book's base rate
is nobody's: every account has it. The part above is shared out among the drivers that raise its score, in
proportion to their contributions (log-odds). The parts sum to the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from math import fsum
from statistics import median

from churnml.report.money import at_risk, minor
from churnml.report.told import shortest, stored_driver
from churnml.store.rows import Book, ScoreRow

BASE = ""  # in place of a driver: the base rate, and what no reason explains
SEGMENTS = 6  # shown each; those beyond are one
_HIGH = ("high", "critical")
_FEATURES, _ACCOUNTS = 5, 5

Shares = Mapping[str, float]  # driver -> minor units
TellDriver = Callable[[ScoreRow, str], str]  # what a row's reason of a driver says
TellVoice = Callable[[str, float | str | None], str]  # a feature and a value of it, in words


@dataclass(frozen=True)
class Voice:
    """A feature that speaks for a driver: in how many accounts, the median of its values there (of categories
    the commonest; None where it is missing throughout), what is typical of the accounts that the model
    learned from, and the sentence that an account of that median would be told."""

    feature: str
    accounts: int
    median: float | str | None
    typical: float | None
    text: str


@dataclass(frozen=True)
class AccountShare:
    """An account's part of a driver's MRR at risk, and its reason of that driver in words."""

    account_id: str
    mrr: int
    probability: float
    mrr_at_risk: float
    reason: str


@dataclass(frozen=True)
class DriverRisk:
    """One driver (BASE: the rest). accounts: in which it raises the score above the base rate.

    high_mrr_at_risk: the part of its MRR at risk in accounts of the tiers high and critical.
    """

    driver: str
    accounts: int
    mrr_at_risk: float
    high_mrr_at_risk: float
    voices: tuple[Voice, ...] = ()
    first: tuple[AccountShare, ...] = ()


@dataclass(frozen=True)
class DriversThen:
    """What an older book said. afterwards: its model had seen data of after its date."""

    as_of: date
    base_rate: float
    mrr_at_risk: float
    shares: Shares
    version: str
    afterwards: bool = False


@dataclass(frozen=True)
class SegmentRisk:
    """One segment. segment None: accounts without one. folded: how many segments it stands for."""

    segment: str | None
    accounts: int
    mrr_at_risk: float
    shares: Shares
    folded: int = 1


@dataclass(frozen=True)
class Drivers:
    """The second section. risks: ranked, BASE last. base_rate: the mean probability of the book. then: older
    books, oldest first, one a quarter or month."""

    risks: tuple[DriverRisk, ...]
    base_rate: float = 0.0
    mrr_at_risk: float = 0.0
    then: tuple[DriversThen, ...] = ()
    segments: tuple[SegmentRisk, ...] = ()


@dataclass(frozen=True)
class Told:
    """What the book's rows don't hold: segments by account, typical values by feature, older books, and how
    an account's driver and a feature speak."""

    segments: Mapping[str, str | None] = field(default_factory=dict)
    typical: Mapping[str, float | None] = field(default_factory=dict)
    then: tuple[DriversThen, ...] = ()
    tell_driver: TellDriver = stored_driver
    tell_voice: TellVoice = lambda feature, value: feature


def build_drivers(
    book: Book | None,
    lead: str | None,
    told: Told | None = None,
) -> Drivers:
    """lead: the target that is spoken of."""
    told = told or Told()
    rows = judged(book.scores if book else (), lead)
    base_rate = base_rate_of(rows)
    parts = [(row, share_out(row, base_rate)) for row in rows]
    behind: dict[str, list[tuple[ScoreRow, float]]] = {}
    for row, shares in parts:
        for driver, amount in shares.items():
            behind.setdefault(driver, []).append((row, amount))
    risks = [_risk(driver, own, told) for driver, own in behind.items() if driver != BASE]
    risks.sort(key=lambda risk: (-risk.mrr_at_risk, risk.driver))
    if BASE in behind:
        risks.append(_rest(behind[BASE], base_rate))
    return Drivers(
        risks=tuple(risks),
        base_rate=base_rate,
        mrr_at_risk=fsum(at_risk(row) for row in rows),
        then=told.then,
        segments=tuple(_segments(parts, told.segments)),
    )


def drivers_then(book: Book, lead: str, afterwards: bool) -> DriversThen | None:
    """The same sums of an older book; None where it judged nobody for this target."""
    rows = judged(book.scores, lead)
    if not rows:
        return None
    base_rate = base_rate_of(rows)
    return DriversThen(
        as_of=book.run.as_of.date(),
        base_rate=base_rate,
        mrr_at_risk=fsum(at_risk(row) for row in rows),
        shares=_summed(share_out(row, base_rate) for row in rows),
        version=rows[0].model_version,
        afterwards=afterwards,
    )


def periods_of(dates: Sequence[date], most: int) -> list[date]:
    """The dates to show a trend of, oldest first, at most `most`: the newest of each quarter where there are
    three quarters or more, else of each month."""
    by_quarter = {(day.year, (day.month - 1) // 3): day for day in sorted(dates)}
    by_month = {(day.year, day.month): day for day in sorted(dates)}
    newest = by_quarter if len(by_quarter) >= 3 else by_month
    return sorted(newest.values())[-most:]


def judged(scores: Iterable[ScoreRow], lead: str | None) -> list[ScoreRow]:
    """The rows of a target (its shortest horizon) that have a probability."""
    return shortest([row for row in scores if row.target == lead and row.probability is not None])


def base_rate_of(rows: Sequence[ScoreRow]) -> float:
    """The mean probability of the rows: what is told of an account of which nothing is known."""
    return fsum(row.probability or 0.0 for row in rows) / len(rows) if rows else 0.0


def share_out(row: ScoreRow, base_rate: float) -> dict[str, float]:
    """An account's MRR at risk by driver, in minor units: BASE first, then the drivers that raise it."""
    whole = at_risk(row)
    above = whole - min(row.probability or 0.0, base_rate) * minor(row.mrr)
    raising: dict[str, float] = {}
    for reason in row.reasons:
        if not reason.get("protective") and reason["contribution"] > 0:
            raising[reason["driver"]] = raising.get(reason["driver"], 0.0) + reason["contribution"]
    if above <= 0 or not raising:
        return {BASE: whole}
    pull = fsum(raising.values())
    shares = {driver: above * own / pull for driver, own in raising.items()}
    return {BASE: whole - fsum(shares.values()), **shares}


def _risk(
    driver: str,
    own: Sequence[tuple[ScoreRow, float]],
    told: Told,
) -> DriverRisk:
    first = sorted(own, key=lambda part: (-part[1], part[0].account_id))[:_ACCOUNTS]
    return DriverRisk(
        driver=driver,
        accounts=len(own),
        mrr_at_risk=fsum(amount for _, amount in own),
        high_mrr_at_risk=fsum(amount for row, amount in own if row.tier in _HIGH),
        voices=tuple(_voices(driver, own, told))[:_FEATURES],
        first=tuple(
            AccountShare(
                account_id=row.account_id,
                mrr=minor(row.mrr),
                probability=row.probability or 0.0,
                mrr_at_risk=amount,
                reason=told.tell_driver(row, driver),
            )
            for row, amount in first
        ),
    )


def _rest(own: Sequence[tuple[ScoreRow, float]], base_rate: float) -> DriverRisk:
    alone = [row for row, _ in own if (row.probability or 0.0) <= base_rate]
    return DriverRisk(
        driver=BASE,
        accounts=len(alone),
        mrr_at_risk=fsum(amount for _, amount in own),
        high_mrr_at_risk=fsum(amount for row, amount in own if row.tier in _HIGH),
    )


def _voices(driver: str, own: Sequence[tuple[ScoreRow, float]], told: Told) -> list[Voice]:
    values: dict[str, list[float | str | None]] = {}
    for row, _ in own:
        for reason in row.reasons:
            if reason["driver"] == driver and not reason.get("protective"):
                values.setdefault(reason["feature"], []).append(reason["value"])
    voices = []
    for feature, found in values.items():
        middle = _middle(found)
        text = told.tell_voice(feature, middle)
        voices.append(Voice(feature, len(found), middle, told.typical.get(feature), text))
    return sorted(voices, key=lambda voice: (-voice.accounts, voice.feature))


def _middle(values: Sequence[float | str | None]) -> float | str | None:
    numbers = [value for value in values if isinstance(value, (int, float))]
    if numbers:
        return float(median(numbers))
    names = sorted(value for value in values if isinstance(value, str))
    return max(names, key=names.count) if names else None


def _segments(
    parts: Sequence[tuple[ScoreRow, Shares]], segment_of: Mapping[str, str | None]
) -> list[SegmentRisk]:
    """Those with most MRR at risk first; the ones beyond SEGMENTS together; nothing where there is one."""
    by_segment: dict[str | None, list[Shares]] = {}
    for row, shares in parts:
        by_segment.setdefault(segment_of.get(row.account_id), []).append(shares)
    if len(by_segment) < 2:
        return []
    told = [_segment(name, own) for name, own in by_segment.items()]
    told.sort(key=lambda risk: (-risk.mrr_at_risk, risk.segment or ""))
    shown, rest = (told, []) if len(told) <= SEGMENTS else (told[:SEGMENTS], told[SEGMENTS:])
    if rest:
        together = [shares for risk in rest for shares in by_segment[risk.segment]]
        shown.append(_segment(None, together, len(rest)))
    return shown


def _segment(name: str | None, own: Sequence[Shares], folded: int = 1) -> SegmentRisk:
    shares = _summed(own)
    return SegmentRisk(name, len(own), fsum(shares.values()), shares, folded)


def _summed(parts: Iterable[Shares]) -> dict[str, float]:
    sums: dict[str, list[float]] = {}
    for shares in parts:
        for driver, amount in shares.items():
            sums.setdefault(driver, []).append(amount)
    return {driver: fsum(amounts) for driver, amounts in sums.items()}
