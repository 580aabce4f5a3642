"""Cox's proportional hazards with a ridge: how soon accounts leave, by their features. Owns that fit.

statsmodels' `PHReg` gives the partial likelihood and its slope; the ridge and the steps are here, because
its own penalised fit is slow and its plain one fails where columns say the same thing twice."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from churnml.scoring.predict import FloatArray
from churnml.training.assemble import BoolArray

MAX_STEPS = 200
TOLERANCE = 1e-8  # of the log-likelihood: what a further step may promise and not be taken


class NotFitted(Exception):
    """Why no model could be had, in words."""


def fit_cox(x: FloatArray, days: FloatArray, y: FloatArray, ridge: float) -> FloatArray:
    """Coefficients of the log hazard, (columns,).

    x: (rows, columns), finite. y: 1.0 where the outcome came inside the window, after `days`; the
    others are censored at the window's end. When that is needn't be known: they outlast every outcome,
    and the partial likelihood (Breslow's, for ties) asks no more. ridge: half of it times the squared
    coefficients is taken off the log-likelihood.
    Raises: NotFitted.
    """
    came = y > 0.5
    known = ~came | np.isfinite(days)  # an outcome at an unknown moment is neither early nor late
    if not (came & known).any():
        raise NotFitted("when the outcomes came is not known")
    x, came = x[known], came[known]
    last = float(days[known][came].max())
    time = np.where(came, days[known], last + 1.0)
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            coefficients = _most_likely(x, time, came.astype(np.float64), ridge)
    except (np.linalg.LinAlgError, ValueError, ZeroDivisionError) as error:
        raise NotFitted(f"its likelihood cannot be had ({error})") from None
    if not np.isfinite(coefficients).all():
        raise NotFitted("the search for its coefficients went astray")
    return coefficients


def _most_likely(x: FloatArray, time: FloatArray, came: FloatArray, ridge: float) -> FloatArray:
    # A second to import, and training alone needs it.
    from statsmodels.duration.hazard_regression import PHReg

    # The curve at the start, about: with it as a measure of length the search is over in few steps,
    # however alike the columns.
    centred = x - x.mean(axis=0)
    curve = centred.T @ centred * (float(came.sum()) / len(x))
    turn = np.linalg.inv(np.linalg.cholesky(curve + ridge * np.eye(x.shape[1])))
    model = PHReg(time, centred @ turn.T, came, ties="breslow")

    def loss(z: FloatArray) -> float:
        return 0.5 * ridge * float(((z @ turn) ** 2).sum()) - float(model.loglike(z))

    def slope(z: FloatArray) -> FloatArray:
        return ridge * (turn @ (z @ turn)) - np.asarray(model.score(z))

    return _lowest(loss, slope, x.shape[1]) @ turn


def _lowest(
    loss: Callable[[FloatArray], float], slope: Callable[[FloatArray], FloatArray], size: int
) -> FloatArray:
    """Where a smooth bowl is lowest, (size,), from nought on. BFGS with halved steps."""
    z, inverse = np.zeros(size), np.eye(size)
    height, g = loss(z), slope(z)
    for _ in range(MAX_STEPS):
        step = -(inverse @ g)
        promised = float(g @ step)
        if not -promised > TOLERANCE * (1 + abs(height)):
            break
        share = 1.0
        while not (lower := loss(z + share * step)) <= height + 1e-4 * share * promised:
            share /= 2
            if share < 1e-9:
                return z
        z, height = z + share * step, lower
        before, g = g, slope(z)
        moved, bent = share * step, g - before
        along = float(moved @ bent)
        if along > 0:
            # The textbook's update of the inverse curve, without building its factors.
            pulled = inverse @ bent
            inverse += np.outer(moved, moved) * ((along + float(bent @ pulled)) / along**2)
            inverse -= (np.outer(pulled, moved) + np.outer(moved, pulled)) / along
    return z


def whole_accounts(accounts: npt.NDArray[np.object_], most: int) -> BoolArray:
    """The rows of as many accounts as fit into `most` rows, (rows,): by their ids alone, so that the
    choice stays the same."""
    ids, codes = np.unique(accounts.astype(str), return_inverse=True)
    order = np.argsort([zlib.crc32(name.encode()) for name in ids], kind="stable")
    rows = np.bincount(codes)[order]
    kept = np.zeros(len(ids), dtype=bool)
    kept[order[: max(1, int((np.cumsum(rows) <= most).sum()))]] = True
    chosen: BoolArray = kept[codes]
    return chosen
