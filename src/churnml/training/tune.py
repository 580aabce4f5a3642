"""Which hyper-parameters to take. Owns the trials' order, their pruning and the choice; keeps no file.

Trials come in batches of ten. Trial n is proposed by a generator seeded by (seed, n) that knows the
batches before its own and nothing else, and is pruned by those alone: so neither the number of workers
nor a kill changes any trial."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from typing import Any, Literal

import numpy as np

from churnml.errors import Refused
from churnml.training.params import NOT_SEARCHED, FitParams, Range, Search
from churnml.training.tune_folds import GROUPS, Folds, FoldTold
from churnml.training.tune_propose import propose
from churnml.training.tune_workers import Crew

BATCH = 10
PRUNE_ERRORS = 1.0  # standard errors by which a cheaper trial must be better
ARITHMETIC = 1  # raise it when the same parameters would be judged otherwise
State = Literal["complete", "pruned"]


@dataclass(frozen=True, eq=False)
class Trial:
    """One set of parameters and what the folds said, in order; fewer folds where it was pruned."""

    number: int
    params: FitParams
    state: State
    folds: tuple[FoldTold, ...]

    @property
    def loss(self) -> float:
        """Mean log loss over its folds."""
        return float(np.mean([fold.loss for fold in self.folds]))

    @property
    def cost(self) -> float:
        """Of explaining a row, mean over its folds."""
        return float(np.mean([fold.cost for fold in self.folds]))

    @property
    def trees(self) -> int:
        """That the folds wanted, the middle one."""
        return max(1, round(float(np.median([n for fold in self.folds for n in fold.trees]))))

    def error(self) -> float:
        """Standard error of its loss, by accounts."""
        return _spread(_groups(self, len(self.folds)))


@dataclass(frozen=True)
class Difference:
    """Log loss of one trial minus another's on the same rows, and its standard error by accounts."""

    value: float
    error: float

    @property
    def within_one_error(self) -> bool:
        """Whether the first is not told to be worse."""
        return self.value <= self.error


@dataclass(frozen=True, eq=False)
class Tuned:
    """What tuning found.

    trials: all, by number; trial 0 is today's parameters. front: the complete trials that no other
    beats in both loss and cost, the cheapest first. best: the lowest loss. chosen: the cheapest of
    the front within one standard error of the best. asked: how many trials were wanted.
    """

    trials: tuple[Trial, ...]
    front: tuple[Trial, ...]
    best: Trial
    chosen: Trial
    asked: int

    @property
    def current(self) -> Trial:
        """The parameters that training uses today."""
        return self.trials[0]

    @property
    def params(self) -> FitParams:
        """The chosen parameters, with the trees that the folds wanted where none can be held back."""
        if self.chosen is self.current:
            return self.current.params
        return self.chosen.params.model_copy(update={NOT_SEARCHED: min(5000, self.chosen.trees)})


def difference(one: Trial, other: Trial, folds: int | None = None) -> Difference:
    """The paired difference of two trials over the first folds (default: all)."""
    k = folds or min(len(one.folds), len(other.folds))
    losses = [a.loss - b.loss for a, b in zip(one.folds[:k], other.folds[:k], strict=True)]
    return Difference(float(np.mean(losses)), _spread(_groups(one, k) - _groups(other, k)))


def _groups(trial: Trial, folds: int) -> np.ndarray:
    return np.mean([fold.groups for fold in trial.folds[:folds]], axis=0)


def _spread(groups: np.ndarray) -> float:
    # Random groups of accounts: all rows of an account, of any date, lie in one group.
    return float(np.sqrt(GROUPS / (GROUPS - 1) * np.sum(groups**2)))


def choose(trials: Sequence[Trial], asked: int) -> Tuned:
    """The front, the best and the choice. trials: by number, trial 0 complete."""
    complete = sorted(
        (trial for trial in trials if trial.state == "complete"),
        key=lambda trial: (trial.cost, trial.loss, trial.number),
    )
    front: list[Trial] = []
    for trial in complete:
        if not front or trial.loss < front[-1].loss:
            front.append(trial)
    best = front[-1]
    # Paired: the losses of two models on the same accounts rise and fall together, and only what is
    # left of that says whether one is worse.
    chosen = next(trial for trial in front if difference(trial, best).within_one_error)
    return Tuned(tuple(trials), tuple(front), best, chosen, asked)


def is_hopeless(trial: Trial, earlier: Sequence[Trial]) -> bool:
    """Whether a trial that costs no more was better on the folds so far by more than the error."""
    k = len(trial.folds)
    for rival in earlier:
        if (
            rival.state == "complete"
            and float(np.mean([f.cost for f in rival.folds[:k]])) <= trial.cost
        ):
            found = difference(trial, rival, k)
            if found.value > PRUNE_ERRORS * found.error:
                return True
    return False


def tune(
    folds: Folds,
    today: FitParams,
    space: Search,
    seed: int,
    trials: int,
    workers: int = 1,
    known: Sequence[Trial] = (),
    keep: Callable[[Trial], None] = lambda _: None,
    timeout_s: float | None = None,
) -> Tuned:
    """Try `trials` sets of parameters and choose one.

    known: trials that a run before has kept; they are not tried again. keep: called with each trial
    as soon as it is done. timeout_s: no fold is begun after so long; what is done then decides.
    The same folds, today, space, seed and number of trials give the same result, whatever `workers`
    and `known`, unless time runs out.
    Raises: Refused if time runs out before today's parameters are tried; ChurnmlError if a worker dies.
    """
    done = {trial.number: trial for trial in known if trial.number < trials}
    until = None if timeout_s is None else time.monotonic() + timeout_s
    missing = trials - len(done)
    with Crew(folds, seed, min(workers, missing, BATCH)) as crew:
        for start in range(0, trials, BATCH):
            earlier = [done[number] for number in sorted(done) if number < start]
            asked = {
                number: _params(number, earlier, today, space, seed)
                for number in range(start, min(start + BATCH, trials))
                if number not in done
            }
            for trial in _batch(crew, asked, len(folds.folds), earlier, until):
                keep(trial)
                done[trial.number] = trial
            if len(done) < min(start + BATCH, trials):
                break
    if 0 not in done:
        raise Refused(
            f"tune: time ran out after {timeout_s:g} s, before today's parameters were tried. Expected "
            "more time. Raise --timeout-s; what was done is kept."
        )
    return choose([done[number] for number in sorted(done)], trials)


def _params(
    number: int, earlier: Sequence[Trial], today: FitParams, space: Search, seed: int
) -> FitParams:
    if number == 0:
        return today
    told = [
        (
            {key: getattr(trial.params, key) for key in space},
            (trial.loss, trial.cost) if trial.state == "complete" else None,
        )
        for trial in earlier
    ]
    return today.model_copy(update=propose(space, told, (seed, number), BATCH))


def _batch(
    crew: Crew,
    asked: Mapping[int, FitParams],
    folds: int,
    earlier: Sequence[Trial],
    until: float | None,
) -> Iterator[Trial]:
    """The batch's trials as they are done; those that time ran out on are left out.

    A worker without better work runs a fold ahead of the verdict on those before it; what a pruned
    trial was told by such folds is thrown away, so that it makes no difference to anything.
    """
    told: dict[int, dict[int, FoldTold]] = {number: {} for number in asked}
    begun: dict[int, int] = dict.fromkeys(asked, 0)  # folds handed out
    running: dict[Any, tuple[int, int]] = {}
    alive = list(asked)
    while alive:
        late = until is not None and time.monotonic() > until
        while not late and len(running) < crew.size:
            # The certain before the new, the new before what may be pruned yet; the oldest first.
            ready = [n for n in alive if begun[n] < folds]
            if not ready:
                break
            number = min(
                ready,
                key=lambda n: (0 if 0 < begun[n] == len(told[n]) else 1 if begun[n] == 0 else 2, n),
            )
            running[crew.judge(begun[number], asked[number])] = (number, begun[number])
            begun[number] += 1
        if not running:
            return
        for future in crew.wait(running):
            number, fold = running.pop(future)
            if number not in alive:
                continue
            told[number][fold] = future.result()
            if trial := _verdict(number, asked[number], told[number], folds, earlier):
                alive.remove(number)
                yield trial


def _verdict(
    number: int,
    params: FitParams,
    told: Mapping[int, FoldTold],
    folds: int,
    earlier: Sequence[Trial],
) -> Trial | None:
    """The trial once it is decided: by the shortest run of folds, from the first, that decides it."""
    for k in range(1, folds + 1):
        if k - 1 not in told:
            return None
        seen = tuple(told[fold] for fold in range(k))
        if k == folds:
            return Trial(number, params, "complete", seen)
        trial = Trial(number, params, "pruned", seen)
        if number and is_hopeless(trial, earlier):
            return trial
    return None


def fingerprint(folds: Folds, today: FitParams, space: Search, seed: int) -> str:
    """Twelve hex digits that change when anything changes that a trial depends on."""
    table = folds.table
    digest = hashlib.sha256()
    for array in (table.x, table.y, table.as_of):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update("\0".join(table.accounts.astype(str)).encode())
    plain = {
        "columns": table.columns,
        "categories": dict(table.categories),
        "folds": [
            [str(fold.learn_until), *(str(day) for day in fold.judge.as_ofs)]
            for fold in folds.folds
        ],
        "today": today.model_dump(),
        "space": plain_space(space),
        "seed": seed,
        "arithmetic": [ARITHMETIC, BATCH, PRUNE_ERRORS, GROUPS],
        # Another version may grow other trees, or propose other trials.
        "versions": [installed("lightgbm"), installed("optuna")],
    }
    digest.update(json.dumps(plain, sort_keys=True).encode())
    return digest.hexdigest()[:12]


def plain_space(space: Search) -> dict[str, dict[str, Any]]:
    """The search space as [search] would say it."""
    return {
        key: {"low": found.low, "high": found.high, **({"log": True} if found.log else {})}
        if isinstance(found, Range)
        else {"choices": list(found.choices)}
        for key, found in space.items()
    }
