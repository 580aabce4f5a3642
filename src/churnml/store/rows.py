"""What the store keeps, as plain rows. Owns their shapes; knows no database.

Money is a float in the account's currency here and whole minor units in the database, so that sums
there are exact. A probability that does not exist (too little data) is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

Alias = Literal["champion", "challenger"]
Tier = Literal["low", "medium", "high", "critical", "unknown"]
Status = Literal["ok", "unpromoted", "too_little_data"]
Span = Literal["month", "window", "quarter"]
Scope = Literal["read", "act", "admin"]
FeatureValue = float | str | None
ScoreKey = tuple[str, str, int]  # account_id, target, horizon_days
Name = tuple[str | None, str | None]  # display name and CRM link


@dataclass(frozen=True)
class ScoringRun:
    """One scoring of a whole book.

    alias: champion runs become the book that the service shows; challenger runs (unpromoted models)
    are kept beside it and never shown as the book. model_versions: target -> version. drift: the
    summary of `monitor.drift`, as it is to be kept.
    """

    run_id: str
    as_of: datetime
    data_through: datetime
    created_at: datetime
    alias: Alias
    model_versions: Mapping[str, str]
    drift: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreRow:
    """One account's score for one target and horizon.

    reasons: dicts with the keys driver, feature, value, unit, contribution (log-odds), text and
    protective, strongest first. play: the name of the action. mrr: in `currency`, as at `as_of`.
    outlook: as `scoring.outlook.Outlook`; empty where there is no probability, and in rows of before
    there were outlooks. calibration: raw, slope and intercept, of which the probability is
    sigmoid(slope * raw + intercept); empty where there is none, and in rows of before it was kept.
    change: the probability less that of the newest book of an earlier as_of, for the same target and
    horizon; None where there is none to compare.
    """

    account_id: str
    as_of: datetime
    target: str
    horizon_days: int
    lead_days: int
    probability: float | None
    tier: Tier
    status: Status
    reasons: list[dict[str, Any]]
    play: str
    mrr: float
    currency: str
    model_version: str
    data_through: datetime
    outlook: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, float] = field(default_factory=dict)
    change: float | None = None


@dataclass(frozen=True)
class AccountRow:
    """One account as it was scored: context and the feature values behind the scores.

    evidence: as `features.evidence.Evidence`, of which its sentences are told; empty in rows of before
    there was any. renews_at: when the contract is next due, as far as was known.
    """

    account_id: str
    as_of: datetime
    segment: str | None
    need: str | None
    csm_id: str | None
    mrr: float
    currency: str
    features: dict[str, FeatureValue]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    renews_at: datetime | None = None


@dataclass(frozen=True)
class KeyRow:
    """A key to the service, as it is kept: never the secret, only what it hashes to.

    expires_at, revoked_at: from then on it opens nothing; None: not yet known, not at all.
    """

    key_id: str
    name: str
    scope: Scope
    salt: bytes = field(repr=False)
    hash: bytes = field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_live(self, at: datetime) -> bool:
        """Whether it opens anything at a moment."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


@dataclass(frozen=True)
class Book:
    """The scores of one run, in the order of account and target."""

    run: ScoringRun
    scores: tuple[ScoreRow, ...]


@dataclass(frozen=True)
class AccountBook:
    """What the book says about one account."""

    run: ScoringRun
    account: AccountRow
    scores: tuple[ScoreRow, ...]


@dataclass(frozen=True)
class ForecastRow:
    """MRR that a report expected to have the target's outcome between two moments, in minor units.

    as_of, run_id: of the book that it speaks of. span: `month` is of the accounts that renew inside the
    window alone, and of a calendar month or what of it lies in the window; `window` is the whole window;
    `quarter` what of the window lies in the quarter that it opens in. accounts, mrr: whom it speaks of.
    low, high: what holds `level` of the cases. naive: what the last months' rate alone would have said;
    None without such months.
    """

    as_of: datetime
    target: str
    span: Span
    from_at: datetime
    until_at: datetime
    model_version: str
    horizon_days: int
    lead_days: int
    run_id: str
    made_at: datetime
    accounts: int
    mrr_minor: int
    expected_minor: int
    low_minor: int
    high_minor: int
    level: float
    naive_minor: int | None = None

    @property
    def opens(self) -> datetime:
        """When its window opens."""
        return self.as_of + timedelta(days=self.lead_days)

    @property
    def closes(self) -> datetime:
        """When its window is over."""
        return self.opens + timedelta(days=self.horizon_days)


@dataclass(frozen=True)
class Member:
    """An account that a past book judged: its MRR then, in minor units, and when it was to renew."""

    account_id: str
    mrr_minor: int
    renews_at: datetime | None
