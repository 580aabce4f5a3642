"""How much one feature alone knows of a label. Owns the arithmetic; knows no limit and no words.

x: (rows,) float64, NaN where missing. Categories come as codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from churnml.scoring.predict import FloatArray

IntArray = npt.NDArray[np.int64]
FOLDS = 5
PRIOR_ROWS = 5.0  # so many accounts' worth of the overall rate smooth a category's own
PAIRS = 20_000
SEED = 7
DAY_TOLERANCE = 1.0  # days: what rounding a moment to a day may cost


@dataclass(frozen=True, eq=False)
class Voices:
    """Rows with labels, weighed so that each account has one voice per label.

    y: (rows,) 1.0 or 0.0. accounts: (rows,) codes 0..n-1. weight: (rows,), summing to `positives`
    over rows with the outcome and to `negatives` over the others.
    """

    y: FloatArray
    accounts: IntArray
    weight: FloatArray
    positives: int
    negatives: int

    @classmethod
    def of(cls, y: FloatArray, accounts: npt.NDArray[np.object_]) -> Voices:
        """From labels and account ids, both (rows,)."""
        codes = np.unique(accounts.astype(str), return_inverse=True)[1].astype(np.int64)
        cells = 2 * codes + (y > 0.5)
        rows = np.bincount(cells, minlength=2)
        return cls(
            y=y,
            accounts=codes,
            weight=1.0 / rows[cells],
            positives=int((rows[1::2] > 0).sum()),
            negatives=int((rows[::2] > 0).sum()),
        )


def auc_of_numbers(x: FloatArray, voices: Voices) -> float:
    """AUC of one number alone, whichever way round is higher; NaN counts as a value, below or above
    all others, whichever tells more."""
    found = [_auc(np.where(np.isnan(x), -np.inf, x), voices)]
    if np.isnan(x).any():
        found.append(_auc(np.where(np.isnan(x), np.inf, x), voices))
    return max(max(auc, 1 - auc) for auc in found)


def auc_of_categories(codes: FloatArray, voices: Voices) -> float:
    """AUC of the rate of the outcome among other accounts of the same category; NaN is a category.

    Each account is judged by rates of four fifths of the others, its own left out: a category of one
    account, such as an id, tells nothing.
    """
    category = np.where(np.isnan(codes), -1, codes).astype(np.int64) + 1
    fold = voices.accounts % FOLDS
    score = np.empty(len(codes))
    size = int(category.max()) + 1
    for number in range(FOLDS):
        others = fold != number
        total = np.bincount(category[others], voices.weight[others], size)
        hits = np.bincount(category[others], (voices.weight * voices.y)[others], size)
        rate = hits.sum() / max(total.sum(), 1e-12)
        rates = (hits + PRIOR_ROWS * rate) / (total + PRIOR_ROWS)
        score[~others] = rates[category[~others]]
    return _auc(score, voices)


def _auc(x: FloatArray, voices: Voices) -> float:
    """Chance that an account with the outcome lies above one without; half of a tie."""
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    # Compared, not subtracted: missing ones are infinite here, and infinity less itself is no 0.
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    weight = voices.weight[order]
    above = weight * (voices.y[order] > 0.5)
    ties = np.add.reduceat(above, starts), np.add.reduceat(weight - above, starts)
    below = np.append(0.0, np.cumsum(ties[1])[:-1])
    return float((ties[0] * (below + ties[1] / 2)).sum() / (ties[0].sum() * ties[1].sum()))


def filled_shares(x: FloatArray, voices: Voices) -> tuple[float, float]:
    """Share filled among accounts with the outcome, and among those without."""
    filled = voices.weight * ~np.isnan(x)
    positive = voices.y > 0.5
    return (
        float(filled[positive].sum() / voices.positives),
        float(filled[~positive].sum() / voices.negatives),
    )


@dataclass(frozen=True)
class Told:
    """How well a feature tells the outcome's day.

    share: of the accounts with the outcome, for how much of them it tells the day. right_share: of
    the accounts for which it tells a day such as theirs, how many have the outcome. A date that was
    agreed upon, a renewal, may tell the day of those who leave; it is right for few, because most
    stay.
    """

    share: float
    right_share: float


def date_told(x: FloatArray, voices: Voices, days: FloatArray, day: FloatArray) -> Told | None:
    """Whether a straight line through the feature tells the day of the outcome; None if nothing does.

    days: (rows,) from as_of to the outcome, NaN where unknown. day: (rows,) day number of as_of. Both
    days until the outcome and its date as such are tried, in any unit. One line for all accounts:
    within one account everything that counts days moves one for one with the outcome's.
    """
    tried = [_told(x, voices, days, clock) for clock in (np.zeros(len(day)), day)]
    found = [told for told in tried if told is not None]
    return max(found, key=lambda told: min(told.share, told.right_share), default=None)


def _told(x: FloatArray, voices: Voices, days: FloatArray, clock: FloatArray) -> Told | None:
    usable = (voices.y > 0.5) & np.isfinite(days) & np.isfinite(x)
    truth = np.floor(days) + clock
    line = _line(x[usable], truth[usable], voices.accounts[usable])
    if line is None:
        return None
    slope, level = line
    with np.errstate(over="ignore", invalid="ignore"):
        told = (x - level) / slope  # NaN where the feature is missing: no day is told
        hit = usable & (np.abs(told - truth) <= DAY_TOLERANCE)
        ahead = told - clock
        inside = (ahead >= days[usable].min() - DAY_TOLERANCE) & (
            ahead <= days[usable].max() + DAY_TOLERANCE
        )
    accounts = np.bincount(voices.accounts[inside])
    outcomes = np.bincount(voices.accounts[inside], voices.y[inside])
    if not accounts.any():
        return None
    return Told(
        share=float((voices.weight * hit).sum() / voices.positives),
        right_share=float((outcomes[accounts > 0] / accounts[accounts > 0]).mean()),
    )


def _line(x: FloatArray, truth: FloatArray, accounts: IntArray) -> tuple[float, float] | None:
    """(slope, level) of x over the truth that most rows keep to: the median over pairs of accounts,
    then least squares through the rows near it. None where x or the truth stands still."""
    if len(x) < 2:
        return None
    first, second = np.random.default_rng(SEED).integers(0, len(x), (2, PAIRS))
    run = truth[first] - truth[second]
    far = (accounts[first] != accounts[second]) & (np.abs(run) >= max(np.std(truth) / 2, 1.0))
    if not far.any():
        return None
    slope = float(np.median((x[first] - x[second])[far] / run[far]))
    if slope == 0 or not np.isfinite(slope):
        return None
    level = float(np.median(x - slope * truth))
    near = np.abs((x - level) / slope - truth) <= 3 * DAY_TOLERANCE
    run = truth[near] - truth[near].mean() if near.any() else np.zeros(1)
    if run.any():
        slope = float((run * x[near]).sum() / (run * run).sum())
        level = float(x[near].mean() - slope * truth[near].mean())
    return (slope, level) if slope != 0 else None
