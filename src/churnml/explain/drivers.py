"""From features to drivers. Owns the sum of contributions by driver and their order; words nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from churnml.errors import ChurnmlError
from churnml.features.catalog import BY_NAME
from churnml.features.spec import CONTEXT, DRIVERS, Driver, Feature

LEAST_LOG_ODDS = 0.01  # a driver that moves the probability by less than 0.3 points is no reason
# What context counts for in the order of reasons. "The contract renews in a month" is true of a twelfth of
# the book: told first, it hides what happened at this account. It isn't left out, since it may be all there
# is, and what is told of it is its whole contribution.
CONTEXT_COUNTS = 0.25


def declared(feature: str) -> Feature:
    """The declaration of a feature.

    Raises: ChurnmlError if the catalogue does not have it (a model of another catalogue).
    """
    try:
        return BY_NAME[feature]
    except KeyError:
        raise ChurnmlError(
            f"features: found {feature!r}, which the catalogue does not declare. Expected features "
            "of this version of churnml. Train the model again with it."
        ) from None


def driver_columns(features: Sequence[str]) -> dict[Driver, tuple[int, ...]]:
    """Which columns belong to which driver: positions in `features`, drivers in catalogue order.

    A driver without a feature among them is left out.
    """
    return dict(_driver_columns(tuple(features)))


@cache  # of a model: the few that are in use are asked for again and again, a row at a time
def _driver_columns(features: tuple[str, ...]) -> dict[Driver, tuple[int, ...]]:
    of = [declared(feature).driver for feature in features]
    columns = {
        driver: tuple(position for position, own in enumerate(of) if own == driver)
        for driver in DRIVERS
    }
    return {driver: positions for driver, positions in columns.items() if positions}


def by_driver(
    features: Sequence[str], contributions: np.ndarray
) -> tuple[tuple[Driver, ...], np.ndarray]:
    """Sum contributions by driver.

    contributions: (n, f) log-odds, columns as `features`.
    Returns: the d drivers present, and (n, d) log-odds. Each row sums to what its features sum to.
    Raises: ChurnmlError if the columns are not as many as the features, or one is not declared.
    """
    if contributions.ndim != 2 or contributions.shape[1] != len(features):
        raise ChurnmlError(
            f"contributions: found shape {contributions.shape}. Expected (rows, {len(features)}), "
            "one column per feature. Explain the rows again with the same bundle."
        )
    drivers, steps = _steps(tuple(features))
    sums = np.zeros((len(contributions), len(drivers)))
    for places, positions in steps:
        sums[:, places] += contributions[:, positions]
    return drivers, sums


@cache
def _steps(
    features: tuple[str, ...],
) -> tuple[tuple[Driver, ...], tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """The drivers, and which of them takes which column next: each its first, then each its second ...

    numpy's own sum changes its order with the number of rows, and a row must sum to the last bit the same
    alone and in a batch: each driver's columns are added one after the other, in the model's order.
    """
    columns = driver_columns(features)
    most = max((len(positions) for positions in columns.values()), default=0)
    steps = []
    for step in range(most):
        found = [
            (place, positions[step])
            for place, positions in enumerate(columns.values())
            if step < len(positions)
        ]
        places, positions = zip(*found, strict=True)
        steps.append((np.array(places), np.array(positions)))
    return tuple(columns), tuple(steps)


def ranked(drivers: Sequence[Driver], sums: np.ndarray) -> np.ndarray:
    """The places of the drivers in the order in which they are told as reasons: (n, d).

    sums: (n, d) as of `by_driver`. What raises the probability most comes first, what lowers it most last;
    context counts for less than what happened (`CONTEXT_COUNTS`). Ties: the catalogue's order of drivers.
    """
    counts = np.array([CONTEXT_COUNTS if driver in CONTEXT else 1.0 for driver in drivers])
    return np.argsort(-sums * counts, axis=1, kind="stable")
