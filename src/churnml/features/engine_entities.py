"""Users, modules and kinds of event told apart: distinct counts, what one window has and another lacks,
and how a count is made up of them.

Each gets a slot within its account. Distinct counts are bitmaps of slots (`bit_or` of cells is exact),
make-ups are counts per slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from churnml.features.engine_events import quoted_text
from churnml.features.engine_grid import Grid, Minus, Part, Value, Window, column_of
from churnml.features.engine_scratch import Scratch
from churnml.features.engine_windows import Windows
from churnml.features.spec import Measure, Where

SLOT_BITS = 63  # a bitmap word; accounts with more users or modules spread over several words
MOST_WORDS = (
    4  # a company with more modules than fit into these has them told apart in a scan of their own
)
Flags = dict[Where, str]


@dataclass(frozen=True)
class Entity:
    """A column of the log whose values are told apart, and what is asked of them."""

    column: str
    values: Sequence[Value]
    minus: Sequence[Minus]
    parts: Sequence[Part]

    @property
    def flags(self) -> Flags:
        """What its bitmaps tell, each with the column of bits."""
        wheres = dict.fromkeys(value.measure.where for value in self.values)
        return {where: f"{self.column}_b{place}" for place, where in enumerate(wheres)}

    def counted(self) -> list[Value]:
        """The counts per slot that its make-ups are of."""
        return list(
            dict.fromkeys(
                Value(measure, window, f"w{window[0]}_{window[1]}_{number}")
                for number, measure in enumerate(
                    dict.fromkeys(part.function.measure for part in self.parts)
                )
                for part in self.parts
                if part.function.measure == measure
                for window in part.windows
            )
        )


@dataclass(frozen=True)
class Told:
    """What else than an entity's own values asks for in `seen_<entity>`.

    columns: SQL over a row of the log, folded. values: whose windows the cells have to serve.
    """

    columns: Mapping[str, str]
    values: Sequence[Value]


@dataclass(frozen=True)
class InCells:
    """Entities whose bits the account's own cells hold: what one scan of the log selects for them.

    rows: SQL of the log's rows with their slots. key: SQL of the word that the cells are grouped by too
    ("" where none is). columns: bits, in `account_cells`. cells: entity -> SQL of its `entity_cells`.
    values: what the bits are for. tables: made for the rows.
    """

    rows: str
    key: str
    columns: Mapping[str, str]
    cells: Mapping[str, str]
    values: Sequence[Value]
    tables: Sequence[str]


class Entities:
    """Relations of one entity after the other, keyed by (k, a)."""

    def __init__(
        self,
        scratch: Scratch,
        grid: Grid,
        windows: Windows,
        passes: Callable[[Where], str],
    ):
        self._scratch = scratch
        self._grid = grid
        self._windows = windows
        self._passes = passes

    def in_cells(self, entities: Sequence[Entity]) -> InCells:
        """Make the slots of the entities that need no scan of their own.

        Users have slots within their account, and cells are parted by the word of the user's slot.
        Modules and kinds of event, of which a company has few, have the same slots everywhere. One
        whose make-up is asked for is counted slot by slot anyway, apart.
        """
        joins, key, slots, columns, cells = "", "", "", {}, {}
        values: list[Value] = []
        for entity in entities:
            if entity.parts:
                continue
            name, words = entity.column, 1
            if name == "user_id":
                self._scratch.make(
                    "user_slots",
                    "select k, user_id, row_number() over (partition by k order by user_id) - 1 as "
                    "user_id_slot from (select distinct k, user_id from event_rows "
                    "where user_id is not null)",
                )
                joins = " left join user_slots using (k, user_id)"
                key = f"coalesce(user_id_slot, 0) // {SLOT_BITS}"
            else:
                names = self._names(name)
                words = -(-len(names) // SLOT_BITS)
                if words > MOST_WORDS:
                    continue
                # Read off while rows still carry the file's dictionary: a join would look at each row.
                listed = ", ".join(map(quoted_text, names))
                slots += f", enum_code(try_cast({name} as enum({listed}))) as {name}_slot"
            for where, flag in entity.flags.items():
                for word in range(words):
                    this = f" and {name}_slot // {SLOT_BITS} = {word}" if words > 1 else ""
                    columns[f"{flag}_{word}"] = (
                        f"bit_or(1::ubigint << ({name}_slot % {SLOT_BITS})) "
                        f"filter (where {self._passes(where)}{this})"
                    )
            values += entity.values
            keys = self._grid.keys(entity.values)
            cells[name] = " union all ".join(
                f"select k, {keys}, {'word' if name == 'user_id' else f'{word}::bigint as word'}, "
                + ", ".join(f"{flag}_{word} as {flag}" for flag in entity.flags.values())
                + " from account_cells where "
                + " or ".join(f"{flag}_{word} is not null" for flag in entity.flags.values())
                for word in range(words)
            )
        tables = ["user_slots"] if key else []
        return InCells(
            f"(select *{slots} from event_rows){joins}", key, columns, cells, values, tables
        )

    def _names(self, column: str) -> list[str]:
        """The values of a column, in order; never none (the empty text is no value)."""
        rows = self._scratch.rows(
            f"select distinct {column} from events where {column} is not null order by {column}"
        )
        return [name for (name,) in rows] or [""]

    def build(self, entity: Entity, cells: str | None) -> tuple[list[str], list[str]]:
        """Make the relations of one entity. cells: SQL of its `entity_cells`, if the account's cells
        hold its bits. Returns (columns, joins)."""
        name, flags = entity.column, entity.flags
        columns, joins = [], []
        if cells is None:
            self.tell_apart(entity)
        if entity.values:
            table = f"distinct_{name}"
            bits = ", ".join(
                f"bit_or(1::ubigint << (slot % {SLOT_BITS})) filter (where {flag}) as {flag}"
                for flag in flags.values()
            )
            self._scratch.make(
                "entity_cells",
                cells
                or f"select k, {self._grid.keys(entity.values)}, slot // {SLOT_BITS} as word, {bits} "
                f"from seen_{name} join slots_{name} using (k, entity) group by all",
            )
            self._windows.distincts(table, entity.values, entity.minus, flags)
            joins.append(f"left join {table} using (k, a)")
            named = [value.name for value in entity.values] + [m.name for m in entity.minus]
            columns += [f"coalesce({table}.{value}, 0) as {value}" for value in named]
            self._scratch.drop("entity_cells")
        if entity.parts:
            self._parts(name, entity.parts, entity.counted())
            joins.append(f"left join parts_{name} using (k, a)")
            columns += [f"parts_{name}.{part.name}" for part in entity.parts]
        if cells is None:
            self._scratch.drop(f"seen_{name}", f"slots_{name}")
        return columns, joins

    def tell_apart(self, entity: Entity, more: Told | None = None) -> None:
        """Make `seen_<entity>`: per cell and user (module, kind) what it tells; `slots_<entity>`: their
        places. Once: whatever needs them may ask first, for more than the entity itself does."""
        name, counted = entity.column, entity.counted()
        if self._scratch.has(f"seen_{name}"):
            return
        told = {flag: f"bool_or({self._passes(where)})" for where, flag in entity.flags.items()}
        for value in counted:
            where = value.measure.where
            told[column_of(value.measure)] = f"count(*) filter (where {self._passes(where)})"
        told |= more.columns if more else {}
        listed = ", ".join(f"{sql} as {column}" for column, sql in told.items())
        keys = self._grid.keys([*entity.values, *counted, *(more.values if more else ())])
        self._scratch.make(
            f"seen_{name}",
            f"select k, {keys}, {name} as entity, {listed} from event_rows "
            f"where {name} is not null group by all",
        )
        self._scratch.make(
            f"slots_{name}",
            "select k, entity, row_number() over (partition by k order by entity) - 1 as slot "
            f"from (select distinct k, entity from seen_{name})",
        )

    def _parts(self, entity: str, parts: Sequence[Part], counted: Sequence[Value]) -> None:
        """Make `parts_<entity>` (k, a, a column per part) out of counts per slot and window."""
        cells = (
            f"(select * exclude (entity) from seen_{entity} join slots_{entity} using (k, entity))"
        )
        self._windows.sums("slot_sums", cells, counted, also="slot")
        names = {(value.measure, value.window): value.name for value in counted}
        totals = ", ".join(f"sum({value.name}) as t_{value.name}" for value in counted)
        folded = ", ".join(f"{_fold(part, names)} as {part.name}" for part in parts)
        self._scratch.make(
            f"parts_{entity}",
            f"with totals as (select k, a, {totals} from slot_sums group by k, a) "
            f"select k, a, {folded} from slot_sums join totals using (k, a) group by k, a",
        )
        self._scratch.drop("slot_sums")


def _fold(part: Part, names: dict[tuple[Measure, Window], str]) -> str:
    """SQL over counts per slot; whole numbers until the one division, so in any order the same."""
    measure = part.function.measure
    now, before = (names[measure, window] for window in part.windows)
    all_now, all_before = f"any_value(t_{now})", f"any_value(t_{before})"
    match part.function.how:
        case "top":
            return f"max({now}) / nullif(cast({all_now} as double), 0)"
        case "lost":
            lost = f"coalesce(sum({before}) filter (where {now} = 0), 0)"
            return f"{lost} / nullif(cast({all_before} as double), 0)"
        case "fall":
            fall = f"greatest(max({before} - {now}), 0)"
            return f"{fall} / nullif(cast({all_before} as double), 0)"
        case "shift":
            moved = f"sum(abs(cast({now} as hugeint) * t_{before} - cast({before} as hugeint) * t_{now}))"
            return (
                f"cast({moved} as double) "
                f"/ nullif(2 * cast({all_now} as double) * cast({all_before} as double), 0)"
            )
