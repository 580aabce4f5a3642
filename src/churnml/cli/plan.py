"""The command that plans the team's hours."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, share, table
from churnml.errors import ConfigError

if TYPE_CHECKING:
    from churnml.stages.plan import PlanOfHours

WHY = {
    "no_hours": "worth it, but no hours left",
    "below_zero": "costs more than it would bring",
    "no_effect": "its play declares no effect_share",
    "no_mrr": "pays nothing",
    "nothing_to_do": "no play fires",
    "too_little_data": "too little data: find out, don't guess",
    "under_way": "the same action is under way already",
    "held_out": "held out, to measure what actions do",
    "held": "held",
}
NEXT = 5  # accounts shown that come next if there were hours


@app.command()
def plan(
    hours: Annotated[float, typer.Option(help="Hours that the team has for all actions.")],
    csm: Annotated[
        str | None, typer.Option(metavar="ID", help="Plan only the accounts of this CSM.")
    ] = None,
    csm_hours: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=HOURS", help="A CSM's hours for their accounts (repeatable)."),
    ] = None,
    hold: Annotated[
        list[str] | None,
        typer.Option(metavar="ACCOUNT", help="Leave this account alone (repeatable)."),
    ] = None,
    lang: Annotated[str | None, typer.Option(help="en, zh or ja. Default: churnml.toml's.")] = None,
    out_file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Also write .csv or .json.")
    ] = None,
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Choose the actions worth most within the hours, and say what is left alone and why."""
    from churnml.stages.plan import plan as run
    from churnml.stages.project import open_project

    limits = _hours_of(csm_hours or [])
    with _solver_silent():
        found = run(open_project(project), hours, csm, limits, hold or (), lang, out_file)
    if as_json:
        print_json(found.as_dict())
        return
    _show(found)
    if out_file:
        line(f"Wrote {out_file}")


@contextmanager
def _solver_silent() -> Iterator[None]:
    """Keep what the solver prints out of the answer: HiGHS has a line for its own makers that no option
    turns off, and --json must stay JSON."""
    import ctypes

    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        if os.name == "posix":
            ctypes.CDLL(None).fflush(None)  # what C still holds would come out later
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _hours_of(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in given:
        csm, _, told = text.rpartition("=")
        try:
            hours = float(told)
        except ValueError:
            hours = math.nan
        if not csm or not (math.isfinite(hours) and hours >= 0) or csm in found:
            raise ConfigError(
                f"--csm-hours: found {text!r}. Expected ID=HOURS, such as anna=8, once for each CSM. "
                "Correct it."
            )
        found[csm] = hours
    return found


def _show(found: PlanOfHours) -> None:
    whose = f" of {found.csm_id}" if found.csm_id else ""
    line(
        f"{found.hours:g} hours{whose}, as of {found.as_of:%Y-%m-%d}"
        + ("  (stale: newer data are due)" if found.stale else "")
    )
    line()
    if found.chosen:
        rows: list[tuple[str, str, str, str, str, str]] = [
            (
                item.account_id,
                item.title + (f"\n{item.why}" if item.why else ""),
                item.who + (f"\n{item.csm_id}" if item.csm_id and not found.csm_id else ""),
                f"{item.due:%m-%d}",
                f"{item.hours:g}",
                f"{item.worth:,.0f}",
            )
            for item in found.chosen
        ]
        total = (f"{len(rows):,} in all", "", "", "", f"{found.planned_hours:g}",
                 f"{found.worth:,.0f}")  # fmt: skip
        table(
            None,
            ("account", "do, and why", "who", "by", "hours", f"worth, {found.currency}"),
            [*rows, total],
            "...wnn",
        )
    else:
        line("Nothing is worth doing within these hours.\n")
    _show_effects(found)
    _show_left(found)
    _show_more(found)
    _show_churn(found)


def _show_effects(found: PlanOfHours) -> None:
    sources: dict[str, list[float]] = {}
    for item in found.chosen:
        effect = next(iter(item.by_target.values()))["effect"]
        sources.setdefault(effect["source"], []).append(effect["share"])
    for source, shares in sorted(sources.items()):
        least, most = share(min(shares)), share(max(shares))
        span = least if least == most else f"{least} to {most}"
        line(
            f"Worth is MRR at stake over its lifetime x probability x effect, less {found.hourly_cost:g} "
            f"{found.currency} an hour. The effects are {source}: {span} of the probability."
        )


def _show_left(found: PlanOfHours) -> None:
    counts: dict[str, int] = {}
    for item in found.left:
        counts[item.why] = counts.get(item.why, 0) + 1
    if not counts:
        return
    line("\nLeft alone (each account: --json, or --out FILE)")
    table(
        None,
        ("accounts", "why"),
        [(f"{counts[why]:,}", words) for why, words in WHY.items() if why in counts],
        "n",
    )
    waiting = [item for item in found.left if item.why == "no_hours" and item.worth is not None]
    waiting.sort(key=lambda item: (-(item.worth or 0.0), item.account_id))
    if waiting:
        told = ", ".join(
            f"{item.account_id} ({item.worth:,.0f} for {item.hours:g} h)" for item in waiting[:NEXT]
        )
        line(f"Worth most of those without hours: {told}")


def _show_more(found: PlanOfHours) -> None:
    for more in found.hour_more:
        whose = f" of {more.csm_id}" if more.csm_id else ""
        if not more.added:
            line(f"An hour more{whose} would bring nothing.")
            continue
        changes = "add " + ", ".join(item.account_id for item in more.added)
        if more.dropped:
            changes += "; leave out " + ", ".join(item.account_id for item in more.dropped)
        line(f"An hour more{whose} would bring {more.worth:,.0f} {found.currency} ({changes}).")


def _show_churn(found: PlanOfHours) -> None:
    if found.churn_rate is None:
        return
    line(
        f"\nWhat {share(found.churn_rate, 2)} of MRR leaving each month costs, {found.currency}: gone, "
        "or new MRR to stand still"
    )
    table(
        None,
        ("size", "MRR", "gone after a year", "new a month", "new a year"),
        [
            (
                "today" if cost.times == 1 else f"{cost.times} times",
                f"{cost.mrr:,.0f}",
                f"{cost.lost_in_a_year:,.0f}",
                f"{cost.new_per_month:,.0f}",
                f"{cost.new_in_a_year:,.0f}",
            )
            for cost in found.churn_costs
        ],
        ".nnnn",
    )
