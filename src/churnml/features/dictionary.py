"""The data dictionary: the catalogue as markdown. Owns its layout; declares no feature.

`python -m churnml.features.dictionary tests/spec/features.md > docs/features.md` writes it, with the
cases of the specification as its examples, and a test holds it against the catalogue."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from churnml.features.catalog import CATALOG
from churnml.features.spec import (
    FAMILIES,
    OFF_BY_DEFAULT,
    AgainstBook,
    Cadence,
    Change,
    Difference,
    Falling,
    Family,
    Feature,
    Function,
    Level,
    Parts,
    Quiet,
    Rank,
    Ratio,
    Share,
    Slope,
    Sql,
    Volatility,
    Without,
)

TITLES: dict[Family, str] = {
    "usage": "Usage",
    "people": "People",
    "commercial": "Commercial",
    "support": "Support and satisfaction",
    "lifecycle": "Lifecycle",
    "profile": "Profile",
    "process": "What the customer-success team did",
}
INTRODUCTION = """# Features

What churnml measures about an account at an `as_of`, generated from the catalogue. Don't edit this
page: change the declaration in `src/churnml/features/families/`, then run
`python -m churnml.features.dictionary tests/spec/features.md > docs/features.md`.

- **window**: the time it looks back on, ending at `as_of`.
- **missing** is no data; it is never 0. A feature whose table or column is absent is absent.
- **directions**: ↑ more of it makes the outcome likelier, ↓ less likely, – left to the model. With a ! models
  are held to it: more of it never moves a score the other way.
- **lever**: a CSM can move it; the others are context.
- **class**: *predictive* is behaviour, *outcome* what they pay for, *process* what the team did.
- **needs**: columns beyond the required ones, and meanings of events that the configuration maps.
"""
NOTES: dict[Family, str] = {
    "process": "Built only where it is asked for (`--families usage,people,process`). The team turns "
    "to accounts that it worries about, and some of them stay because of it: a model that learns from "
    "touches learns the team's habits, and mistakes a treated account for a safe one. Use them to ask "
    "what worked, not to predict.",
}
_HEAD = (
    "| feature | what | unit | window | driver | churn | contraction | expansion | lever | class "
    "| table | needs |\n"
    "|---|---|---|---|---|:-:|:-:|:-:|:-:|---|---|---|"
)
_ARROWS = {1: "↑", -1: "↓", 0: "–"}


def render(features: Iterable[Feature] = CATALOG, examples: str = "") -> str:
    """The dictionary of these features as markdown, by family, in their order; then the examples."""
    by_family: dict[Family, list[Feature]] = {family: [] for family in FAMILIES}
    for feature in features:
        by_family[feature.family].append(feature)
    pages = [INTRODUCTION]
    for family, members in by_family.items():
        if members:
            rows = "\n".join(_row(feature) for feature in members)
            note = f"{NOTES[family]}\n\n" if family in NOTES else ""
            pages.append(f"## {TITLES[family]}\n\n{note}{_HEAD}\n{rows}\n")
    count = sum(len(members) for members in by_family.values())
    off = sum(len(by_family[family]) for family in OFF_BY_DEFAULT)
    pages.append(f"{count} features" + (f", {off} of them off by default" if off else "") + ".\n")
    if examples:
        # The page's own title is above: the specification's becomes a section of it.
        pages.append(re.sub("^(#+) ", r"#\1 ", examples, flags=re.MULTILINE))
    return "\n".join(pages)


def _row(feature: Feature) -> str:
    directions = [feature.direction.get(name, 0) for name in ("churn", "contraction", "expansion")]
    arrows = [_ARROWS[sign] + ("!" if sign and feature.monotone else "") for sign in directions]
    cells = [
        f"`{feature.name}`",
        feature.what,
        feature.unit,
        window(feature),
        f"`{feature.driver}`",
        *arrows,
        "yes" if feature.lever else "",
        feature.metric_class,
        f"`{feature.table}`",
        ", ".join(f"`{need}`" for need in feature.needs),
    ]
    return "| " + " | ".join(cells) + " |"


def window(feature: Feature) -> str:
    """The time that a feature looks back on, in words."""
    return _window(feature.fn) or "at `as_of`"


def _window(fn: Function) -> str:
    match fn:
        case Level(days=days) | Share(days=days) | Sql(days=int(days)):
            return f"{days} days"
        case Parts(how="top", days=days):
            return f"{days} days"
        case Change(days=days) | AgainstBook(Change(days=days)) | Parts(days=days):
            return f"{days} days against the {days} before"
        case (
            Slope(weeks=weeks) | Volatility(weeks=weeks) | Quiet(weeks=weeks) | Falling(weeks=weeks)
        ):
            return f"{weeks} weeks"
        case Cadence(weeks=weeks, span=span):
            return f"{7 * span} days against the {weeks} weeks before"
        case Without(days=days, other_days=other) if fn.ago == fn.other_ago:
            return f"{max(days, other)} days"
        case Without(days=days, other_days=other):
            return f"{min(days, other)} days against the {max(days, other)} before"
        case Ratio(above, below) | Difference(above, below):
            return _window(above) or _window(below)
        case Rank(of):
            return _window(of)
    return ""


if __name__ == "__main__":
    told = Path(sys.argv[1]).read_text("utf-8") if len(sys.argv) > 1 else ""
    sys.stdout.write(render(examples=told))
