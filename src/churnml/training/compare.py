"""Two models of one target on the same out-of-time rows: is one better, and by how much.

Owns the pairing. Both are judged in the same resamples of accounts, so what they share cancels out of the
difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from churnml.errors import Refused
from churnml.training.evaluate import MODEL, Estimate, Evaluation, evaluate
from churnml.training.train import TrainedTarget

RIVAL = "rival"


def compare(
    model: TrainedTarget,
    rival: TrainedTarget,
    capacity: Callable[[int], int],
    rounds: int,
    seed: int,
    interval: float,
) -> Evaluation:
    """Judge two trained models side by side; `difference` reads what one has over the other.

    capacity, rounds, seed, interval: as in `evaluate`.
    Raises: Refused if they were not tested on the same snapshots.
    """
    if not (
        np.array_equal(model.test.accounts, rival.test.accounts)
        and np.array_equal(model.test.as_of, rival.test.as_of)
        and np.array_equal(model.test.y, rival.test.y)
    ):
        raise Refused(
            f"{model.target}: the two models were tested on other snapshots "
            f"({len(model.test):,} and {len(rival.test):,} rows). Expected the same labels and the "
            "same split. Train both on one build."
        )
    return evaluate(
        model.test,
        {MODEL: model.probability, RIVAL: rival.probability},
        capacity,
        rounds,
        seed,
        interval,
    )


def difference(compared: Evaluation) -> Mapping[str, Estimate]:
    """Metric -> model minus rival, with its interval."""
    return compared.differences[RIVAL]
