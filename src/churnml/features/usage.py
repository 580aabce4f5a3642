"""What an account did in the last weeks, on three levels: company, product and key users.

Owns the shape, as plain JSON, and that the levels reconcile; `engine_usage` reads it out of the tables.
No user id is in it: counts alone. What the tables don't tell (no `session_id`, no `users`) is None and
never 0; a 0 is told by a table that is there.

Every list has one value a week, the oldest week first. A week ends at its day in `weeks`, which is
as_of or whole weeks before it: (day - 7 days, day]. Distinct counts (sessions, users) are those of each
week and don't add up over weeks.

Events are those by people; those by machines are `automated_events` and the role `automated`. The events
of all modules sum to the company's, week by week, and so do those of all roles but `automated`, which
sum to its `automated_events`: `totals` says so of all weeks together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict

from churnml.errors import ChurnmlError

RoleName = Literal["admin", "executive", "champion", "contact", "member", "none", "automated"]
Counts = list[int] | None

WEEKS = 13
NONE: RoleName = "none"
AUTOMATED: RoleName = "automated"
# Of several roles that a user holds at once, the first counts.
ROLE_ORDER: tuple[RoleName, ...] = (
    "admin",
    "executive",
    "champion",
    "contact",
    "member",
    NONE,
    AUTOMATED,
)


class CompanyUse(TypedDict):
    """The account as a whole. page_views, pages_per_session: None where no event means page_view.
    sessions are its visits; pages_per_session: None in a week without sessions. time_spent_s: in
    seconds."""

    events: list[int]
    automated_events: Counts
    sessions: Counts
    page_views: Counts
    pages_per_session: list[float | None] | None
    active_users: Counts
    time_spent_s: list[float] | None


class ModuleUse(TypedDict):
    """One module; None: events in no module. Only a completed action is adoption, a view is none."""

    module: str | None
    events: list[int]
    viewed: Counts
    started: Counts
    completed: Counts
    users: Counts


class RoleUse(TypedDict):
    """Those in one role.

    An event counts once: under the role that its user held when it occurred, as far as could be known;
    of several the first of `ROLE_ORDER`. `none`: nobody is named, or holds a role then. users: who hold
    the role at as_of, each once by the same order; None for `none` and `automated`. active_users of
    `automated`: None. last_active_days: since the last event, 0 within the last day; None if there was
    none in these weeks."""

    role: RoleName
    users: int | None
    active_users: Counts
    events: list[int]
    last_active_days: int | None


class Totals(TypedDict):
    """One count over all weeks on each level; None where the level is."""

    company: int
    product: int | None
    key_users: int | None


class Usage(TypedDict):
    """The three levels. weeks: the day at whose midnight each week ends; fewer than `WEEKS` where the log
    began later. product: the modules in use,
    by name, None last; None without a column `module`. key_users: roles in the order of `ROLE_ORDER`,
    those that nobody of the book holds left out; None where no role is known. totals: of events by
    people, equal on all levels."""

    as_of: str
    weeks: list[str]
    company: CompanyUse
    product: list[ModuleUse] | None
    key_users: list[RoleUse] | None
    totals: Totals


def reconciled(account_id: str, usage: Usage) -> Usage:
    """The same usage, if the levels agree in every week.

    Raises: ChurnmlError if they don't: somebody counted an event twice, or not at all.
    """
    company, roles = usage["company"], usage["key_users"]
    people = [role["events"] for role in roles or () if role["role"] != AUTOMATED]
    machines = [role["events"] for role in roles or () if role["role"] == AUTOMATED]
    modules = [module["events"] for module in usage["product"] or ()]
    pairs: list[tuple[str, Sequence[int], Iterable[Sequence[int]]]] = []
    if usage["product"] is not None:
        pairs.append(("the modules' events", company["events"], modules))
    if roles is not None:
        pairs.append(("the roles' events", company["events"], people))
        if company["automated_events"] is not None:
            pairs.append(("automated events", company["automated_events"], machines))
    for what, expected, parts in pairs:
        found = added(parts, len(usage["weeks"]))
        if found != list(expected):
            raise ChurnmlError(
                f"usage of account {account_id!r}: {what} are {found} a week. Expected the company's, "
                f"{list(expected)}. This is a fault of churnml, not of the data: please report it."
            )
    totals = usage["totals"]
    levels = levels_of(company, usage["product"], roles)
    if totals != levels:
        raise ChurnmlError(
            f"usage of account {account_id!r}: its totals are {totals}. Expected {levels}. This "
            "is a fault of churnml, not of the data: please report it."
        )
    return usage


def levels_of(
    company: CompanyUse, product: Sequence[ModuleUse] | None, roles: Sequence[RoleUse] | None
) -> Totals:
    """Events by people over all weeks, counted on each level by itself."""
    return Totals(
        company=sum(company["events"]),
        product=sum(sum(use["events"]) for use in product) if product is not None else None,
        key_users=sum(sum(use["events"]) for use in roles if use["role"] != AUTOMATED)
        if roles is not None
        else None,
    )


def pages_per_session(pages: Counts, sessions: Counts) -> list[float | None] | None:
    """Page views to a session, by week; None in a week without one."""
    if pages is None or sessions is None:
        return None
    return [
        round(page / visits, 3) if visits else None
        for page, visits in zip(pages, sessions, strict=True)
    ]


def added(parts: Iterable[Sequence[int]], weeks: int) -> list[int]:
    """The sum of several lists, week by week."""
    found = [0] * weeks
    for part in parts:
        found = [left + right for left, right in zip(found, part, strict=True)]
    return found
