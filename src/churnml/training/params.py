"""How models are fitted: every default, in one place. Owns names, defaults and bounds; reads no file.

`models/<target>/params.toml` is the reviewed override; its [fit] section has these keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churnml.errors import ConfigError

VALID_SHARE = 0.2  # of the train part's accounts: they say when to stop
MIN_STOP_OUTCOMES = 5  # accounts with the outcome (and without) among those
MIN_SLOPE_OUTCOMES = 20  # accounts of each kind below which calibration only shifts
MIN_PART_OUTCOMES = 5  # accounts of each kind below which a part cannot calibrate or judge


class FitParams(BaseModel):
    """LightGBM's parameters. Small and shallow on purpose: reasons cost trees x leaves x depth².

    max_rounds: trees at most; early stopping on held-back accounts decides. fixed_rounds: trees
    where too few outcomes are there to decide. min_accounts_in_leaf: a leaf must hold as many rows
    as that many accounts have on average, because snapshots of one account repeat each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(0.05, gt=0, le=1)
    num_leaves: int = Field(15, ge=2, le=255)
    max_depth: int = Field(5, ge=1, le=12)
    max_rounds: int = Field(400, ge=1, le=5000)
    early_stopping_rounds: int = Field(30, ge=1)
    fixed_rounds: int = Field(40, ge=1)
    min_data_in_leaf: int = Field(40, ge=1)
    min_accounts_in_leaf: float = Field(5.0, ge=0)
    feature_fraction: float = Field(0.7, gt=0, le=1)
    lambda_l2: float = Field(10.0, ge=0)
    max_bin: int = Field(63, ge=7, le=255)
    cat_smooth: float = Field(20.0, ge=0)
    min_data_per_group: int = Field(100, ge=1)


def fit_params(document: Mapping[str, Any] | None, where: str = "params.toml") -> FitParams:
    """The parameters that a params.toml (already parsed) asks for, over the defaults.

    Raises: ConfigError naming every key that is wrong.
    """
    document = document or {}
    unknown = sorted(set(document) - {"fit"})
    if unknown:
        raise ConfigError(
            f"{where}: found section or key {', '.join(unknown)}. Expected [fit] alone. Remove it."
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
