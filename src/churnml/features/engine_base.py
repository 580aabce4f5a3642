"""How the company's customers as a whole use the product, out of the tables, as known at one moment.

Owns the sums over all accounts that the report tells; visibility is `AsOfView`'s. Whoever pays is told by a
ledger that the caller has made (`outcome_ledger`, `outcome_spans`, up to the same moment). A stretch of days
is told by its end and length: (end - days, end]. An account counts by whether it pays at that end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_events import passes
from churnml.features.engine_scratch import Connection, Scratch
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView, ceil_day
from churnml.timeline import day_number

MONTH_DAYS = 28  # whole weeks: no month is longer, and none has one Sunday more
MONTHS = 13
_OPEN = "timestamp '9999-01-01'"


class BaseTables:
    """The sums at one `as_of` (a midnight). columns: table -> columns that the export really has. ends: more
    moments of which `stretches` tells, each at least a month apart from the next."""

    def __init__(
        self,
        connection: Connection,
        columns: Mapping[str, Collection[str]],
        meanings: Mapping[str, Sequence[str]],
        as_of: datetime,
        ends: Sequence[datetime] = (),
    ):
        self._scratch = Scratch(connection)
        self._columns = columns
        self._events = columns["events"]
        self._meanings = meanings
        self._as_of = as_of
        self._day = day_number(as_of)
        self._ends = [self._day - MONTH_DAYS * ago for ago in range(MONTHS)]
        self._more = [day_number(end) for end in ends]
        occurred, _ = AsOfView().event_days()
        self._first: int | None = self._scratch.rows(f"select min({occurred}) from events")[0][0]
        self._cells()
        self._paying()

    def clear(self) -> None:
        """Drop what was made."""
        self._scratch.clear()

    def has(self, table: str, *names: str) -> bool:
        """Whether the export has a table with these columns."""
        return table in self._columns and set(names) <= set(self._columns[table])

    @property
    def paying(self) -> int:
        """How many accounts pay."""
        return int(
            self._scratch.rows(f"select count(*) from base_paying where day = {self._day}")[0][0]
        )

    def first_day(self) -> int | None:
        """The number of the first day of the log."""
        return self._first

    # ------------------------------------------------------------------ the company

    def months(self) -> list[dict[str, Any]]:
        """The last months of four weeks each, the newest first; see `_stretches`."""
        return self._stretches(self._ends)

    def stretches(self) -> list[dict[str, Any]]:
        """The four weeks up to each of `ends`; see `_stretches`."""
        return self._stretches(self._more)

    def _stretches(self, ends: Sequence[int]) -> list[dict[str, Any]]:
        """Of each end: its day, accounts that pay, of them active and completing ones, their people, events
        and visits, seats, and the people of accounts that have seats. None: the log has no such column."""
        if not ends:
            return []
        values = ", ".join(f"({number}, {end})" for number, end in enumerate(ends))
        users = "count(distinct c.u)" if "user_id" in self._events else "null"
        seated = "count(distinct c.u) filter (where p.seats is not null)"
        done = "count(distinct c.account_id) filter (where c.stage = 'complete')"
        visits = (
            "(select count(*) from base_visits v join base_paying p on p.account_id = v.account_id "
            "and p.day = e.day where v.stretch = e.day)"
            if "session_id" in self._events
            else "null"
        )
        rows = self._scratch.rows(
            f"with ends(number, day) as (values {values}), used as (select e.number, "
            f"count(distinct c.account_id) as active, {done} as completing, {users} as people, "
            f"{seated if 'user_id' in self._events else 'null'} as seated, sum(c.events) as events "
            "from ends e join base_paying p on p.day = e.day join base_cells c on "
            "c.account_id = p.account_id and c.stretch = e.day group by e.number), paying as ("
            "select e.number, count(p.account_id) as accounts, sum(p.seats) as seats from ends e "
            "left join base_paying p on p.day = e.day group by e.number) "
            "select e.day, p.accounts, coalesce(u.active, 0), coalesce(u.completing, 0), u.people, "
            f"u.seated, cast(coalesce(u.events, 0) as bigint), cast(p.seats as bigint), {visits} "
            "from ends e join paying p using (number) left join used u using (number) order by number"
        )
        names = (
            "day", "accounts", "active", "completing", "people", "seated", "events", "seats", "visits"
        )  # fmt: skip
        told = [dict(zip(names, row, strict=True)) for row in rows]
        for row in told:
            if "user_id" in self._events:
                row["people"], row["seated"] = row["people"] or 0, row["seated"] or 0
            if not self.has("events", "stage"):
                row["completing"] = None
            if not self.has("subscriptions", "seats"):
                row["seats"] = row["seated"] = None
        return told

    # ------------------------------------------------------------------ the product

    def modules(self, days: int, lately: int) -> list[tuple[str, int, int, int, int, int]]:
        """(module, viewed, started, completed, completed lately, events): accounts that pay and came at least
        that far within `days`, and within `lately`; events by people within `days`."""
        return self._scratch.rows(
            f"with used as (select account_id, module, stage, cast({self._day} - day as integer) as young, "
            f"count(*) as events from {self._seen()} where day > {self._day - days} and day <= {self._day} "
            "and module is not null group by all), own as (select module, account_id, "
            "bool_or(stage is not null) as viewed, bool_or(stage in ('start', 'complete')) as started, "
            "bool_or(stage = 'complete') as completed, "
            f"bool_or(stage = 'complete' and young < {lately}) as completed_lately, sum(events) as events "
            f"from used join base_paying p using (account_id) where p.day = {self._day} "
            "group by module, account_id) select module, "
            "count(*) filter (where viewed), count(*) filter (where started), "
            "count(*) filter (where completed), count(*) filter (where completed_lately), "
            "cast(sum(events) as bigint) from own group by module order by 4 desc, 1"
        )

    # ------------------------------------------------------------------ key users

    def key_users(
        self, active_days: int, silent_days: int, left_days: int
    ) -> list[tuple[str, int, int | None, int, int, int | None]]:
        """(role, people, of them active within active_days, accounts that have one, accounts one of whose
        left within left_days, accounts one of whose fell silent) of accounts that pay.

        Silent: a holder since before the last active_days, with nothing in them, but something in the
        silent_days before. Left: holds no role of the account any more.
        """
        held = (
            f"select distinct u.account_id, u.user_id, u.role from ({self._stood('users')}) u "
            f"join base_paying p on p.account_id = u.account_id and p.day = {self._day} "
            f"where u.role in ({_listed(KEY_ROLES)})"
        )
        at = f"timestamp '{self._as_of.isoformat(sep=' ')}'"
        in_force = f"(u.valid_to is null or u.valid_to > {at})"
        known = "user_id" in self._events
        lately = (
            f"select account_id, u, min(age) < {active_days} as active, "
            f"min(age) >= {active_days} and min(age) < {active_days + silent_days} as silent "
            "from base_people group by account_id, u"
            if known
            else "select '' as account_id, cast(0 as ubigint) as u, false as active, false as silent"
        )
        rows = self._scratch.rows(
            f"with held as ({held} and {in_force}), since as (select u.account_id, u.user_id, u.role, "
            f"min(u.valid_from) as at from ({self._stood('users')}) u where {in_force} group by all), "
            f"gone as ({held} and u.valid_to <= {at} and {self._day} - {ceil_day('u.valid_to')} < "
            f"{left_days} and not exists (from ({self._stood('users')}) n where "
            "n.account_id = u.account_id and n.user_id = u.user_id "
            f"and (n.valid_to is null or n.valid_to > {at}))), lately as ({lately}), told as ("
            "select h.role, h.account_id, h.user_id, coalesce(l.active, false) as active, "
            f"coalesce(l.silent, false) and s.at <= {at} - interval {active_days} day as silent "
            "from held h join since s using (account_id, user_id, role) left join lately l on "
            "l.account_id = h.account_id and l.u = hash(h.user_id)), "
            "roles as (select role from told union select role from gone) "
            "select r.role, (select count(*) from told t where t.role = r.role), "
            "(select count(*) from told t where t.role = r.role and active), "
            "(select count(distinct account_id) from told t where t.role = r.role), "
            "(select count(distinct account_id) from gone g where g.role = r.role), "
            "(select count(distinct account_id) from told t where t.role = r.role and silent) "
            "from roles r"
        )
        order = {role: place for place, role in enumerate(KEY_ROLES)}
        rows.sort(key=lambda row: order[row[0]])
        return [
            (role, people, active if known else None, accounts, left, silent if known else None)
            for role, people, active, accounts, left, silent in rows
        ]

    # ------------------------------------------------------------------ coming on board

    def activation(self, marks: Sequence[int], quarters: int) -> list[tuple[Any, ...]]:
        """(quarter's first day, accounts, activated within each of marks days …) of accounts created in it.

        Activated: all milestones of the account reached, where there are milestones; else its first
        completed action. Without milestones only accounts that the log has seen from their start.
        """
        accounts = f"({self._stood('accounts')})"
        since = "true"
        if self.by_milestones:
            steps = f"({self._stood('milestones')})"
            done = (
                "select account_id, case when count(*) = count(reached_at) then max(reached_at) end as at "
                f"from {steps} group by account_id"
            )
        else:
            human = passes(Where(human=True), self._meanings, self._events)
            done = (
                f"select account_id, min(occurred_at) as at from events where {human} and "
                f"stage = 'complete' and {ceil_day('greatest(occurred_at, known_at)')} <= {self._day} "
                "group by account_id"
            )
            since = f"{ceil_day('a.created_at')} >= {self.first_day() or self._day}"
        within = ", ".join(
            f"count(*) filter (where {ceil_day('d.at')} - {ceil_day('a.created_at')} <= {days})"
            for days in marks
        )
        join = "join" if self.by_milestones else "left join"
        return self._scratch.rows(
            f"with done as ({done}) select date_trunc('quarter', a.created_at) as cohort, count(*), "
            f"{within} from {accounts} a {join} done d on d.account_id = a.account_id where {since} "
            f"group by cohort order by cohort desc limit {quarters}"
        )

    @property
    def by_milestones(self) -> bool:
        """Whether activation is told by the company's own milestones."""
        return self.has("milestones", "reached_at")

    def trials(self, days: int) -> tuple[int, int, float | None, int]:
        """Of trials begun within `days`: how many, converted by now, median days to it, and how many of
        the others began within the last 30 days."""
        days_of = "(epoch_us(converted_at) - epoch_us(trial_started_at)) / 86400e6"
        age = f"{self._day} - {ceil_day('trial_started_at')}"
        return tuple(
            self._scratch.rows(
                f"select count(*), count(converted_at), median({days_of}), "
                f"count(*) filter (where converted_at is null and {age} < 30) "
                f"from ({self._stood('accounts')}) where {age} >= 0 and {age} < {days}"
            )[0]
        )

    # ------------------------------------------------------------------ what customers say

    def nps(self, windows: Sequence[int]) -> list[tuple[int, str, int, int, int]]:
        """(window, account, respondents, promoters, detractors): the last answer of each respondent in each
        window of days, the newest first; windows: their lengths, back from as_of."""
        edges, end = [], 0
        for number, days in enumerate(windows):
            edges.append(f"({number}, {end}, {end + days})")
            end += days
        age = f"{self._day} - {ceil_day('answered_at')}"
        return self._scratch.rows(
            f"with spans(number, from_age, to_age) as (values {', '.join(edges)}), answers as ("
            f"select *, {age} as age from ({self._stood('surveys')}) where kind = 'nps'), last as ("
            "select s.number, a.account_id, coalesce(a.user_id, cast(a.answered_at as varchar)) as who, "
            "list(a.score order by a.answered_at desc, a.score)[1] as score from spans s join answers a "
            "on a.age >= s.from_age and a.age < s.to_age group by all) select number, account_id, "
            f"count(*), count(*) filter (where score >= {9 * SCORE_SCALE}), "
            f"count(*) filter (where score <= {6 * SCORE_SCALE}) from last group by number, account_id "
            "order by number, account_id"
        )

    def referrals(self, days: int) -> list[tuple[int, int, int, int | None]]:
        """(0: the last `days`, 1: those before; made, accounts that made them, of them converted by now)."""
        age = f"{self._day} - {ceil_day('referred_at')}"
        converted = "count(converted_at)" if self.has("referrals", "converted_at") else "null"
        return self._scratch.rows(
            f"select cast(({age}) // {days} as integer) as ago, count(*), count(distinct account_id), "
            f"{converted} from ({self._stood('referrals')}) where {age} >= 0 and {age} < {2 * days} "
            "group by ago order by ago"
        )

    # ------------------------------------------------------------------ on the way

    def _stood(self, table: str) -> str:
        return AsOfView().stood_at(table, self._as_of)

    def _seen(self) -> str:
        """The log by people that could be known: account, u, visit, module, stage, day.

        u, visit: numbers for users and sessions, as grouping by text costs several times as much; NULL has
        a number too, so it is kept apart."""
        human = passes(Where(human=True), self._meanings, self._events)
        occurred, seen = AsOfView().event_days()
        return (
            "(select account_id, case when user_id is not null then hash(user_id) end as u, "
            "case when session_id is not null then hash(session_id) end as visit, "
            f"nullif(module, '') as module, stage, cast({occurred} as integer) as day from events "
            f"where {human} and {seen} <= {self._day})"
        )

    def _cells(self) -> None:
        """`base_cells`, `base_visits`, `base_people`: the log as counts.

        Users and visits are counted in a scan each: visits by user, module and stage are nearly as many
        rows as the log."""
        days = [*self._ends, *self._more]
        stretch, other = self._stretch(self._ends), self._stretch(self._more)
        first = min(days) - MONTH_DAYS
        seen = f"{self._seen()} where day > {first} and day <= {self._day}"
        places = f"{stretch} as stretch, {other} as other"
        self._scratch.make(
            "base_parts",
            f"select account_id, u, case when stage = 'complete' then stage end as stage, {places}, "
            f"count(*) as events, max(day) as last from {seen} group by all",
        )
        self._scratch.make(
            "base_cells",
            "select stretch, account_id, u, stage, cast(sum(events) as bigint) as events from "
            f"{_both('base_parts')} where stretch is not null group by all",
        )
        self._scratch.make(
            "base_people",
            f"select account_id, u, cast({self._day} - max(last) as integer) as age from base_parts "
            "where u is not null group by all",
        )
        self._scratch.drop("base_parts")
        if "session_id" in self._events:
            self._scratch.make(
                "visit_parts",
                f"select distinct account_id, visit, {places} from {seen} and visit is not null",
            )
            self._scratch.make(
                "base_visits",
                f"select distinct stretch, account_id, visit from {_both('visit_parts')} "
                "where stretch is not null",
            )
            self._scratch.drop("visit_parts")

    def _stretch(self, ends: Sequence[int]) -> str:
        """SQL of the end of the four weeks that a day lies in, among these; NULL if in none."""
        if not ends:
            return "cast(null as integer)"
        if ends == self._ends:
            back = f"(({self._day} - day) // {MONTH_DAYS})"
            return f"case when {back} < {MONTHS} then {self._day} - {back} * {MONTH_DAYS} end"
        cases = " ".join(
            f"when day > {end - MONTH_DAYS} and day <= {end} then {end}" for end in ends
        )
        return f"case {cases} end"

    def _paying(self) -> None:
        """`base_paying` (day, account_id, seats): who pays at each end; seats NULL where none are told."""
        days = ", ".join(f"({day})" for day in sorted({*self._ends, *self._more}))
        seats = "sum(f.seats)" if self.has("subscriptions", "seats") else "cast(null as bigint)"
        self._scratch.make(
            "base_paying",
            f"with ends as (select day, make_timestamp(day * {86_400_000_000}::bigint) as at from "
            f"(values {days}) d(day)), pays as (select e.day, e.at, l.account_id from ends e "
            f"join outcome_ledger l on l.from_at <= e.at and e.at < coalesce(l.to_at, {_OPEN}) "
            f"where l.mrr > 0) select p.day, p.account_id, {seats} as seats from pays p "
            "left join outcome_spans f on f.account_id = p.account_id and f.from_at <= p.at "
            f"and p.at < coalesce(f.to_at, {_OPEN}) group by p.day, p.account_id",
        )


def _both(parts: str) -> str:
    """SQL of the rows of a relation by `stretch`, and once more by `other` where that is another one."""
    return (
        f"(select * from {parts} union all select * replace (other as stretch) from {parts} "
        "where other is not null and (stretch is null or stretch <> other))"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
