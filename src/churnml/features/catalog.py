"""The catalogue: every declared feature, and which of them a company's tables can carry.

Owns the list and its fingerprint; computes no value."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from churnml.errors import ConfigError
from churnml.features.families import (
    commercial,
    lifecycle,
    people,
    process,
    product,
    profile,
    support,
    usage,
)
from churnml.features.spec import FAMILIES, OFF_BY_DEFAULT, Feature

CATALOG: tuple[Feature, ...] = (
    *usage.FEATURES,
    *product.FEATURES,
    *people.FEATURES,
    *commercial.FEATURES,
    *support.FEATURES,
    *lifecycle.FEATURES,
    *profile.FEATURES,
    *process.FEATURES,
)
BY_NAME: Mapping[str, Feature] = {feature.name: feature for feature in CATALOG}


def available(
    columns: Mapping[str, Collection[str]],
    meanings: Collection[str] = (),
    families: Collection[str] = (),
) -> tuple[Feature, ...]:
    """The features that these tables can carry, in catalogue order.

    columns: table -> names of the columns that it really has. meanings: the event meanings that the
    configuration maps. families: keep only these (empty: all but those that are off by default).
    A feature whose table or column is absent is absent, never zero.
    Raises: ConfigError for an unknown family.
    """
    unknown = sorted(set(families) - set(FAMILIES))
    if unknown:
        raise ConfigError(
            f"families: found {', '.join(unknown)}. Expected some of {', '.join(FAMILIES)}. "
            "Correct the names."
        )
    wanted = set(families) or set(FAMILIES) - OFF_BY_DEFAULT
    return tuple(
        feature
        for feature in CATALOG
        if feature.family in wanted and _carried(feature, columns, meanings)
    )


def _carried(
    feature: Feature, columns: Mapping[str, Collection[str]], meanings: Collection[str]
) -> bool:
    if feature.table not in columns:
        return False
    for need in feature.needs:
        if need.startswith("meaning:"):
            if need.removeprefix("meaning:") not in meanings:
                return False
            continue
        table, _, column = need.rpartition(".")
        if column not in columns.get(table or feature.table, ()):
            return False
    return True


def fingerprint(features: Collection[Feature]) -> str:
    """Twelve hex digits that change when any of these declarations changes."""
    held = {False: "", True: " monotone"}
    text = "\n".join(sorted(repr(feature) + held[feature.monotone] for feature in features))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
