"""What the report says, as plain data. Owns the shapes; computes and draws nothing.

Everything here can be written as JSON (`orjson.dumps`). Money is in whole minor units (cents), so
that every sum can be checked; expectations of money are floats of the same unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

MOVES = (
    "new",
    "reactivation",
    "expansion",
    "contraction",
    "churn",
    "ended_otherwise",
    "term_change",
)


@dataclass(frozen=True)
class LedgerMonth:
    """One month of the ledger, in minor units: start + all moves = end, to the cent.

    month: its first day. Moves are signed: contraction, churn and ended_otherwise are 0 or less,
    term_change either. ended_otherwise: ends for neutral reasons (merged, completed). partial: the
    month was not over when the data ended.
    """

    month: date
    start: int
    end: int
    new: int = 0
    reactivation: int = 0
    expansion: int = 0
    contraction: int = 0
    churn: int = 0
    ended_otherwise: int = 0
    term_change: int = 0
    partial: bool = False

    def move(self, name: str) -> int:
        """The move of that name (one of MOVES)."""
        return int(getattr(self, name))


@dataclass(frozen=True)
class Metric:
    """A figure with its interval; None where it cannot be computed."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scorer:
    """A way to score, and how it did: the model, or a baseline."""

    name: str
    metrics: tuple[Metric, ...]

    def metric(self, name: str) -> Metric | None:
        """The metric of that name, if it was measured."""
        return next((metric for metric in self.metrics if metric.name == name), None)


@dataclass(frozen=True)
class CalibrationBin:
    """Scores that were told about the same: how many, mean prediction, and what came.

    low, high: the interval of what came; `build_report` fills it in where it is missing.
    """

    rows: int
    predicted: float
    observed: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """How one target's model did on the out-of-time test, beside its baselines.

    promoted: it serves as champion. why: what the gate said where it did not open, or why there is
    no model at all (then `model` is None); checks: the names of those, in the same order.
    """

    target: str
    horizon_days: int
    lead_days: int
    promoted: bool
    model_version: str | None = None
    test_from: date | None = None
    test_until: date | None = None
    rows: int = 0
    accounts: int = 0
    outcomes: int = 0
    model: Scorer | None = None
    baselines: tuple[Scorer, ...] = ()
    calibration: tuple[CalibrationBin, ...] = ()
    why: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableCoverage:
    """One table of the contract: what there is of it. rows None: the company does not have it."""

    table: str
    rows: int | None
    accounts: int | None = None
    first: date | None = None
    last: date | None = None
    missing_columns: tuple[str, ...] = ()


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
class DriverRisk:
    """MRR at risk in the accounts whose strongest reason is this driver ("" if they have none).

    high_mrr_at_risk: the part of it in accounts of the tiers high and critical.
    """

    driver: str
    accounts: int
    mrr_at_risk: float
    high_mrr_at_risk: float


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
class Kept:
    """The mean share of a month's starting MRR that was kept, over `months` full months: before
    growth (grr) and with it (nrr). Neutral ends count in neither."""

    months: int
    grr: float
    nrr: float


@dataclass(frozen=True)
class ReportData:
    """Everything that the report says. `unpromoted`: the scores come from a model that the gate
    did not let through. `lead`: the target that the headline speaks of."""

    company: str
    currency: str
    language: str
    created_at: datetime
    as_of: date | None
    data_through: datetime | None
    unpromoted: bool
    lead: str | None
    accounts: int
    mrr: int
    unscored_accounts: int
    unscored_mrr: int
    outlooks: tuple[Outlook, ...]
    tiers: tuple[TierShare, ...]
    first: tuple[AccountLine, ...]
    drivers: tuple[DriverRisk, ...]
    months: tuple[LedgerMonth, ...]
    kept: Kept | None
    evaluations: tuple[Evaluation, ...]
    coverage: tuple[TableCoverage, ...]
    drift: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    basis: str = "net"
    grace_days: int = 30

    def outlook(self, target: str) -> Outlook | None:
        """The outlook of a target (its shortest horizon), if it was scored."""
        return next((item for item in self.outlooks if item.target == target), None)
