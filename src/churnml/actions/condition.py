"""One condition on a feature. Owns whether it can hold and whether it does; knows no play."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from churnml.explain.reading import is_missing
from churnml.features.catalog import BY_NAME


class Condition(BaseModel):
    """One condition on a feature. A missing value fulfils it only where `or_missing` says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature: str
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    or_missing: bool = False

    @model_validator(mode="after")
    def _can_hold(self) -> Condition:
        if self.feature not in BY_NAME:
            raise ValueError(
                f"the catalogue has no feature {self.feature!r}; docs/features.md lists them"
            )
        bounds = self.at_least is not None or self.at_most is not None
        if bounds == bool(self.one_of):
            raise ValueError("give at_least and/or at_most, or one_of")
        if bool(self.one_of) != BY_NAME[self.feature].categorical:
            raise ValueError("use one_of for categories, at_least and at_most for numbers")
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:  # type: ignore[operator]
            raise ValueError("at_least must not exceed at_most")
        return self

    def holds(self, features: Mapping[str, Any]) -> bool:
        """Whether the account's value fulfils it."""
        value = features.get(self.feature)
        if value is None or is_missing(value):
            return self.or_missing
        if self.one_of:
            return value in self.one_of
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)
