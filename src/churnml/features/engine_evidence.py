"""Facts about accounts that no feature holds: which modules, which roles, who moved a count.

Owns how they come out of the tables; `evidence` has their shape. Rows are visible as they are to the
features (AsOfView), windows are the features' own, and only people count, no machines. No window
reaches back further than the features' (decision 0008): what is told of all time is what a carry
keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from churnml.contract.rules import SCORE_SCALE
from churnml.contract.tables import KEY_ROLES
from churnml.features.engine_events import passes
from churnml.features.engine_scratch import Connection, Scratch
from churnml.features.engine_small import visible
from churnml.features.evidence import Evidence, Move, Names, Plan, Role, Step
from churnml.features.spec import Where
from churnml.snapshots.views import AsOfView, ceil_day

NAMED = 3  # modules that are named; of more, the number is told
# A module that fewer of the accounts use, or complete anything in, is no gap to speak of.
PRODUCT_SHARE = 0.25
FEW_USERS = 3
PROMOTED_DAYS = 180
# Modules, and how each list is ordered: over a row of `evidence_modules`.
LISTS = {
    "used": ("now > 0", "now"),
    "gone": ("before > 0 and now = 0", "before"),
    "dropped": ("earlier > 0 and now = 0", "earlier"),
    "taken_up": ("now > 0 and earlier = 0", "now"),
    "fallen": ("now < before", "before - now"),
    "unused": ("is_common and now = 0 and earlier = 0", "common_share"),
}
STAGE_LISTS = {
    "viewed": ("viewed > 0", "viewed"),
    "viewed_only": ("viewed > 0 and done = 0", "viewed"),
    "completed": ("done_90d > 0", "done_90d"),
    "never": ("is_product and not ever", "product_share"),
}


def account_evidence(
    connection: Connection,
    columns: Mapping[str, frozenset[str]],
    meanings: Mapping[str, Sequence[str]],
) -> dict[str, Evidence]:
    """The evidence of each account of the spine, which must have one `as_of`. Peers are not in it.

    columns: table -> columns that the export really has. meanings: event meaning -> event names.
    """
    work = _Work(Scratch(connection), columns, meanings)
    try:
        return work.evidence()
    finally:
        work.scratch.clear()


class _Work:
    def __init__(
        self,
        scratch: Scratch,
        columns: Mapping[str, frozenset[str]],
        meanings: Mapping[str, Sequence[str]],
    ):
        self.scratch = scratch
        self._tables = columns
        self._columns = columns["events"]
        self._meanings = meanings

    def evidence(self) -> dict[str, Evidence]:
        found: dict[int, Evidence] = {}
        accounts = dict(self.scratch.rows("select n, account_id from spine"))
        if self._columns & {"user_id", "module"}:
            self._use()
            for name in self._counts:
                for n, move in self._moves(name):
                    found.setdefault(n, {}).setdefault("moves", {})[name] = move
        if "module" in self._columns:
            for n, modules in self._modules():
                found.setdefault(n, {})["modules"] = modules
        if "users" in self._tables:
            for n, name, role in self._roles():
                found.setdefault(n, {}).setdefault("roles", {})[name] = role
            for n, days in self._promoted():
                found.setdefault(n, {})["promoted_days"] = days
            if "surveys" in self._tables and "user_id" in self._tables["surveys"]:
                for n, roles in self._critics():
                    found.setdefault(n, {})["critics"] = roles
        if "milestones" in self._tables:
            for n, plan in self._milestones():
                found.setdefault(n, {})["milestones"] = plan
        return {accounts[n]: evidence for n, evidence in found.items()}

    @property
    def _counts(self) -> dict[str, str]:
        """What changes are told of: name -> which events count, as SQL over `evidence_events`."""
        counts = {"events": "true"}
        if "stage" in self._columns:
            counts["completed"] = self._passes(Where(stage="complete"))
        if "login" in self._meanings:
            counts["logins"] = self._passes(Where(meaning="login"))
        return counts

    def _passes(self, where: Where) -> str:
        return passes(where, self._meanings, self._columns)

    def _use(self) -> None:
        """`evidence_use` (n, u, module): what each person did where, by window."""
        view = AsOfView()
        occurred, seen = view.event_days()
        self.scratch.name(
            "evidence_events",
            f"select s.n, s.a - e.day as age, e.* exclude (account_id, day, seen) from (select *, "
            f"{occurred} as day, {seen} as seen from events where {self._passes(Where(human=True))}) e "
            f"join spine s on s.account_id = e.account_id and {view.sees_day('e.seen', 's')}",
        )
        told = [
            f"count(*) filter (where {which} and age >= {near} and age < {far}) as {name}_{when}"
            for name, which in self._counts.items()
            for when, near, far in (("now", 0, 28), ("before", 28, 56))
        ]
        # The features' windows of modules that were dropped or taken up: 28 days and the 90 before.
        told.append("count(*) filter (where age >= 28 and age < 118) as earlier")
        told.append("min(age) as last")
        for name, stage, days in (
            ("viewed", "view", 28),
            ("done", "complete", 28),
            ("done_90d", "complete", 90),
        ):
            which = f"stage = '{stage}'" if "stage" in self._columns else "false"
            told.append(f"count(*) filter (where {which} and age < {days}) as {name}")
        told.append(f"bool_or({which}) as ever")
        self.scratch.make(
            "evidence_use",
            # A number for each person: grouping a log by text costs several times as much.
            "select n, case when user_id is not null then hash(user_id) end as u, "
            f"nullif(module, '') as module, {', '.join(told)} "
            "from evidence_events group by all",
        )

    def _moves(self, name: str) -> list[tuple[int, Move]]:
        """Of each account whose count moved: by how much, and where most of that came from."""
        rows = self.scratch.rows(
            f"with parts as (select n, u, module, {name}_now as now, {name}_before as before "
            f"from evidence_use where {name}_now > 0 or {name}_before > 0), "
            "totals as (select n, cast(sum(now) - sum(before) as bigint) as moved, "
            "count(distinct u) as users, count(distinct module) as modules "
            "from parts group by n having moved <> 0), "
            "by_module as (select n, module, sum(now - before) * sign(any_value(moved)) as part "
            "from parts join totals using (n) where module is not null and modules > 1 "
            "group by n, module), "
            "top as (select n, module from by_module join totals using (n) "
            "where 2 * part >= abs(moved) "
            "qualify row_number() over (partition by n order by part desc, module) = 1), "
            "by_user as (select p.n, p.u, "
            "sum(p.now - p.before) * sign(any_value(t.moved)) as part "
            "from parts p join totals t using (n) left join top using (n) "
            "where p.u is not null and (top.module is null or p.module = top.module) "
            "group by p.n, p.u), "
            "ranked as (select n, row_number() over w as place, sum(part) over w as told "
            "from by_user window w as (partition by n order by part desc, u "
            "rows unbounded preceding)), "
            "few as (select n, min(place) as users from ranked join totals using (n) "
            f"where 2 * told >= abs(moved) and place <= {FEW_USERS} and 2 * place <= totals.users "
            "group by n) "
            "select n, moved, top.module, few.users from totals left join top using (n) "
            "left join few using (n)"
        )
        moves = []
        for n, moved, module, users in rows:
            move = Move(moved=moved)
            if module is not None:
                move["module"] = module
            if users is not None:
                move["users"] = users
            moves.append((n, move))
        return moves

    def _modules(self) -> list[tuple[int, dict[str, Names]]]:
        """Modules by what was done there: in use now, gone, taken up; with stages, also completed."""
        lists = dict(LISTS)
        if "stage" in self._columns:
            lists |= STAGE_LISTS
        self.scratch.make(
            "evidence_modules",
            f"with own as (select n, module, cast(sum(events_now) as bigint) as now, "
            "cast(sum(events_before) as bigint) as before, cast(sum(earlier) as bigint) as earlier, "
            "cast(sum(viewed) as bigint) as viewed, cast(sum(done) as bigint) as done, "
            "cast(sum(done_90d) as bigint) as done_90d, bool_or(ever) as ever "
            "from evidence_use where module is not null group by n, module), "
            # What share of the accounts that use anything use a module, and complete things in it.
            "alive as (select *, now + earlier > 0 as uses, done_90d > 0 as does from own), "
            "product as (select module, count(*) filter (where uses) / (select "
            "count(distinct n) from alive where uses) as common_share, count(*) filter (where does) "
            "/ nullif((select count(distinct n) from alive where does), 0) as product_share "
            "from alive group by module), "
            "cross_product as (select n, module from spine, product "
            f"where product_share >= {PRODUCT_SHARE} or common_share >= {PRODUCT_SHARE}), "
            "named as (select n, module from own union select n, module from cross_product) "
            "select named.*, coalesce(now, 0) as now, coalesce(before, 0) as before, "
            "coalesce(earlier, 0) as earlier, coalesce(viewed, 0) as viewed, "
            "coalesce(done, 0) as done, coalesce(done_90d, 0) as done_90d, "
            f"coalesce(product_share >= {PRODUCT_SHARE}, false) as is_product, "
            f"coalesce(common_share >= {PRODUCT_SHARE}, false) as is_common, "
            "coalesce(product_share, 0) as product_share, "
            "coalesce(common_share, 0) as common_share, coalesce(ever, false) as ever "
            "from named left join own using (n, module) left join product using (module)",
        )
        wanted = ", ".join(
            f"(list(module order by {order} desc, module) filter (where {which}))[1:{NAMED}], "
            f"count(*) filter (where {which})"
            for which, order in lists.values()
        )
        found = []
        for n, *told in self.scratch.rows(f"select n, {wanted} from evidence_modules group by n"):
            pairs = zip(lists, told[::2], told[1::2], strict=True)
            named = {name: Names(names=names, count=count) for name, names, count in pairs if count}
            found.append((n, named))
        return found

    def _roles(self) -> list[tuple[int, str, Role]]:
        """Who holds, left and fell silent in each key role."""
        seen = "user_id" in self._columns
        lasts = "select null::integer as n, null::ubigint as u, null::bigint as age where false"
        if seen:
            lasts = (
                "select n, u, min(last) as age from evidence_use where u is not null group by n, u"
            )
        roles = ", ".join(f"'{role}'" for role in KEY_ROLES)
        rows = self.scratch.rows(
            "with held as (select n, user_id, hash(user_id) as u, role, "
            "valid_to is not null and valid_to <= as_of as over, "
            f"a - {ceil_day('valid_to')} as ago from {visible('users')}), "
            # As in engine_tables: who holds no role any more has left; a role that changes is none.
            "people as (select *, bool_and(over) over (partition by n, user_id) as gone from held), "
            f"lasts as ({lasts}), own as (select n, role, user_id, bool_or(not over) as holds, "
            "min(ago) filter (where gone) as left_ago, any_value(age) as age "
            f"from people left join lasts using (n, u) where role in ({roles}) "
            "group by n, role, user_id) "
            "select n, role, count(*) filter (where holds), min(left_ago), "
            "count(*) filter (where left_ago < 90), min(age) filter (where holds) "
            "from own group by n, role"
        )
        # A role that nobody holds at any account is none of the company's: no account lacks it.
        known = sorted({name for _, name, holders, *_ in rows if holders})
        accounts = self.scratch.rows("select n from spine")
        found = {(n, name): Role(holders=0) for (n,) in accounts for name in known}
        for n, name, holders, left, left_90d, silent in rows:
            role = Role(holders=holders)
            if left is not None:
                role["left_days"], role["left_90d"] = left, left_90d
            if holders and seen:
                role["silent_days"] = silent
            found[n, name] = role
        return [(n, name, role) for (n, name), role in found.items()]

    def _promoted(self) -> list[tuple[int, int]]:
        """Days since somebody who held another key role before became an executive, and is one."""
        rows = self.scratch.rows(
            f"select e.n, min(e.age_days) from {visible('users')} e join {visible('users')} b "
            "on b.n = e.n and b.user_id = e.user_id where e.role = 'executive' "
            "and (e.valid_to is null or e.valid_to > e.as_of) "
            "and b.role in ('admin', 'champion', 'contact') "
            f"and b.age_days > e.age_days and e.age_days < {PROMOTED_DAYS} group by e.n"
        )
        return [(n, days) for n, days in rows]

    def _critics(self) -> list[tuple[int, list[str]]]:
        """Key roles of those who answered an NPS of 6 or less in the last 180 days."""
        roles = ", ".join(f"'{role}'" for role in KEY_ROLES)
        rows = self.scratch.rows(
            "select u.n, list(distinct u.role order by u.role) "
            f"from {visible('users')} u join {visible('surveys')} v "
            "on v.n = u.n and v.user_id = u.user_id "
            f"where v.kind = 'nps' and v.score <= {6 * SCORE_SCALE} and v.age_days < 180 "
            f"and u.role in ({roles}) and (u.valid_to is null or u.valid_to > u.as_of) group by u.n"
        )
        return [(n, names) for n, names in rows]

    def _milestones(self) -> list[tuple[int, Plan]]:
        """Each account's plan, in days of its age, as engine_tables counts them."""
        rows = self.scratch.rows(
            f"select m.n, m.a - {ceil_day('c.created_at')}, m.milestone, m.due_day, m.owner, "
            f"{ceil_day('m.reached_at')} - {ceil_day('c.created_at')} "
            f"from {visible('milestones')} m join accounts c on c.account_id = m.account_id "
            "order by m.n, m.due_day, m.milestone"
        )
        plans: dict[int, Plan] = {}
        for n, age, name, due, owner, reached in rows:
            plan = plans.setdefault(n, Plan(age_days=age, steps=[]))
            plan["steps"].append(Step(name=name, due_day=due, owner=owner, reached_day=reached))
        return list(plans.items())
