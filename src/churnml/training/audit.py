"""Does a feature know too much? Owns what the leak audit measures, its findings and its words.

Pure: takes plain values, builds no feature and reads no table. Snapshots of one account overlap, so
every measure gives each account with the outcome one voice, and each without it one. What the
measures cannot see stands in docs/decisions/0006."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.config import AuditCheck, AuditConfig, WaiverConfig
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import KEYS, TrainingTable
from churnml.training.measures import (
    Voices,
    auc_of_categories,
    auc_of_numbers,
    date_told,
    filled_shares,
)

COHORT = "cohort"  # stands for a feature where who is in the cohort knew too much
STATISTICAL: tuple[AuditCheck, ...] = (
    "single_feature_auc",
    "knows_the_date",
    "filled_only_for_churners",
)
ADVICE: Mapping[AuditCheck, str] = {
    "single_feature_auc": "Ask how its value comes to be known: is it written when, or after, the "
    "outcome comes?",
    "knows_the_date": "See whether its table knows the outcome's date before as_of; cut it by "
    "known_at or end_known_at.",
    "filled_only_for_churners": "See who fills it and when; give the time from which it is known.",
    "target_time_mutation": "Read its rows through AsOfView, so that rows not yet known are unseen.",
    "late_arrival": "Read its rows through AsOfView, which heeds known_at.",
}


@dataclass(frozen=True)
class Finding:
    """One feature that knows too much, as one check sees it.

    target: whose labels it was seen by; None where no label was looked at. measured and limit are
    sentences' parts. waived: the reason given in the configuration, None while the finding stands.
    """

    feature: str
    check: AuditCheck
    target: str | None
    measured: str
    limit: str
    waived: str | None = None

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.check]

    @property
    def sentence(self) -> str:
        """The finding as one line."""
        return f"{self.feature}: {self.check.replace('_', ' ')}: {self.measured} ({self.limit})"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "advice": self.advice}


def finding_of(plain: Mapping[str, Any]) -> Finding:
    """A finding from what `as_dict` gave, not waived: that is for the configuration of today."""
    return Finding(
        feature=str(plain["feature"]),
        check=plain["check"],
        target=plain["target"],
        measured=str(plain["measured"]),
        limit=str(plain["limit"]),
    )


def waive(findings: Sequence[Finding], waivers: Sequence[WaiverConfig]) -> tuple[Finding, ...]:
    """The findings, those that are waived by name carrying the reason."""
    reasons = {(waiver.feature, waiver.check): waiver.reason for waiver in waivers}
    return tuple(
        replace(finding, waived=reasons.get((finding.feature, finding.check)))
        for finding in findings
    )


def standing(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings that nobody waived."""
    return tuple(finding for finding in findings if finding.waived is None)


def unmatched(
    findings: Sequence[Finding], waivers: Sequence[WaiverConfig]
) -> tuple[WaiverConfig, ...]:
    """The waivers that no finding needs any more."""
    found = {(finding.feature, finding.check) for finding in findings}
    return tuple(waiver for waiver in waivers if (waiver.feature, waiver.check) not in found)


def enough(table: TrainingTable, limits: AuditConfig) -> str | None:
    """None, or in words why the statistical checks cannot tell anything of these rows."""
    voices = Voices.of(table.y, table.accounts)
    fewest = min(voices.positives, voices.negatives)
    if fewest >= limits.min_outcomes:
        return None
    return (
        f"{voices.positives} accounts with the outcome and {voices.negatives} without; "
        f"{limits.min_outcomes} of each are needed to tell a feature that knows too much from luck"
    )


def audit_table(
    table: TrainingTable, labels: pd.DataFrame, target: str, limits: AuditConfig
) -> tuple[Finding, ...]:
    """The statistical checks of every column; nothing where there are too few outcomes (`enough`).

    labels: as the table was made from; `outcome_at` may be absent, then no date is looked for.
    """
    if enough(table, limits) is not None:
        return ()
    voices = Voices.of(table.y, table.accounts)
    days = days_to_outcome(table, labels)
    day = table.as_of.astype("datetime64[D]").astype(np.float64)
    found = []
    for place, name in enumerate(table.columns):
        x, categorical = table.x[:, place], name in table.categories
        measured = {
            "single_feature_auc": _auc(x, categorical, voices, limits),
            "knows_the_date": None if categorical else _date(x, voices, days, day, limits),
            "filled_only_for_churners": _fill(x, voices, limits),
        }
        for check in STATISTICAL:
            words = measured[check]
            if words is not None:
                found.append(Finding(name, check, target, *words))
    return tuple(found)


def days_to_outcome(table: TrainingTable, labels: pd.DataFrame) -> FloatArray:
    """Days from each row's as_of to its outcome, (rows,); NaN without an outcome or its moment."""
    if "outcome_at" not in labels.columns:
        return np.full(len(table), np.nan)
    keys = pd.DataFrame({KEYS[0]: table.accounts, KEYS[1]: table.as_of})
    moments = keys.merge(labels[[*KEYS, "outcome_at"]], on=KEYS, how="left")["outcome_at"]
    gap = moments.to_numpy(dtype="datetime64[us]") - table.as_of
    days: FloatArray = gap / np.timedelta64(1, "D")
    return days


Words = tuple[str, str]  # measured, limit


def _auc(x: FloatArray, categorical: bool, voices: Voices, limits: AuditConfig) -> Words | None:
    auc = auc_of_categories(x, voices) if categorical else auc_of_numbers(x, voices)
    if auc <= limits.max_auc:
        return None
    return (
        f"alone it has an AUC of {auc:.3f} over {voices.positives} accounts with the outcome",
        f"at most {limits.max_auc:.3f}",
    )


def _date(
    x: FloatArray, voices: Voices, days: FloatArray, day: FloatArray, limits: AuditConfig
) -> Words | None:
    told = date_told(x, voices, days, day)
    if told is None or min(told.share, told.right_share) <= limits.max_date_share:
        return None
    return (
        f"it tells the day for {told.share:.0%} of {voices.positives} accounts with the outcome, and "
        f"is right for {told.right_share:.0%} of those for which it tells such a day",
        f"at most {limits.max_date_share:.0%}",
    )


def _fill(x: FloatArray, voices: Voices, limits: AuditConfig) -> Words | None:
    positive, negative = filled_shares(x, voices)
    if abs(positive - negative) <= limits.max_fill_gap:
        return None
    return (
        f"it is filled for {positive:.0%} of the accounts with the outcome, for {negative:.0%} of those "
        "without",
        f"at most {limits.max_fill_gap:.0%} apart",
    )


# ---------------------------------------------------------------------- features built twice


def moved(before: pd.DataFrame, after: pd.DataFrame, features: Sequence[str]) -> dict[str, int]:
    """feature -> how many snapshots changed in any bit; those that did not are left out.

    before, after: account_id, as_of and features of the same dates, in any order. Snapshots that only
    one of them has are counted under `cohort`.
    """
    joined = before.merge(after, on=KEYS, how="outer", suffixes=("", "_again"), indicator="_in")
    changed = {COHORT: int((joined["_in"] != "both").sum())}
    both = joined[joined["_in"] == "both"]
    for name in features:
        left, right = both[name], both[f"{name}_again"]
        if pd.api.types.is_float_dtype(left) and pd.api.types.is_float_dtype(right):
            same = _bits(left) == _bits(right)
        else:
            same = ((left == right) | (left.isna() & right.isna())).to_numpy(dtype=bool)
        changed[name] = int((~same).sum())
    return {name: count for name, count in changed.items() if count}


def _bits(values: pd.Series[Any]) -> npt.NDArray[np.int64]:
    plain = values.to_numpy(dtype=np.float64).copy()
    plain[np.isnan(plain)] = np.nan  # one missing value, whatever its bits
    return plain.view(np.int64)


def moved_findings(
    check: AuditCheck, counts: Mapping[str, Mapping[str, tuple[int, int]]]
) -> tuple[Finding, ...]:
    """One finding per feature that moved at any date.

    counts: date -> feature -> (snapshots that moved, snapshots compared).
    """
    names = dict.fromkeys(name for moves in counts.values() for name in moves)
    found = []
    for name in names:
        told = [
            f"{moves[name][0]:,} of {moves[name][1]:,} snapshots at {date}"
            for date, moves in counts.items()
            if name in moves
        ]
        found.append(
            Finding(name, check, None, f"{_MOVED[check]} moved {', '.join(told)}", "none may move")
        )
    return tuple(found)


_MOVED: Mapping[AuditCheck, str] = {
    "target_time_mutation": "taking away what could not be known",
    "late_arrival": "rows that arrive after as_of, against none at all,",
}
