"""What each account did in the last weeks, out of the tables, on three levels.

Owns how it is counted; `usage` has its shape. Rows are visible as they are to the features
(AsOfView). No week reaches back further than the features' windows (decision 0008): the events
since are there one by one, however much of the log was carried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from churnml.contract.tables import ROLES, SECONDS_SCALE
from churnml.features.engine_events import passes
from churnml.features.engine_scratch import Connection, Scratch
from churnml.features.engine_small import visible
from churnml.features.spec import Where
from churnml.features.usage import (
    AUTOMATED,
    NONE,
    ROLE_ORDER,
    WEEKS,
    CompanyUse,
    ModuleUse,
    RoleUse,
    Usage,
    levels_of,
    pages_per_session,
    reconciled,
)
from churnml.snapshots.views import AsOfView

_STAGES = {"viewed": "view", "started": "start", "completed": "complete"}


def account_usage(
    connection: Connection,
    columns: Mapping[str, frozenset[str]],
    meanings: Mapping[str, Sequence[str]],
) -> dict[str, Usage]:
    """The usage of each account of the spine, which must have one `as_of`.

    columns: table -> columns that the export really has. meanings: event meaning -> event names.
    Raises: ChurnmlError if the levels don't reconcile.
    """
    work = _Work(connection, columns, meanings)
    try:
        return work.usage()
    finally:
        work.scratch.clear()


class _Work:
    def __init__(
        self,
        connection: Connection,
        columns: Mapping[str, frozenset[str]],
        meanings: Mapping[str, Sequence[str]],
    ):
        self._connection = connection
        self.scratch = Scratch(connection)
        self._events = columns["events"]
        self._meanings = meanings
        self._has_roles = "role" in columns.get("users", ()) and "user_id" in self._events
        self._has_pages = "page_view" in meanings

    def usage(self) -> dict[str, Usage]:
        spine = self.scratch.rows("select n, account_id, as_of from spine order by n")
        if not spine:
            return {}
        as_of: datetime = spine[0][2]
        weeks = self._weeks()
        self._cells(as_of - timedelta(days=7 * weeks))
        days = [f"{as_of - timedelta(days=7 * ago):%Y-%m-%d}" for ago in range(weeks)][::-1]
        company = self._company([n for n, *_ in spine], weeks)
        product = self._product(weeks) if "module" in self._events else None
        roles = self._roles([n for n, *_ in spine], weeks) if self._has_roles else None
        told: dict[str, Usage] = {}
        for n, account_id, _ in spine:
            modules = product.get(n, []) if product is not None else None
            held = roles[n] if roles is not None else None
            levels = levels_of(company[n], modules, held)
            told[account_id] = reconciled(
                account_id,
                Usage(
                    as_of=days[-1],
                    weeks=days,
                    company=company[n],
                    product=modules,
                    key_users=held,
                    totals=levels,
                ),
            )
        return told

    def _cells(self, since: datetime) -> None:
        """`usage_cells`: what each person did in each module, role and week, as plain counts."""
        occurred, seen = AsOfView().event_days()
        human = passes(Where(human=True), self._meanings, self._events)
        page = "false"
        if self._has_pages:
            page = passes(Where(meaning="page_view"), self._meanings, self._events)
        self.scratch.make(
            "usage_events",
            # Numbers for people and sessions: grouping a log by text costs several times as much.
            "select s.n, cast((s.a - e.day) // 7 as integer) as ago, "
            "cast(s.a - e.day as integer) as age, e.* exclude (account_id, day, seen) from ("
            f"select account_id, occurred_at, {occurred} as day, {seen} as seen, "
            "case when user_id is not null then hash(user_id) end as u, "
            "case when session_id is not null then hash(session_id) end as visit, "
            "nullif(module, '') as module, stage, duration_s, "
            f"not ({human}) as machine, {page} as page from events "
            f"where occurred_at > timestamp '{since.isoformat(sep=' ')}') e "
            f"join spine s on s.account_id = e.account_id and {AsOfView().sees_day('e.seen', 's')}",
        )
        self._held()
        at = "e.n = h.n and e.u = h.u and e.occurred_at >= h.at"
        joined = f" asof left join usage_held h on {at}" if self._has_roles else ""
        role = f"coalesce(h.place, {ROLE_ORDER.index(NONE)})" if self._has_roles else "0"
        stages = ", ".join(
            f"count(*) filter (where stage = '{stage}') as {name}"
            for name, stage in _STAGES.items()
        )
        self.scratch.make(
            "usage_cells",
            "select e.n, e.ago, e.u, e.module, e.machine, case when e.machine then "
            f"{ROLE_ORDER.index(AUTOMATED)} else {role} end as place, count(*) as events, "
            f"count(*) filter (where page) as pages, {stages}, cast(sum(duration_s) as bigint) as spent, "
            f"min(age) as age from usage_events e{joined} group by all",
        )

    def _held(self) -> None:
        """`usage_held` (n, u, at, place): from when on a user's first role is which.

        place: in `ROLE_ORDER`; NULL: none from then on."""
        if not self._has_roles:
            return
        places = " ".join(f"when '{role}' then {place}" for place, role in enumerate(ROLES))
        self.scratch.make(
            "usage_users",
            f"select n, user_id, as_of, valid_from, valid_to, case role {places} end as place "
            f"from {visible('users')}",
        )
        self.scratch.make(
            "usage_held",
            "with turns as (select n, user_id, valid_from as at from usage_users union "
            "select n, user_id, valid_to from usage_users where valid_to is not null) "
            "select t.n, hash(t.user_id) as u, t.at, min(u.place) as place from turns t "
            "left join usage_users u on u.n = t.n and u.user_id = t.user_id and u.valid_from <= t.at "
            "and (u.valid_to is null or u.valid_to > t.at) group by t.n, t.user_id, t.at",
        )

    def _weeks(self) -> int:
        """How many whole weeks the log reaches back: of those before it began, it tells no 0."""
        occurred, seen = AsOfView().event_days()
        (first,) = self.scratch.rows(
            f"select max(s.a) - min({occurred}) from events, (select distinct a from spine) s "
            f"where {AsOfView().sees_day(seen, 's')}"
        )[0]
        return 1 if first is None else min(WEEKS, max(1, (int(first) + 1) // 7))

    def _company(self, accounts: Sequence[int], weeks: int) -> dict[int, CompanyUse]:
        human = "filter (where not machine)"
        found = self._laid(
            ("n",),
            ("events", "automated", "pages", "users", "spent"),
            f"select n, ago, sum(events) {human} as events, "
            "sum(events) filter (where machine) as automated, "
            f"sum(pages) {human} as pages, count(distinct u) {human} as users, "
            f"sum(spent) {human} as spent from usage_cells group by n, ago",
            weeks,
        )
        visits: dict[tuple[Any, ...], dict[str, list[int]]] = {}
        if "session_id" in self._events:
            visits = self._laid(
                ("n",),
                ("sessions",),
                "select n, ago, count(*) as sessions from (select distinct n, ago, visit "
                "from usage_events where visit is not null and not machine) group by n, ago",
                weeks,
            )
        nothing = [0] * weeks
        company = {}
        for n in accounts:
            own = found.get((n,), {})
            sessions = self._if("session_id", visits.get((n,), {}).get("sessions", nothing))
            pages = own.get("pages", nothing) if self._has_pages else None
            spent = self._if("duration_s", own.get("spent", nothing))
            company[n] = CompanyUse(
                events=own.get("events", nothing),
                automated_events=self._if("is_automated", own.get("automated", nothing)),
                sessions=sessions,
                page_views=pages,
                pages_per_session=pages_per_session(pages, sessions),
                active_users=self._if("user_id", own.get("users", nothing)),
                time_spent_s=[s / SECONDS_SCALE for s in spent] if spent is not None else None,
            )
        return company

    def _product(self, weeks: int) -> dict[int, list[ModuleUse]]:
        """Of each account with events by people, its modules by name, events in none last."""
        sums = ", ".join(f"sum({name}) as {name}" for name in _STAGES)
        found = self._laid(
            ("n", "module"),
            ("events", *_STAGES, "users"),
            f"select n, module, ago, sum(events) as events, {sums}, count(distinct u) as users "
            "from usage_cells where not machine group by n, module, ago",
            weeks,
        )
        modules: dict[int, list[ModuleUse]] = {}
        for n, module in sorted(found, key=lambda key: (key[0], key[1] is None, key[1] or "")):
            own = found[n, module]
            modules.setdefault(n, []).append(
                ModuleUse(
                    module=module,
                    events=own["events"],
                    viewed=self._if("stage", own["viewed"]),
                    started=self._if("stage", own["started"]),
                    completed=self._if("stage", own["completed"]),
                    users=self._if("user_id", own["users"]),
                )
            )
        return modules

    def _roles(self, accounts: Sequence[int], weeks: int) -> dict[int, list[RoleUse]]:
        found = self._laid(
            ("n", "place"),
            ("events", "users"),
            "select n, place, ago, sum(events) as events, count(distinct u) as users "
            "from usage_cells group by n, place, ago",
            weeks,
        )
        lasts = {
            (n, place): age
            for n, place, age in self.scratch.rows(
                "select n, place, min(age) from usage_cells group by n, place"
            )
        }
        holders = {
            (n, place): users
            for n, place, users in self.scratch.rows(
                "select n, place, count(*) from (select n, user_id, min(place) as place "
                "from usage_users where valid_to is null or valid_to > as_of group by all) "
                "where place is not null group by n, place"
            )
        }
        # A role that nobody holds at any account is none of the company's: no account lacks it.
        known = {place for _, place in (*holders, *found)} | {ROLE_ORDER.index(NONE)}
        if "is_automated" in self._events:
            known.add(ROLE_ORDER.index(AUTOMATED))
        nothing = [0] * weeks
        roles: dict[int, list[RoleUse]] = {}
        for n in accounts:
            roles[n] = []
            for place in sorted(known):
                name = ROLE_ORDER[place]
                own = found.get((n, place), {})
                roles[n].append(
                    RoleUse(
                        role=name,
                        users=holders.get((n, place), 0) if place < len(ROLES) else None,
                        active_users=own.get("users", nothing) if name != AUTOMATED else None,
                        events=own.get("events", nothing),
                        last_active_days=lasts.get((n, place)),
                    )
                )
        return roles

    def _if(self, column: str, values: list[int]) -> list[int] | None:
        """What a column of the log tells; None where the log has none."""
        return values if column in self._events else None

    def _laid(
        self, keys: tuple[str, ...], names: tuple[str, ...], sql: str, weeks: int
    ) -> dict[tuple[Any, ...], dict[str, list[int]]]:
        """The rows of a query with the column `ago` as lists of weeks, by their key and name."""
        found: dict[tuple[Any, ...], dict[str, list[int]]] = {}
        for row in self.scratch.rows(f"select {', '.join((*keys, 'ago', *names))} from ({sql})"):
            key = row[: len(keys)]
            lists = found.get(key)
            if lists is None:
                lists = found[key] = {name: [0] * weeks for name in names}
            week = weeks - 1 - row[len(keys)]
            for name, value in zip(names, row[len(keys) + 1 :], strict=True):
                lists[name][week] = value or 0
        return found
