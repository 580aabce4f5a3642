"""How healthy the customers are as a whole. Owns the definitions of these shares and their intervals; the
rows are counted by `features.engine_base` and handed in.

Each block has a class: an outcome, the behaviour that comes before it, or the process (what a team does)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from statistics import NormalDist
from typing import Any, Literal

from churnml.actions.voice import TopicSum, VoiceNote, topic_sums
from churnml.report.balance import Balance
from churnml.report.money import minor

MetricClass = Literal["outcome", "behaviour", "process"]
CLASS_OF: Mapping[str, MetricClass] = {
    "company": "behaviour",
    "modules": "behaviour",
    "key_users": "behaviour",
    "activation": "behaviour",
    "nps": "behaviour",
    "referrals": "outcome",
    "trials": "outcome",
    "voice": "behaviour",
    "nrr": "outcome",
    "success": "behaviour",
    "actions": "process",
    "effect": "outcome",
}
MARKS = (30, 60, 90)  # days after the start
NPS_DAYS = 90
ADOPTION_DAYS, ADOPTION_LATELY = 90, 28
ACTIVE_DAYS, SILENT_DAYS, LEFT_DAYS = 28, 56, 90
YEAR_DAYS = 365
_FEWEST_GROUPS = 10  # accounts that answered: of fewer no interval is told


@dataclass(frozen=True)
class MonthUse:
    """Four weeks, and the accounts that paid when they ended. last: their last day. active: with any event by
    a person; completing: that completed something. people: distinct active users; seated: of accounts whose
    seats are told. None: the tables don't tell."""

    last: date
    accounts: int
    active: int
    completing: int | None
    people: int | None
    seated: int | None
    events: int
    seats: int | None
    visits: int | None

    @property
    def seat_share(self) -> float | None:
        """Active users to seats; may be above 1."""
        return self.seated / self.seats if self.seated is not None and self.seats else None

    @property
    def completing_share(self) -> float | None:
        """Of the accounts that pay, those that completed something."""
        told = self.completing is not None and self.accounts
        return self.completing / self.accounts if told else None  # type: ignore[operator]

    def per_account(self, count: int | None) -> float | None:
        """A count by the accounts that pay."""
        return count / self.accounts if count is not None and self.accounts else None


@dataclass(frozen=True)
class ModuleFunnel:
    """Accounts that pay and came at least this far in a module within 90 days. lately: completed something in
    the last 28."""

    module: str
    viewed: int
    started: int
    completed: int
    lately: int
    events: int


@dataclass(frozen=True)
class RoleHeld:
    """A key role at the accounts that pay: people who hold it, of them active in the last 28 days (None: the
    log names nobody), accounts with one, and accounts one of whose left or fell silent."""

    role: str
    people: int
    active: int | None
    accounts: int
    left: int
    silent: int | None


@dataclass(frozen=True)
class Started:
    """Accounts that started in a quarter, and of them those activated within each of MARKS days; None while
    not all of them are that old."""

    quarter: date
    accounts: int
    within: tuple[int | None, ...]


@dataclass(frozen=True)
class Activation:
    """by: milestones (all of an account's were reached) or completed (its first completed action)."""

    by: Literal["milestones", "completed"]
    cohorts: tuple[Started, ...]


@dataclass(frozen=True)
class Nps:
    """The last answers within NPS_DAYS. score, low, high: −100 to 100; the interval counts each account as
    one, and is None where too few accounts answered."""

    respondents: int
    accounts: int
    promoters: int
    detractors: int
    score: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Referrals:
    """Within a year. converted: by now; None where the table doesn't say."""

    made: int
    accounts: int
    converted: int | None


@dataclass(frozen=True)
class Trials:
    """Begun within a year. fresh: not converted and begun in the last 30 days."""

    started: int
    converted: int
    median_days: float | None
    fresh: int


@dataclass(frozen=True)
class Topic:
    """Open notes about one thing. mrr: of the accounts behind them, in minor units; without_mrr: of these
    accounts, those that are not in the book."""

    topic: str
    kind: str
    route: str
    notes: int
    accounts: int
    mrr: int
    without_mrr: int
    oldest: date


@dataclass(frozen=True)
class Voice:
    """What customers said, by topic, most MRR first. noted, closed: in the period."""

    open: int
    noted: int
    closed: int
    topics: tuple[Topic, ...]


@dataclass(frozen=True)
class Base:
    """The seventh section. What a table or column would be needed for is None (or empty), and `needs` names
    it. paying: accounts that pay."""

    as_of: datetime
    paying: int
    months: tuple[MonthUse, ...]  # oldest first
    modules: tuple[ModuleFunnel, ...] | None
    key_users: tuple[RoleHeld, ...] | None
    activation: Activation | None
    nps: tuple[Nps | None, ...] | None  # newest first
    referrals: tuple[Referrals, Referrals] | None
    trials: Trials | None
    voice: Voice
    balance: Balance
    needs: tuple[str, ...]


def nps_of(groups: Iterable[tuple[int, int, int]]) -> Nps | None:
    """groups: of each account, respondents, promoters and detractors. None without an answer."""
    told = list(groups)
    count = sum(people for people, *_ in told)
    if not count:
        return None
    promoters, detractors = (sum(row[place] for row in told) for place in (1, 2))
    mean = (promoters - detractors) / count
    half = None
    if len(told) >= _FEWEST_GROUPS:
        # Answers of one account are alike: its deviations count together.
        spread = math.fsum((plus - minus - people * mean) ** 2 for people, plus, minus in told)
        deviation = math.sqrt(spread * len(told) / (len(told) - 1)) / count
        half = NormalDist().inv_cdf(0.975) * deviation
    return Nps(
        respondents=count,
        accounts=len(told),
        promoters=promoters,
        detractors=detractors,
        score=100 * mean,
        low=None if half is None else max(-100.0, 100 * (mean - half)),
        high=None if half is None else min(100.0, 100 * (mean + half)),
    )


def started_of(rows: Sequence[Sequence[Any]], as_of: datetime) -> tuple[Started, ...]:
    """rows: quarter, accounts, activated within each mark; oldest first in the result."""
    cohorts = []
    for quarter, accounts, *within in sorted(rows, key=lambda row: row[0]):
        end = quarter.year * 12 + quarter.month + 2
        over = (as_of - datetime(end // 12, end % 12 + 1, 1)).days
        cohorts.append(
            Started(
                quarter.date(),
                accounts,
                tuple(n if over >= days else None for days, n in zip(MARKS, within, strict=True)),
            )
        )
    return tuple(cohorts)


def voice_of(
    notes: Sequence[VoiceNote], mrr: Mapping[str, float], start: datetime, end: datetime
) -> Voice:
    """As it stood at `end`: notes taken before, closed ones only if closed before. No text is read."""
    taken = [note for note in notes if note.noted_at < end]
    waiting = [note for note in taken if note.closed_at is None or note.closed_at >= end]
    oldest: dict[tuple[str, str, str], datetime] = {}
    for note in waiting:
        key = (note.topic, note.kind, note.route)
        oldest[key] = min(oldest.get(key, note.noted_at), note.noted_at)
    open_now = [_reopened(note) for note in waiting]
    return Voice(
        open=len(waiting),
        noted=sum(note.noted_at >= start for note in taken),
        closed=sum(note.closed_at is not None and start <= note.closed_at < end for note in taken),
        topics=tuple(_topic(one, oldest) for one in topic_sums(open_now, mrr)),
    )


def _reopened(note: VoiceNote) -> VoiceNote:
    return replace(note, closed_at=None, closure=None)


def _topic(one: TopicSum, oldest: Mapping[tuple[str, str, str], datetime]) -> Topic:
    return Topic(
        one.topic, one.kind, one.route, one.open, one.accounts_open, minor(one.mrr_open),
        one.without_mrr, oldest[one.topic, one.kind, one.route].date(),
    )  # fmt: skip
