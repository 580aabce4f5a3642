"""Cox's proportional hazards with a ridge: how soon accounts leave, by their features. Owns that fit.

statsmodels' `PHReg` gives the partial likelihood and its slope; the ridge and the steps are here, because
its own penalised fit is slow and its plain one fails where columns say the same thing twice."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

from churnml.scoring.predict import FloatArray
from churnml.training.assemble import BoolArray

MAX_STEPS = 200


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
    root = cholesky(curve + ridge * np.eye(x.shape[1]), lower=True)
    turned = np.ascontiguousarray(solve_triangular(root, centred.T, lower=True).T)
    model = PHReg(time, turned, came, ties="breslow")

    def loss(z: FloatArray) -> tuple[float, FloatArray]:
        b = solve_triangular(root, z, trans="T", lower=True)
        penalty = solve_triangular(root, ridge * b, lower=True)
        return (
            0.5 * ridge * float(b @ b) - float(model.loglike(z)),
            penalty - np.asarray(model.score(z)),
        )

    found = minimize(
        loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": MAX_STEPS}
    )
    coefficients: FloatArray = solve_triangular(root, found.x, trans="T", lower=True)
    return coefficients


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
