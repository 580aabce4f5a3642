"""The data dictionary: the catalogue as markdown. Owns its layout; declares no feature.

`python -m churnml.features.dictionary > docs/features.md` writes it, and a test holds it against
the catalogue."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from churnml.features.catalog import CATALOG
from churnml.features.spec import (
    FAMILIES,
    Cadence,
    Change,
    Family,
    Feature,
    Level,
    PerSeat,
    Share,
    Slope,
    Sql,
    Volatility,
)

TITLES: dict[Family, str] = {
    "usage": "Usage",
    "people": "Key users",
    "commercial": "Commercial",
    "support": "Support and satisfaction",
    "lifecycle": "Onboarding",
    "profile": "Profile",
}
INTRODUCTION = """# Features

What churnml measures about an account at an `as_of`, generated from the catalogue. Don't edit this
page: change the declaration in `src/churnml/features/families/`, then run
`python -m churnml.features.dictionary > docs/features.md`.

- **window**: the time it looks back on, ending at `as_of`.
- **missing** is no data; it is never 0. A feature whose table or column is absent is absent.
- **directions**: ↑ more of it makes the outcome likelier, ↓ less likely, – left to the model.
- **lever**: a CSM can move it; the others are context.
"""
_HEAD = (
    "| feature | what | unit | window | driver | churn | contraction | expansion | lever | needs |\n"
    "|---|---|---|---|---|:-:|:-:|:-:|:-:|---|"
)
_ARROWS = {1: "↑", -1: "↓", 0: "–"}


def render(features: Iterable[Feature] = CATALOG) -> str:
    """The dictionary of these features as markdown, by family, in their order."""
    by_family: dict[Family, list[Feature]] = {family: [] for family in FAMILIES}
    for feature in features:
        by_family[feature.family].append(feature)
    pages = [INTRODUCTION]
    for family, members in by_family.items():
        if members:
            rows = "\n".join(_row(feature) for feature in members)
            pages.append(f"## {TITLES[family]}\n\n{_HEAD}\n{rows}\n")
    count = sum(len(members) for members in by_family.values())
    pages.append(f"{count} features.\n")
    return "\n".join(pages)


def _row(feature: Feature) -> str:
    arrows = [
        _ARROWS[feature.direction.get(target, 0)]
        for target in ("churn", "contraction", "expansion")
    ]
    cells = [
        f"`{feature.name}`",
        feature.what,
        feature.unit,
        window(feature),
        f"`{feature.driver}`",
        *arrows,
        "yes" if feature.lever else "",
        ", ".join([f"`{feature.table}`", *(f"`{need}`" for need in feature.needs)]),
    ]
    return "| " + " | ".join(cells) + " |"


def window(feature: Feature) -> str:
    """The time that a feature looks back on, in words."""
    match feature.fn:
        case Level(days=days) | Share(days=days) | PerSeat(Level(days=days)):
            return f"{days} days"
        case Change(days=days):
            return f"{days} days against the {days} before"
        case Slope(weeks=weeks) | Volatility(weeks=weeks):
            return f"{weeks} weeks"
        case Cadence(weeks=weeks):
            return f"7 days against the {weeks} weeks before"
        case Sql(days=int(days)):
            return f"{days} days"
    return "at `as_of`"


if __name__ == "__main__":
    sys.stdout.write(render())
