"""churnml usage: one account's three levels as tables. Owns the layout alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from churnml.cli import app as shared
from churnml.cli.app import HERE, JsonOption, ProjectOption, app, line, print_json, table

if TYPE_CHECKING:
    from churnml.features.usage import CompanyUse, ModuleUse, RoleUse, Usage

_BARS = "▂▃▄▅▆▇█"
_NOTHING = "▁"
_UNTOLD = "·"
_SECONDS_AN_HOUR = 3600
_SHORTEST = 11  # of a module's name in a narrow terminal: (no module) stays whole
Values = Sequence[float | None]


@app.command()
def usage(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account_id.")],
    project: ProjectOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Show what an account did, week by week: company, product and key users."""
    from dataclasses import asdict

    from churnml.stages.project import open_project
    from churnml.stages.usage import usage as run

    told = run(open_project(project), account)
    if as_json:
        print_json(asdict(told))
        return
    used = told.usage
    weeks = len(used["weeks"])
    line(told.account_id)
    line(
        f"as of {told.as_of:%Y-%m-%d}"
        + ("  (stale: newer data are due)" if told.stale else "")
        + (f"; {weeks} weeks, the newest on the right" if weeks > 1 else "; one week")
    )
    show(used)


def show(used: Usage) -> None:
    """Print the three levels, and that they reconcile."""
    line(_reconciling(used))
    line()
    _company(used["company"])
    if used["product"] is not None:
        _product(used["product"])
    if used["key_users"] is not None:
        _key_users(used["key_users"])
    _untold(used)


def _reconciling(used: Usage) -> str:
    """The sentence that says on which levels the same events were counted."""
    totals = used["totals"]
    levels = ["company"]
    levels += ["modules"] if totals["product"] is not None else []
    levels += ["roles"] if totals["key_users"] is not None else []
    if len(levels) == 1:
        return f"{totals['company']:,} events by people"
    told = ", ".join(levels[:-1]) + " and " + levels[-1]
    return f"{totals['company']:,} events by people: {told} reconcile, week by week"


def _company(use: CompanyUse) -> None:
    spent = use["time_spent_s"]
    hours = [seconds / _SECONDS_AN_HOUR for seconds in spent] if spent is not None else None
    rows: list[tuple[str, Values | None, int]] = [
        ("events by people", use["events"], 0),
        ("automated events", use["automated_events"], 0),
        ("sessions", use["sessions"], 0),
        ("page views", use["page_views"], 0),
        ("pages per session", use["pages_per_session"], 1),
        ("active users", use["active_users"], 0),
        ("hours spent", hours, 1),
    ]
    table(
        "Company",
        ("", "weeks", "last week", "before", "mean week"),
        [
            (name, spark(values), *_ends(values, digits), _number(_mean(values), 1))
            for name, values, digits in rows
            if values is not None
        ],
        "wwnnn",
    )


def _product(modules: Sequence[ModuleUse]) -> None:
    stages = ("viewed", "started", "completed", "users")
    shown = [name for name in stages if all(use[name] is not None for use in modules)]  # type: ignore[literal-required]
    if not modules:
        line("Product\nNothing was done in any module.\n")
        return
    columns = ["weeks", "events", "before", *shown]
    rows = [
        [
            spark(use["events"]),
            *_ends(use["events"]),
            *(_number(use[name][-1]) for name in shown),  # type: ignore[literal-required]
        ]
        for use in modules
    ]
    # A long name takes lines: what is left of the width is the figures', none of them broken.
    room = _room_beside(columns, rows)
    if room < _SHORTEST:
        for cells in (columns, *rows):
            del cells[2]  # the week before: of the figures it is the one that the signs show too
        room = _room_beside(columns, rows)
    names = [use["module"] if use["module"] is not None else "(no module)" for use in modules]
    table(
        "Product: last week" + (", and its events the week before" if "before" in columns else ""),
        ("module", *columns),
        [
            (_folded(name, max(room, _SHORTEST)), *row)
            for name, row in zip(names, rows, strict=True)
        ],
        "ww" + "n" * (len(columns) - 1),
    )


def _room_beside(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Columns of the terminal that a table with these cells leaves to a name."""
    return shared.out.width - sum(
        2 + max(map(len, cells)) for cells in zip(columns, *rows, strict=True)
    )


def _folded(name: str, width: int) -> str:
    return "\n".join(name[start : start + width] for start in range(0, len(name), width))


def _key_users(roles: Sequence[RoleUse]) -> None:
    table(
        "Key users: last week, and its events the week before",
        ("role", "weeks", "events", "before", "active", "holders", "last event"),
        [
            (
                {"none": "(no role)"}.get(use["role"], use["role"]),
                spark(use["events"]),
                *_ends(use["events"]),
                _number(use["active_users"][-1]) if use["active_users"] is not None else "–",
                _number(use["users"]) if use["users"] is not None else "–",
                _ago(use["last_active_days"]),
            )
            for use in roles
        ],
        "wwnnnnn",
    )


def _untold(used: Usage) -> None:
    """What the tables don't tell, in a sentence: it is not shown, and no 0."""
    missing = [
        name.removesuffix("_s").replace("_", " ")
        for name, values in used["company"].items()
        if values is None
    ]
    missing += ["modules"] if used["product"] is None else []
    missing += ["roles"] if used["key_users"] is None else []
    if used["product"] and used["product"][0]["completed"] is None:
        missing.append("viewed, started, completed")
    if missing:
        line(f"The tables don't tell: {', '.join(missing)}.")


def spark(values: Values) -> str:
    """A sign a week: its height beside the highest; flat for 0, a dot where there is no value."""
    top = max((value for value in values if value is not None), default=0)
    signs = []
    for value in values:
        if value is None:
            signs.append(_UNTOLD)
        elif value <= 0:
            signs.append(_NOTHING)
        else:
            signs.append(_BARS[round((len(_BARS) - 1) * value / top)])
    return "".join(signs)


def _ends(values: Values, digits: int = 0) -> tuple[str, str]:
    """The last week's value and that of the week before."""
    return _number(values[-1], digits), _number(values[-2], digits) if len(values) > 1 else "–"


def _mean(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _ago(days: int | None) -> str:
    if days is None:
        return "none"
    # Before as_of, which may lie long back: no "today".
    return "in the last day" if days == 0 else f"{days} day{'s' if days > 1 else ''} before"
