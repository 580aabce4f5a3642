"""Which parameters to try next. Owns the sampler and what it is told; judges nothing.

The sampler is Optuna's TPE with both objectives, log loss and cost of explaining, made anew for each
trial: it remembers nothing but what it is told."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna

from churnml.training.params import Range, Search, is_whole

DIGITS = 3  # of a proposed number: what is tried is what can be written down
DIRECTIONS = ("minimize", "minimize")

# Optuna tells of each study and trial by a line.
optuna.logging.set_verbosity(optuna.logging.ERROR)

Told = tuple[Mapping[str, float], tuple[float, float] | None]


def propose(
    space: Search, told: Sequence[Told], seed: tuple[int, int], startup: int
) -> dict[str, float]:
    """Parameters to try.

    told: those of the trials before with (loss, cost), or None where they were pruned. seed: of the
    study and the trial's number. startup: trials before which the proposal is by chance.
    """
    asked = distributions(space)
    fitting = [
        optuna.trial.create_trial(
            params=dict(params),
            distributions=asked,
            values=values,
            state=optuna.trial.TrialState.COMPLETE if values else optuna.trial.TrialState.PRUNED,
        )
        for params, values in told
        if inside_of(space, params)
    ]
    drawn = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=drawn, multivariate=True, n_startup_trials=startup, constant_liar=False
        )
    study = optuna.create_study(directions=DIRECTIONS, sampler=sampler)
    study.add_trials(fitting)
    found = study.ask(asked).params
    return {key: _rounded(found[key], key, space[key]) for key in space}


def inside_of(space: Search, params: Mapping[str, float]) -> bool:
    """Whether parameters lie in the space: today's may lie outside of what is searched."""
    return all(
        one.low <= params[key] <= one.high if isinstance(one, Range) else params[key] in one.choices
        for key, one in space.items()
    )


def distributions(space: Search) -> dict[str, Any]:
    """The search space in Optuna's words."""
    found: dict[str, Any] = {}
    for key, one in space.items():
        if not isinstance(one, Range):
            found[key] = optuna.distributions.CategoricalDistribution(one.choices)
        elif is_whole(key):
            found[key] = optuna.distributions.IntDistribution(
                int(one.low), int(one.high), log=one.log
            )
        else:
            found[key] = optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)
    return found


def _rounded(value: float, key: str, one: Any) -> float:
    if is_whole(key) or not isinstance(one, Range):
        return value
    return min(max(float(f"{value:.{DIGITS}g}"), one.low), one.high)
