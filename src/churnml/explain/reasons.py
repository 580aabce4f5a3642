"""Reasons: the drivers behind a score, ranked, in words. Owns the ranking; tell.py owns the words.

Drivers are ranked by the sum of their contributions, so that features that share credit cannot hide
each other, and context counts for less than what happened (`drivers.ranked`); the feature that speaks for
a driver is the one that pulls hardest in the driver's own direction and whose sentence agrees with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from churnml.errors import ChurnmlError
from churnml.explain.drivers import LEAST_LOG_ODDS, by_driver, declared, driver_columns, ranked
from churnml.explain.reading import Row, Value, is_missing
from churnml.explain.tell import Teller
from churnml.features.evidence import Evidence

if TYPE_CHECKING:
    import pandas as pd

SPEAKS_SHARE = 0.1  # a feature may speak for its driver from this share of the strongest one's pull


@dataclass(frozen=True)
class Reason:
    """One driver of one score, in words.

    feature: the one that speaks; value, unit: its own (None if missing). contribution: the whole
    driver's, in log-odds; positive raises the probability of the outcome. protective: it lowers it.
    """

    driver: str
    feature: str
    value: Value
    unit: str
    contribution: float
    text: str
    protective: bool

    def as_dict(self) -> dict[str, Any]:
        """The reason as plain values, as the store and the service keep it."""
        return {
            "driver": self.driver,
            "feature": self.feature,
            "value": self.value,
            "unit": self.unit,
            "contribution": self.contribution,
            "text": self.text,
            "protective": self.protective,
        }


def reason_from_dict(stored: Mapping[str, Any]) -> Reason:
    """A reason as it was stored by `Reason.as_dict`; further keys are ignored."""
    return Reason(
        driver=str(stored["driver"]),
        feature=str(stored["feature"]),
        value=stored["value"],
        unit=str(stored["unit"]),
        contribution=float(stored["contribution"]),
        text=str(stored["text"]),
        protective=bool(stored.get("protective", stored["contribution"] < 0)),
    )


def reasons_for(
    row_features: Row,
    features: Sequence[str],
    contributions: np.ndarray,
    target: str,
    lang: str,
    currency: str,
    reference: Mapping[str, Any],
    top: int = 3,
    keep: int = 2,
    as_of: datetime | None = None,
    evidence: Evidence | None = None,
) -> list[Reason]:
    """The reasons of one score: up to `top` that raise the probability, then up to `keep` that
    lower it, strongest first, with context counting for less (`drivers.ranked`).

    row_features: the snapshot's features by name (more than the model's are welcome: they tell
    "from 200 to 100"). contributions: (f,) log-odds, as `features`. reference: the bundle's.
    as_of: where given, dates are told beside days. evidence: what stands behind the numbers, where it
    is known: modules, roles and peers are told then.
    Raises: ChurnmlError for contributions of another shape or features of another catalogue,
    ConfigError for an unknown language, NotFound for an unknown target.
    """
    ranking = _Ranking(features, Teller(target, lang, currency, reference), top, keep)
    matrix = np.asarray(contributions, dtype=float).reshape(1, -1)
    return ranking.reasons([(row_features, as_of, evidence)], matrix)[0]


def reasons_for_rows(
    frame: pd.DataFrame,
    features: Sequence[str],
    contributions: np.ndarray,
    target: str,
    lang: str,
    currency: str,
    reference: Mapping[str, Any],
    top: int = 3,
    keep: int = 2,
    evidence: Sequence[Evidence] | None = None,
    rows: Sequence[Row] | None = None,
) -> list[list[Reason]]:
    """`reasons_for` for every row of a features frame, in its order.

    frame: n rows with the features as columns (and `as_of`, where dates are to be told).
    contributions: (n, f) log-odds. evidence: of each row. rows: the frame's features by name, from who
    has them already.
    Raises: as `reasons_for`; also ChurnmlError if there are not as many rows as contributions.
    """
    if len(frame) != len(contributions):
        raise ChurnmlError(
            f"contributions: found {len(contributions)} rows for {len(frame)} snapshots. Expected "
            "one each. Explain the same rows that are scored."
        )
    ranking = _Ranking(features, Teller(target, lang, currency, reference), top, keep)
    moments: list[datetime | None] = [None] * len(frame)
    if "as_of" in frame:
        moments = list(frame["as_of"].dt.to_pydatetime())
    beside: Sequence[Evidence | None] = evidence if evidence is not None else [None] * len(frame)
    told = list(zip(_rows(frame) if rows is None else rows, moments, beside, strict=True))
    return ranking.reasons(told, np.asarray(contributions, dtype=float))


def retell(
    reason: Reason,
    row_features: Row,
    teller: Teller,
    as_of: datetime | None = None,
    evidence: Evidence | None = None,
) -> str:
    """The text of a stored reason in the teller's language, from its stored features and evidence."""
    sign = -1 if reason.protective else +1
    return teller.tell(reason.feature, sign, row_features, as_of, evidence)


def _rows(frame: pd.DataFrame) -> list[Row]:
    names = [name for name in frame.columns if name not in ("account_id", "as_of")]
    columns = []
    for name in names:
        column = frame[name]
        if column.dtype != np.float64:
            column = column.astype(object).where(column.notna(), None)
        columns.append(column.tolist())
    if not columns:
        return [{} for _ in range(len(frame))]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


Account = tuple[Row, datetime | None, Evidence | None]  # all that its sentences are told from


class _Ranking:
    """Ranks drivers and picks their speakers, for many rows of one model and one teller."""

    def __init__(self, features: Sequence[str], teller: Teller, top: int, keep: int):
        self._features = tuple(features)
        self._teller = teller
        self._top = top
        self._keep = keep
        self._columns = driver_columns(features)
        self._units = {name: declared(name).unit for name in features}

    def reasons(self, accounts: Sequence[Account], contributions: np.ndarray) -> list[list[Reason]]:
        drivers, sums = by_driver(self._features, contributions)
        order = ranked(drivers, sums)
        told = []
        for account, own, driver_sums, places in zip(
            accounts, contributions.tolist(), sums.tolist(), order.tolist(), strict=True
        ):
            pulls = [(drivers[place], driver_sums[place]) for place in places]
            raising = [pull for pull in pulls if pull[1] >= LEAST_LOG_ODDS][: self._top]
            keeping = [pull for pull in reversed(pulls) if pull[1] <= -LEAST_LOG_ODDS]
            reasons = [self._reason(account, own, *pull) for pull in raising]
            reasons += self._keeping(account, own, keeping)
            told.append(reasons)
        return told

    def _keeping(
        self, account: Account, own: Sequence[float], pulls: Sequence[tuple[str, float]]
    ) -> list[Reason]:
        kept: list[Reason] = []
        for driver, pull in pulls:
            if len(kept) == self._keep:
                break
            reason = self._reason(account, own, driver, pull)
            # "No data" keeps nobody: what cannot be said of a protective driver is left out.
            if reason.value is not None or self._speaks(reason, account):
                kept.append(reason)
        return kept

    def _speaks(self, reason: Reason, account: Account) -> bool:
        return self._teller.sentence(reason.feature, -1, *account) is not None

    def _reason(self, account: Account, own: Sequence[float], driver: str, pull: float) -> Reason:
        sign = 1 if pull > 0 else -1
        name, text = self._speaker(account, own, driver, sign)
        value = account[0].get(name)
        return Reason(
            driver=driver,
            feature=name,
            value=None if is_missing(value) else value,
            unit=self._units[name],
            contribution=pull,
            text=text,
            protective=sign < 0,
        )

    def _speaker(
        self, account: Account, own: Sequence[float], driver: str, sign: int
    ) -> tuple[str, str]:
        row, moment, evidence = account
        pulls = [(own[place] * sign, place) for place in self._columns[driver]]  # type: ignore[index]
        most = max(pulls)[0]
        least = SPEAKS_SHARE * most
        # Strongest first, ties in the model's order.
        pulling = sorted([(-pull, place) for pull, place in pulls if 0 < pull >= least])
        names = [self._features[place] for _, place in pulling]
        for name in names:
            text = self._teller.sentence(name, sign, row, moment, evidence)
            if text is not None:
                return name, text
        with_value = [name for name in names if not is_missing(row.get(name))]
        name = (with_value or names)[0]
        return name, self._teller.neutral(name, row, moment)
