"""What one fold says of one set of parameters. Owns the folds, their loss and the cost of explaining;
chooses nothing.

A fold learns from all that was known when its first judged snapshot was taken. All folds lie before the
main split's test part, which stays unseen. Each judged row is told by a number of trees and a sigmoid
that the other half of the accounts decided, so no row decides how it is itself judged."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from churnml.config import SplitConfig
from churnml.errors import Refused
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import BoolArray, TrainingTable
from churnml.training.calibrate import calibrate
from churnml.training.fit import lightgbm_settings, usable_columns
from churnml.training.learn import accounts_of, refuse_too_few
from churnml.training.params import MIN_PART_OUTCOMES, MIN_SLOPE_OUTCOMES, FitParams
from churnml.training.split import Needs, Part, choose_split, rolling_splits
from churnml.training.train import Settings, needs_of

GROUPS = 128  # of accounts: standard errors are told to 6 % by so many
TINY = 1e-15  # a probability of exactly 0 or 1 would cost infinitely much


@dataclass(frozen=True)
class Fold:
    """One fold: what it judges, and the last snapshot that it learns from."""

    judge: Part
    learn_until: np.datetime64


@dataclass(frozen=True, eq=False)
class Folds:
    """All folds of a target. table: their rows. test: the dates that none of them may see."""

    table: TrainingTable
    folds: tuple[Fold, ...]
    test: Part


@dataclass(frozen=True, eq=False)
class FoldTold:
    """What one fold says.

    loss: mean log loss of the judged rows. cost: of explaining a row. trees: that each half wanted.
    groups: per group of accounts, what its rows add to the loss beyond the mean, (GROUPS,).
    """

    loss: float
    cost: float
    trees: tuple[int, int]
    groups: FloatArray

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which `fold_told` reads back to the last bit."""
        return {
            "loss": self.loss,
            "cost": self.cost,
            "trees": list(self.trees),
            "groups": self.groups.tolist(),
        }


def fold_told(plain: Mapping[str, Any]) -> FoldTold:
    """The fold's word from its plain values. Raises: KeyError, ValueError, TypeError."""
    first, second = plain["trees"]
    groups = np.array(plain["groups"], dtype=np.float64)
    if groups.shape != (GROUPS,):
        raise ValueError(f"{groups.shape} groups")
    return FoldTold(float(plain["loss"]), float(plain["cost"]), (int(first), int(second)), groups)


def cut_folds(whole: TrainingTable, gap_days: int, settings: Settings, missing: str) -> Folds:
    """The folds before the test part of the split that training will make.

    A short history has room for one fold alone: the split's train part, judged by its calibrate part.
    missing: why labels are missing, in words, for the message.
    Raises: Refused if the split doesn't fit, or a fold holds too few outcomes.
    """
    least = settings.training.min_outcomes
    main = choose_split(whole, gap_days, settings.split, needs_of(settings))
    gap = np.timedelta64(gap_days, "D")
    # Labels of these were known when the test's first snapshot was taken.
    table = whole.where(whole.as_of + gap <= np.datetime64(main.test.first))
    if settings.training.leave_out_treated:
        # What the CS team did changed these outcomes: they neither teach nor decide.
        table = table.untreated()
    folds = [Fold(main.calibrate, np.datetime64(main.train.last))]
    for judge in (MIN_SLOPE_OUTCOMES, MIN_PART_OUTCOMES):
        needs = Needs(train=least, calibrate=MIN_PART_OUTCOMES, test=judge)
        try:
            splits = rolling_splits(table, gap_days, SplitConfig(), needs, settings.training.folds)
        except Refused:
            continue
        folds = [Fold(split.test, np.datetime64(split.test.first) - gap) for split in splits]
        break
    for fold in folds:
        learn, judged = rows_of(table, fold)
        when = f"{fold.judge.first:%Y-%m-%d} to {fold.judge.last:%Y-%m-%d}"
        refuse_too_few(table.where(learn), f"rows before the fold {when}", least, missing)
        refuse_too_few(table.where(judged), f"the fold {when}", MIN_PART_OUTCOMES, missing)
    return Folds(table, tuple(folds), main.test)


def rows_of(table: TrainingTable, fold: Fold) -> tuple[BoolArray, BoolArray]:
    """Which rows the fold learns from, and which it judges."""
    learn: BoolArray = table.as_of <= fold.learn_until
    return learn, fold.judge.rows(table)


class Bench:
    """The folds of one process, each binned once per max_bin and kept for all trials."""

    def __init__(self, folds: Folds, seed: int):
        self._folds = folds
        self._seed = seed
        self._places: dict[tuple[int, int], _Place] = {}

    def judge(self, fold: int, params: FitParams) -> FoldTold:
        """What one fold says of these parameters. The same arguments give the same answer."""
        key = (fold, params.max_bin)
        if key not in self._places:
            self._places[key] = _Place(self._folds, fold, params, self._seed)
        return self._places[key].judge(params, self._seed)


class _Place:
    """One fold, binned."""

    def __init__(self, folds: Folds, number: int, params: FitParams, seed: int):
        learn, judged = (folds.table.where(r) for r in rows_of(folds.table, folds.folds[number]))
        columns = usable_columns(learn)
        seen = learn.with_columns(columns).seen_categories()
        learn, judged = (
            part.with_columns(columns).with_categories(seen) for part in (learn, judged)
        )
        # The leaves' sizes follow from the rows alone: what was binned is let go.
        self._learn = learn.where(np.ones(len(learn), dtype=bool)).with_columns(())
        self._settings = {**lightgbm_settings(learn, params, seed), "metric": "none"}
        constraints = self._settings.get("monotone_constraints")
        self._held = {} if constraints is None else {"monotone_constraints": constraints}
        self._train = lightgbm.Dataset(
            learn.x,
            label=learn.y,
            feature_name=list(columns),
            # By place: of a dataset whose raw data are gone the judged one knows no names.
            categorical_feature=[columns.index(name) for name in learn.categories],
            params=self._settings,
            # LightGBM bins again in silence where it can; without raw data it says so instead.
            free_raw_data=True,
        )
        self._valid = self._train.create_valid(judged.x, label=judged.y, params=self._settings)
        self._train.construct()
        self._valid.construct()
        self._y = judged.y
        self._halves = halves(judged)
        self._outcomes = tuple(min(accounts_of(judged.where(half))) for half in self._halves)
        self._groups = groups_of(judged.accounts)

    def judge(self, params: FitParams, seed: int) -> FoldTold:
        settings = {
            **lightgbm_settings(self._learn, params, seed),
            **self._held,
            "metric": "none",
        }
        booster, bests = self._boost(settings, params)
        costs = np.cumsum(tree_costs(booster.dump_model()))
        losses = np.empty(len(self._y))
        for half, other, best, outcomes in zip(
            self._halves, self._halves[::-1], bests[::-1], self._outcomes[::-1], strict=True
        ):
            # `best` and the sigmoid are the other half's.
            raw = np.log(best.told / (1 - best.told))
            sigmoid = calibrate(
                raw[other], self._y[other], outcomes, MIN_SLOPE_OUTCOMES, drawn=True
            )
            losses[half] = log_losses(sigmoid.apply(raw[half]), self._y[half])
        loss = float(losses.mean())
        groups = np.bincount(self._groups, (losses - loss) / len(losses), GROUPS).astype(float)
        trees = [best.trees for best in bests]
        cost = float(np.mean([costs[min(number, len(costs)) - 1] for number in trees]))
        return FoldTold(loss, cost, (trees[0], trees[1]), groups)

    def _boost(
        self, settings: dict[str, Any], params: FitParams
    ) -> tuple[lightgbm.Booster, list[_Best]]:
        """Grow trees until neither half of the accounts is told better by more of them."""
        booster = lightgbm.Booster(settings, self._train)
        booster.add_valid(self._valid, "judged")
        bests = [_Best(np.inf, 0, np.empty(0)) for _ in self._halves]
        told = np.empty(0)

        def look(probability: FloatArray, _: lightgbm.Dataset) -> tuple[str, float, bool]:
            nonlocal told
            told = np.clip(probability, TINY, 1 - TINY)
            return "looked", 0.0, False

        for number in range(1, params.max_rounds + 1):
            no_split = booster.update()
            booster.eval_valid(look)
            losses = log_losses(told, self._y)
            for place, half in enumerate(self._halves):
                loss = float(losses[half].mean())
                if loss < bests[place].loss:
                    bests[place] = _Best(loss, number, told)
            if no_split or all(
                number - best.trees >= params.early_stopping_rounds for best in bests
            ):
                break
        return booster, bests


@dataclass(frozen=True, eq=False)
class _Best:
    """The lowest loss of a half, after how many trees, and what the model told everyone then."""

    loss: float
    trees: int
    told: FloatArray


def log_losses(p: FloatArray, y: FloatArray) -> FloatArray:
    """The log loss of each row, (rows,)."""
    p = np.clip(p, TINY, 1 - TINY)
    found: FloatArray = -np.where(y > 0.5, np.log(p), np.log1p(-p))
    return found


def halves(table: TrainingTable) -> tuple[BoolArray, BoolArray]:
    """Two halves of the accounts, and of those with the outcome; by their ids, so that they stay."""
    accounts, places = np.unique(table.accounts.astype(str), return_inverse=True)
    has = np.zeros(len(accounts), dtype=bool)
    has[places[table.y > 0.5]] = True
    drawn = np.array([zlib.crc32(name.encode()) for name in accounts])
    first = np.zeros(len(accounts), dtype=bool)
    for kind in (has, ~has):
        members = np.flatnonzero(kind)
        first[members[np.argsort(drawn[members], kind="stable")][::2]] = True
    mine: BoolArray = first[places]
    return mine, ~mine


def groups_of(accounts: Sequence[Any] | npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    """The group of each row's account, (rows,) from 0: by the id alone, the same in all folds."""
    ids, places = np.unique(np.asarray(accounts).astype(str), return_inverse=True)
    drawn = np.array([zlib.crc32(name.encode()) % GROUPS for name in ids], dtype=np.int64)
    found: npt.NDArray[np.int64] = drawn[places]
    return found


def tree_costs(model: Mapping[str, Any]) -> list[float]:
    """What explaining a row costs per tree: the sum over its leaves of their depth squared.

    model: a booster's own dump. TreeSHAP comes to each leaf, and there takes out each split of the path
    by a walk along the path. It is counted, not timed: the same trees cost the same on any day.
    """
    costs = []
    for tree in model["tree_info"]:
        total = 0
        ahead = [(tree["tree_structure"], 0)]
        while ahead:
            node, depth = ahead.pop()
            if "left_child" in node:
                ahead += [(node["left_child"], depth + 1), (node["right_child"], depth + 1)]
            else:
                total += depth * depth
        costs.append(float(total))
    return costs
