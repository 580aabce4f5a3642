"""Are the reasons true? Simulated companies whose causes of churn are known, over seeds.

Each seed is a company of its own: simulated, trained and explained out of time. With `--projects` stability
and faithfulness are measured on other companies too, whose causes nobody knows."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.truth_figures import failures, one_company, one_project, plain, pooled

DECOYS = ("any", "small_but_steady", "automation", "role_change", "key_user_holiday")


def main() -> None:
    """Print tables and failures, and write all figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=3000)
    parser.add_argument("--weeks", type=int, default=130)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--refits", type=int, default=5)
    parser.add_argument("--projects", type=Path, nargs="*", default=[])
    parser.add_argument("--target", default="churn", help="of the projects")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    console = Console(width=150)
    found: list[dict[str, Any]] = []
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory(prefix="churnml-truth-") as name:
            found.append(
                one_company(Path(name), asked.accounts, asked.weeks, seed, refits=asked.refits)
            )
    others = {
        path.name: one_project(path, 7, asked.refits, asked.target)[2] for path in asked.projects
    }
    told: dict[str, Any] = {"companies": [plain(one) for one in found], "projects": others}
    if found:
        told["together"], told["failures"] = pooled(found), failures(found)
        _companies(console, f"{asked.accounts:,} accounts, {asked.weeks} weeks", told["companies"])
        _together(console, told["together"])
        _decoys(console, found)
        _failures(console, told["failures"])
    _trust(console, {**{f"seed {one['seed']}": one for one in found}, **others})
    if asked.json:
        asked.json.write_text(json.dumps(told, indent=1, default=float) + "\n", encoding="utf-8")


def _table(title: str, columns: Sequence[str]) -> Table:
    shown = Table(title=title, box=None, title_justify="left")
    for place, column in enumerate(columns):
        shown.add_column(column, justify="right" if place else "left")
    return shown


def _interval(estimate: Sequence[float]) -> str:
    value, low, high = estimate
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _companies(console: Console, title: str, found: Sequence[Mapping[str, Any]]) -> None:
    shown = _table(title, ("seed", "rows", "outcomes", "ROC AUC", "oracle", "acausal", "flagged with cause",
                           "first reason", "first three", "wide: first", "three", "churners flagged",
                           "lead days"))  # fmt: skip
    for one in found:
        matches, lead = one["matches"], one["lead"]
        shown.add_row(
            str(one["seed"]), f"{one['rows']:,}", str(one["outcomes"]), f"{one['roc_auc']:.3f}",
            f"{one.get('oracle', np.nan):.3f}", f"{one['acausal']:.0%}",
            str(one["flagged_with_cause"]), _interval(matches["top_1"]), _interval(matches["top_3"]),
            f"{matches['wide_1'][0]:.2f}", f"{matches['wide_3'][0]:.2f}",
            f"{lead['flagged']} of {lead['churners']}",
            f"{lead['days_50']:.0f} ({lead['days_25']:.0f} to {lead['days_75']:.0f})",
        )  # fmt: skip
    console.print(shown)


def _together(console: Console, told: Mapping[str, Any]) -> None:
    console.print(
        f"\nAll: {told['accounts']} flagged churners with a cause ({told['several_causes']} with several at "
        f"some time), first reason {_interval(told['matches']['top_1'])}, first three "
        f"{_interval(told['matches']['top_3'])}; wide {_interval(told['matches']['wide_1'])}, "
        f"{_interval(told['matches']['wide_3'])}; another churner's reasons "
        f"{told['shuffled']['top_1']:.2f}, {told['shuffled']['top_3']:.2f}\n",
        highlight=False,
    )
    shown = _table("", ("the only cause", "accounts", "first reason", "first three"))
    for name, own in told["causes"].items():
        shown.add_row(
            name, str(own["accounts"]), f"{own['top_1']:.2f}", f"{own['top_3']:.2f}"
        )  # fmt: skip
    console.print(shown)


def _decoys(console: Console, found: Sequence[Mapping[str, Any]]) -> None:
    shown = _table(
        "Flagged with a decoy and no cause, less healthy",
        ("seed", *DECOYS, "year's end", "healthy"),
    )
    for one in found:
        cells = []
        for name in DECOYS:
            own = one["decoys"].get(name)
            cells.append("" if own is None else _gap(own))
        cells.append(_gap(one["season"]) if one["season"] else "")
        shown.add_row(str(one["seed"]), *cells, f"{one['decoys']['any']['healthy']:.3f}")
    console.print(shown)


def _gap(own: Mapping[str, float]) -> str:
    return f"{own['share'] - own['healthy']:+.3f} [{own['low']:+.3f}, {own['high']:+.3f}]"


def _failures(console: Console, missed: Sequence[Mapping[str, Any]]) -> None:
    shown = _table(
        f"{len(missed)} whose first three reasons miss the cause, at their first alert",
        ("seed", "account", "as_of", "causes", "told"),
    )
    for one in missed:
        shown.add_row(
            str(one["seed"]), one["account_id"], one["as_of"], ", ".join(one["causes"]),
            ", ".join(one["leads"]),
        )  # fmt: skip
    console.print(shown)


def _trust(console: Console, found: Mapping[str, Mapping[str, Any]]) -> None:
    shown = _table(
        "Stability and faithfulness: all rows / flagged ones",
        ("", "ROC AUC", "top 3 shared with refits", "direction", "rank", "within rows",
         "typical peer: direction", "rank", "within rows"),
    )  # fmt: skip
    for name, one in found.items():
        pairs = ("stability", "direction", "rank", "within", "direction_typical", "rank_typical",
                 "within_typical")  # fmt: skip
        shown.add_row(
            name,
            f"{one['roc_auc']:.3f}",
            *(f"{one[pair]:.2f} / {one[f'{pair}_flagged']:.2f}" for pair in pairs),
        )
    console.print(shown)


if __name__ == "__main__":
    main()
