"""How models are fitted and tuned: every default, in one place. Owns names, defaults and bounds; reads no
file.

`models/<target>/params.toml` is the reviewed override; its [fit] section has the keys of FitParams, its
[search] section says which of them `churnml tune` may move, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churnml.errors import ConfigError

STOP_GROUPS = 5  # of the train part's accounts: each is left out in turn to say when to stop
MIN_STOP_OUTCOMES = 3  # accounts with the outcome (and without) in each
MIN_SLOPE_OUTCOMES = 20  # accounts of each kind below which calibration only shifts
MIN_PART_OUTCOMES = 5  # accounts of each kind below which a part cannot calibrate or judge


class FitParams(BaseModel):
    """LightGBM's parameters. Small and shallow on purpose: reasons cost trees x leaves x depth².

    max_rounds: trees at most; early stopping on accounts left out in turn decides. fixed_rounds: trees
    where too few outcomes are there to decide. min_accounts_in_leaf: a leaf must hold as many rows
    as that many accounts have on average, because snapshots of one account repeat each other.
    extra_trees: one threshold drawn per feature instead of the best of all, which few outcomes choose
    by their noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(0.03, gt=0, le=1)
    num_leaves: int = Field(6, ge=2, le=255)
    max_depth: int = Field(3, ge=1, le=12)
    extra_trees: bool = True
    max_rounds: int = Field(800, ge=1, le=5000)
    early_stopping_rounds: int = Field(30, ge=1)
    fixed_rounds: int = Field(40, ge=1)
    min_data_in_leaf: int = Field(40, ge=1)
    min_accounts_in_leaf: float = Field(5.0, ge=0)
    feature_fraction: float = Field(0.7, gt=0, le=1)
    lambda_l2: float = Field(10.0, ge=0)
    max_bin: int = Field(63, ge=7, le=255)
    cat_smooth: float = Field(20.0, ge=0)
    min_data_per_group: int = Field(100, ge=1)


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; log: each doubling is as likely as the next."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choices:
    """One of these numbers."""

    choices: tuple[float, ...]


Search = Mapping[str, Range | Choices]

# What is searched where a params.toml has no [search]. Small models only, and the parameters that
# matter most: each further one spreads the same trials thinner.
DEFAULT_SEARCH: Search = {
    "learning_rate": Range(0.02, 0.2, log=True),
    "num_leaves": Range(3, 48, log=True),
    "max_depth": Range(2, 7),
    "min_accounts_in_leaf": Range(1.0, 40.0, log=True),
    "feature_fraction": Range(0.3, 1.0),
    "lambda_l2": Range(0.1, 100.0, log=True),
    "cat_smooth": Range(1.0, 100.0, log=True),
}
# The folds decide it: tuning sets it to the trees that they wanted.
NOT_SEARCHED = "fixed_rounds"


def fit_params(document: Mapping[str, Any] | None, where: str = "params.toml") -> FitParams:
    """The parameters that a params.toml (already parsed) asks for, over the defaults.

    Raises: ConfigError naming every key that is wrong.
    """
    document = document or {}
    unknown = sorted(set(document) - {"fit", "search"})
    if unknown:
        raise ConfigError(
            f"{where}: found section or key {', '.join(unknown)}. Expected [fit] and [search] alone. "
            "Remove it."
        )
    try:
        return FitParams.model_validate(document.get("fit", {}))
    except ValidationError as error:
        lines = "\n".join(
            f"  - fit.{'.'.join(str(part) for part in item['loc'])}: {item['msg']}. "
            f"Found {item['input']!r}."
            for item in error.errors()
        )
        raise ConfigError(f"{where} says something that cannot be:\n{lines}") from None


def search_space(document: Mapping[str, Any] | None, where: str = "params.toml") -> Search:
    """What a params.toml (already parsed) lets tuning search; the defaults without a [search].

    A [search] section is the whole of it: what it doesn't name stays as [fit] has it.
    Raises: ConfigError naming every key that is wrong.
    """
    asked = (document or {}).get("search")
    if asked is None:
        return DEFAULT_SEARCH
    if not isinstance(asked, Mapping) or not asked:
        raise ConfigError(
            f"{where}: search: found {asked!r}. Expected a section with a line per parameter, such as "
            "num_leaves = { low = 4, high = 48, log = true }. Add one, or remove [search] for the "
            "defaults."
        )
    space: dict[str, Range | Choices] = {}
    faults = []
    for key, value in asked.items():
        read = _dimension(key, value)
        if isinstance(read, str):
            faults.append(f"  - search.{key}: {read}")
        else:
            space[key] = read
    if faults:
        raise ConfigError(f"{where} says something that cannot be:\n" + "\n".join(faults))
    return space


def is_whole(key: str) -> bool:
    """Whether a parameter is a whole number."""
    return FitParams.model_fields[key].annotation is int


def _dimension(key: str, value: Any) -> Range | Choices | str:
    """One line of [search], or in words what is wrong with it."""
    if key not in FitParams.model_fields:
        return f"unknown key. Expected one of {', '.join(FitParams.model_fields)}. Correct or remove it."
    if key == NOT_SEARCHED:
        return "the folds decide it, so it cannot be searched. Remove it."
    if isinstance(value, Mapping) and set(value) == {"choices"}:
        numbers = value["choices"]
        if (
            not isinstance(numbers, list)
            or not numbers
            or len(set(map(str, numbers))) < len(numbers)
        ):
            return f"found choices = {numbers!r}. Expected a list of different numbers. Correct it."
        return _fault(key, numbers) or Choices(tuple(_number(key, one) for one in numbers))
    if not isinstance(value, Mapping) or not {"low", "high"} <= set(value) <= {
        "low",
        "high",
        "log",
    }:
        return (
            f"found {value!r}. Expected {{ low = …, high = … }}, with log = true if you like, or "
            "{ choices = [ … ] }. Correct it."
        )
    low, high, log = value["low"], value["high"], value.get("log", False)
    if fault := _fault(key, (low, high)):
        return fault
    if not isinstance(log, bool):
        return f"found log = {log!r}. Expected true or false. Correct it."
    if not low < high:
        return f"found low = {low} and high = {high}. Expected low below high. Correct them."
    if log and low <= 0:
        return f"found low = {low} with log = true. Expected low above 0. Raise it, or remove log."
    return Range(_number(key, low), _number(key, high), log)


def _fault(key: str, numbers: Any) -> str | None:
    """What is wrong with these values of a parameter, in words."""
    kind = "a whole number" if is_whole(key) else "a number"
    for one in numbers:
        if isinstance(one, bool) or not isinstance(one, int if is_whole(key) else int | float):
            return f"found {one!r}. Expected {kind}. Correct it."
        try:
            FitParams.model_validate({key: one})
        except ValidationError as error:
            return f"found {one!r}. {error.errors()[0]['msg']}. Correct it."
    return None


def _number(key: str, value: float) -> float:
    return int(value) if is_whole(key) else float(value)
