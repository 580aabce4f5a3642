"""The best set of actions under the hours there are. Owns the choice among weighed actions; weighs none.

The choice is exact: at most one action per account, and no set within the hours is worth more. Hours
become whole minutes and money whole minor units first, so that sums have no last digit to differ in.
A solver alone takes half a minute for a book of 10,000 accounts, so the prices of the relaxed problem
(actions may be done in part) first settle every action that no better set can hold, or lack: any prices
bound what a set can be worth. HiGHS proves the rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, vstack

from churnml.errors import ChurnmlError, ConfigError

MINUTES = 60
MINOR = 100  # of the currency: worth is compared to the hundredth
GIVE_UP_S = 300.0  # never needed so far; an answer without its proof is none
_SLACK = 1e-3
_LESS = 0.5  # two worths are the same, or a minor unit apart: no rounding reaches half of one

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """One action that could be done for an account.

    worth: what it brings less what it costs, in the account's currency. csm_id: whose hours it takes,
    where somebody's are limited.
    """

    account_id: str
    play: str
    hours: float
    worth: float
    csm_id: str | None = None


@dataclass(frozen=True)
class Plan:
    """The actions chosen, the worthiest first, with their hours and worth in all."""

    chosen: tuple[Candidate, ...]
    hours: float
    worth: float


@dataclass(frozen=True)
class More:
    """What one hour more would bring. csm_id: whose hour; None: anybody's.

    added, dropped: how the best set would change.
    """

    csm_id: str | None
    worth: float
    added: tuple[Candidate, ...]
    dropped: tuple[Candidate, ...]


@dataclass(frozen=True)
class _Problem:
    """Candidates as arrays: worth in minor units, minutes, the number of the account, and of each limit
    (a row) which candidates it holds for."""

    worth: Ints
    minutes: Ints
    account: Ints
    held: Bools
    limits: Ints

    def part(self, wanted: Bools, limits: Ints) -> _Problem:
        account = np.unique(self.account[wanted], return_inverse=True)[1]
        return _Problem(
            self.worth[wanted], self.minutes[wanted], account, self.held[:, wanted], limits
        )

    def rows(self) -> csr_array:
        """One row per account, then one per limit."""
        count = len(self.worth)
        accounts = int(self.account.max()) + 1
        once = csr_array(
            (np.ones(count), (self.account, np.arange(count))), shape=(accounts, count)
        )
        return vstack([once, csr_array(self.held * self.minutes.astype(float))])

    def tops(self) -> Floats:
        accounts = int(self.account.max()) + 1
        return np.concatenate([np.ones(accounts), self.limits.astype(float)])


def best_plan(
    candidates: Sequence[Candidate], hours: float, csm_hours: Mapping[str, float] | None = None
) -> Plan:
    """The set of actions that is worth most within the hours.

    hours: of the whole team. csm_hours: CSM -> hours for their accounts, for those who have fewer. An
    action that is worth nothing is never chosen. Ties: between actions of equal worth and hours the
    accounts first by id win; the order of the candidates never matters.
    Raises: ConfigError for hours that are no number; ChurnmlError if the solver fails.
    """
    own = dict(csm_hours or {})
    limits = np.array([_limit(hours, "--hours"), *(_limit(own[csm], csm) for csm in sorted(own))])
    usable = sorted(
        (item for item in candidates if _minor(item.worth) > 0),
        key=lambda item: (item.account_id, item.play, item.hours, -item.worth),
    )
    held = np.array(
        [[True] * len(usable), *([i.csm_id == csm for i in usable] for csm in sorted(own))],
        dtype=bool,
    )
    minutes = np.array([_minutes(item.hours) for item in usable], dtype=np.int64)
    fits = np.all(~held | (minutes <= limits[:, np.newaxis]), axis=0)
    usable = [item for item, fit in zip(usable, fits.tolist(), strict=True) if fit]
    if not usable:
        return Plan((), 0.0, 0.0)
    names = {account: place for place, account in enumerate(dict.fromkeys(_ids(usable)))}
    problem = _Problem(
        worth=np.array([_minor(item.worth) for item in usable], dtype=np.int64),
        minutes=minutes[fits],
        account=np.array([names[item.account_id] for item in usable], dtype=np.int64),
        held=held[:, fits],
        limits=limits,
    )
    apart = _apart(problem)
    picked = _first_of_equals(problem, _solve(problem) if apart is None else apart)
    chosen = sorted(
        (usable[place] for place in np.flatnonzero(picked)),
        key=lambda item: (-_minor(item.worth), item.account_id),
    )
    return Plan(
        tuple(chosen),
        math.fsum(item.hours for item in chosen),
        math.fsum(item.worth for item in chosen),
    )


def hour_more(
    candidates: Sequence[Candidate],
    hours: float,
    csm_hours: Mapping[str, float] | None,
    plan: Plan,
) -> list[More]:
    """What an hour more would bring: solved again, once for the team and once for each limited CSM.

    plan: the best one as it is. An hour of a CSM is one of the team too.
    """
    own = dict(csm_hours or {})
    before = set(plan.chosen)
    found = []
    for csm in (None, *sorted(own)):
        limits = own if csm is None else {**own, csm: own[csm] + 1}
        other = best_plan(candidates, hours + 1, limits)
        after = set(other.chosen)
        found.append(
            More(
                csm,
                other.worth - plan.worth,
                tuple(item for item in other.chosen if item not in before),
                tuple(item for item in plan.chosen if item not in after),
            )
        )
    return found


def _apart(problem: _Problem) -> Bools | None:
    """The best set of each CSM on their own; None where together they need more hours than the team has,
    or some account is of two CSMs."""
    own = problem.held[1:]
    first = np.unique(problem.account, return_index=True)[1]
    if not len(own) or np.any(own != own[:, first][:, problem.account]):
        return None
    picked = np.zeros(len(problem.worth), dtype=bool)
    groups = [(~own.any(axis=0), 0), *((mine, row) for row, mine in enumerate(own, 1))]
    for mine, row in groups:
        if mine.any():
            alone = problem.part(mine, problem.limits)
            picked[mine] = _solve(
                replace(alone, held=alone.held[[row]], limits=alone.limits[[row]])
            )
    return picked if _allowed(problem, picked) else None


def _solve(problem: _Problem) -> Bools:
    """Which candidates the best set holds."""
    share, prices = _relaxed(problem)
    rest = problem.worth - prices @ (problem.held * problem.minutes)
    start = _whole(problem, share, rest)
    known = int(problem.worth[start].sum())
    # What any set can be worth at these prices: the hours at their price, and of each account the best
    # of what its actions leave beyond it. Forcing an action in, or out, costs what it lacks of that.
    first, second = _two_best(problem, rest)
    bound = float(prices @ problem.limits) + float(first.sum())
    mine = first[problem.account]
    never = bound - (mine - rest) < known - _LESS
    # Equal seconds are candidates of their own: then neither must be in.
    best = rest >= mine
    always = best & (bound - (mine - np.maximum(second[problem.account], 0.0)) < known - _LESS)
    settled = np.isin(problem.account, problem.account[always])
    left = ~never & ~settled
    picked: Bools = always.copy()
    if left.any():
        spent = (problem.held * problem.minutes)[:, always].sum(axis=1)
        picked[left] = _proved(problem.part(left, problem.limits - spent))
    if not _allowed(problem, picked) or problem.worth[picked].sum() < known:
        raise ChurnmlError(
            "plan: the solver's set breaks the hours or is no best one. Expected a set that stands "
            "up to whole numbers. Give other --hours, and report this book's hours and worths."
        )
    return picked


def _relaxed(problem: _Problem) -> tuple[Floats, Floats]:
    """Shares of actions where they may be done in part, and the price of a minute under each limit."""
    found = linprog(
        -problem.worth.astype(float),
        A_ub=problem.rows(),
        b_ub=problem.tops(),
        bounds=(0, None),
        method="highs-ipm",  # the simplex takes ten times as long where hours are plenty
    )
    if found.status != 0:
        raise _failed(found.message)
    prices = np.maximum(-found.ineqlin.marginals[-len(problem.limits) :], 0.0)
    return found.x, prices


def _whole(problem: _Problem, share: Floats, rest: Floats) -> Bools:
    """A good set: the actions that the relaxed one does in full, and what still fits, by what it leaves
    beyond the price of its minutes."""
    picked = np.zeros(len(share), dtype=bool)
    free = problem.limits.copy()
    taken: set[int] = set()
    for place in np.lexsort((np.arange(len(rest)), -rest, -np.round(share, 6))).tolist():
        needs = problem.held[:, place] * problem.minutes[place]
        if problem.account[place] not in taken and np.all(needs <= free):
            picked[place] = True
            free -= needs
            taken.add(problem.account[place])
    return picked


def _two_best(problem: _Problem, rest: Floats) -> tuple[Floats, Floats]:
    """Of each account the best and the second best of `rest`; doing nothing leaves 0."""
    accounts = int(problem.account.max()) + 1
    first, second = np.zeros(accounts), np.zeros(accounts)
    for account, value in zip(problem.account.tolist(), rest.tolist(), strict=True):
        if value > first[account]:
            first[account], second[account] = value, first[account]
        elif value > second[account]:
            second[account] = value
    return first, second


def _proved(problem: _Problem) -> Bools:
    found = milp(
        -problem.worth.astype(float),
        integrality=np.ones(len(problem.worth)),
        bounds=Bounds(0, 1),
        # Minutes are whole: a thousandth more lets nothing else in, and the solver's own tolerance, which
        # would make it doubt sets that fill the hours, stays below it.
        constraints=LinearConstraint(problem.rows(), -np.inf, problem.tops() + _SLACK),
        options={"mip_rel_gap": 0.0, "time_limit": GIVE_UP_S},
    )
    if found.status != 0:
        raise _failed(found.message)
    picked: Bools = found.x > 0.5
    return picked


def _first_of_equals(problem: _Problem, picked: Bools) -> Bools:
    """The same set, but of actions that are alike in worth, minutes and limits the first accounts."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for place in range(len(picked)):
        key = (problem.worth[place], problem.minutes[place], *problem.held[:, place])
        alike.setdefault(tuple(map(int, key)), []).append(place)
    ordered = picked.copy()
    taken = set(problem.account[picked].tolist())
    for places in alike.values():
        mine = [place for place in places if ordered[place]]
        if not mine or len(mine) == len(places):
            continue
        taken -= {int(problem.account[place]) for place in mine}
        ordered[mine] = False
        count = len(mine)
        for place in places:
            if count and int(problem.account[place]) not in taken:
                ordered[place] = True
                taken.add(int(problem.account[place]))
                count -= 1
    return ordered


def _allowed(problem: _Problem, picked: Bools) -> bool:
    spent = (problem.held * problem.minutes)[:, picked].sum(axis=1)
    once = len(set(problem.account[picked].tolist())) == int(picked.sum())
    return once and bool(np.all(spent <= problem.limits))


def _failed(message: str) -> ChurnmlError:
    return ChurnmlError(
        f"plan: the solver gave up ({str(message).strip()}). Expected a proof that no set is worth "
        "more. Plan for one CSM at a time (--csm), or for fewer hours."
    )


def _ids(candidates: Sequence[Candidate]) -> list[str]:
    return [item.account_id for item in candidates]


def _minor(worth: float) -> int:
    return round(worth * MINOR)


def _minutes(hours: float) -> int:
    # Up: a plan that calls for more time than there is helps nobody. Not because of 0.1 + 0.2.
    return math.ceil(round(hours * MINUTES, 6))


def _limit(hours: float, where: str) -> int:
    if not math.isfinite(hours) or hours < 0:
        raise ConfigError(
            f"{where}: found {hours:g} hours. Expected 0 or more. Give the hours that the team has."
        )
    return math.floor(round(hours * MINUTES, 6))
