"""What follows from a move by arithmetic: the identities between declared features. Moves nothing by
itself, learns no reach and knows no model.

A counterfactual is of the snapshot as it stands: the last 28 days would have been otherwise; what lies
before them, the contract and the calendar stay. So a change follows from its level, a longer window
from the shorter one inside it, a share from its two sides: nothing is moved that contradicts the rest
(decision 0018)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from churnml.features.catalog import BY_NAME
from churnml.features.families.people import KEY_EVENTS, KEY_USERS
from churnml.features.families.usage import EVENTS, QUANTITY, SESSIONS, TIME
from churnml.features.follow_trends import (
    DAYS,
    LONG,
    SHORT,
    FloatArray,
    Stretch,
    agree,
    trend,
)
from churnml.features.spec import (
    AgainstBook,
    Cadence,
    Change,
    Difference,
    Function,
    Level,
    Measure,
    Parts,
    Rank,
    Ratio,
    Recency,
    Share,
    Slope,
    Sql,
    Where,
    Without,
    dropped,
    taken_up,
)

# A part can't outgrow what it is part of, where no window or share says so.
WITHIN = (
    ("key_users_active_28d", "key_users"),
    ("key_users_active_28d", "active_users_28d"),
    ("active_users_28d", "users"),
    ("modules_completed_90d", "modules_90d"),
)


def total(level: Level) -> float:
    """By what a level is multiplied to be what was counted in its window."""
    return level.days / 7 if level.per_week else level.days if level.per_day else 1.0


def adds_up(measure: Measure) -> bool:
    """Whether the measure of a window is the sum of its parts' (people and modules are not)."""
    return measure.what != "distinct"


def counts_events(fn: Function) -> bool:
    """Whether a function reads the event log."""
    match fn:
        case Sql():
            return False
        case Ratio(above, below) | Difference(above, below):
            return counts_events(above) or counts_events(below)
        case Rank(of):
            return counts_events(of)
    return True


class Identities:
    """The identities among the columns of one model.

    followed: places whose value follows from others by arithmetic: they are never moved by themselves.
    """

    def __init__(self, columns: Sequence[str]):
        self._place = {name: at for at, name in enumerate(columns)}
        features = [BY_NAME.get(name) for name in columns]
        self._fns: list[Function | None] = [
            None if feature is None else feature.fn for feature in features
        ]
        self._levels: dict[tuple[Measure, int], tuple[int, float]] = {}
        self._changes: dict[Measure, int] = {}
        for at, fn in enumerate(self._fns):
            match fn:
                case Level(measure, days, 0):
                    self._levels[measure, days] = (at, total(fn))
                case Change(measure, days) if days == DAYS:
                    self._changes[measure] = at
        self._trends: dict[Measure, list[int]] = {}
        self._wholes: set[Measure] = set()
        for at, fn in enumerate(self._fns):
            match fn:
                case Change(measure, days) if days == DAYS:
                    self._trends.setdefault(measure, []).append(at)
                case Cadence(measure):
                    self._trends.setdefault(measure, []).append(at)
                case Share(_, whole):
                    self._wholes.add(whole)
                case Ratio(_, Level(whole)):
                    self._wholes.add(whole)
        self._at = {fn: at for at, fn in enumerate(self._fns) if fn is not None}
        self.followed = frozenset(
            at for at, fn in enumerate(self._fns) if fn is not None and self._follows(fn)
        )

    def stopped(self, row: FloatArray) -> bool:
        """Whether nobody has used the product for 28 days: then nothing is there to be more of."""
        level = self._levels.get((EVENTS, DAYS))
        return level is not None and not row[level[0]] > 0

    def follow(self, row: FloatArray, wanted: FloatArray) -> FloatArray:
        """The rows that come of moving levers, with all that follows.

        row: (features,), NaN where missing. wanted: (n, features), NaN where nothing is moved.
        Returns: (n, features). What is missing stays missing. Of an account that has stopped nothing of
        its use moves: its shares and trends are of nothing, and what they would be is not known.
        """
        out = np.where(np.isnan(wanted) | np.isnan(row), row, wanted)
        self._hold(row, out)
        self._more_of_the_same(row, out)
        self._stay_within(row, out)
        for measure, days in self._levels:
            if days == DAYS:
                self._windows(measure, row, out)
        for at, fn in enumerate(self._fns):
            if fn is None or np.isnan(row[at]):
                continue
            match fn:
                case Change() | AgainstBook() | Cadence() | Slope() if at in self.followed:
                    self._trend(at, fn, row, out)
                case Share() | Ratio() | Difference() if at in self.followed:
                    self._of_two(at, fn, row, out)
                case Parts("lost", _, by, _):
                    self._only_if_more(at, Measure("distinct", by, Where(human=True)), row, out)
        for at, fn in enumerate(self._fns):
            source = self._source(fn.of) if isinstance(fn, Rank) else None
            if source is not None:
                # Where its value stands still, so does its place among the others.
                out[:, at] = np.where(out[:, source] != row[source], out[:, at], row[at])
        self._recencies(row, out)
        return out

    # Which features follow

    def _follows(self, fn: Function) -> bool:
        match fn:
            case Level(measure, days, 0):
                return days != DAYS and (measure, DAYS) in self._levels
            case Change(measure, _) | AgainstBook(Change(measure, _)) | Cadence(measure):
                return (measure, DAYS) in self._levels
            case Slope(measure, _):
                known = (measure, DAYS) in self._levels and measure in self._changes
                return known and adds_up(measure)
            case Without(measure):
                return (measure, DAYS) in self._levels and fn in _sets(measure)
            case Share(part, whole, days):
                everything = part == EVENTS and whole == Measure("count")
                sides = (Level(part, days), Level(whole, days))
                return everything or all(self._is_known(side) for side in sides)
            case Ratio(above, below) | Difference(above, below):
                return self._is_known(above) and self._is_known(below)
        return False

    def _is_known(self, side: Function) -> bool:
        match side:
            case Level(measure, days, 0):
                return (measure, days) in self._levels
            case Sql():
                return True  # one that is no column isn't moved either
        return False

    def _source(self, fn: Function) -> int | None:
        """The column that moves what a rank is of."""
        match fn:
            case Level(measure, days, 0):
                return self._levels.get((measure, days), (None, 0.0))[0]
            case Ratio(above, _):
                return self._source(above)
        return self._at.get(fn)

    # Levels

    def _stretch(self, measure: Measure, row: FloatArray, out: FloatArray) -> Stretch:
        """What is known of one measure's last and earlier weeks."""
        at, times = self._levels[measure, DAYS]
        was, change_at = row[at] * times, self._changes.get(measure)
        short, long = (self._levels.get((measure, days)) for days in (SHORT, LONG))
        week = row[short[0]] * short[1] if short is not None else np.nan
        counted = row[long[0]] * long[1] if long is not None else np.nan
        before = np.nan
        if change_at is not None and row[change_at] > -1 and was > 0:
            before = was / (1 + row[change_at])
        elif change_at is not None and row[change_at] <= -1 and adds_up(measure):
            # Nothing now: the longer window says what there was, evenly spread.
            rest = (counted - was) * DAYS / (LONG - DAYS)
            before = rest if rest > 0 else np.nan
        return Stretch(
            was=float(was),
            then=out[:, at] * times,
            week=float(was / 4 if np.isnan(week) else week),
            before=float(before),
            counted_90d=float(counted),
            adds_up=adds_up(measure),
        )

    def _hold(self, row: FloatArray, out: FloatArray) -> None:
        """Nothing moves whose consequences cannot be worked out."""
        if self.stopped(row):
            for at, fn in enumerate(self._fns):
                if fn is not None and counts_events(fn):
                    out[:, at] = row[at]
            return
        for measure, days in self._levels:
            if days == DAYS and self._is_stuck(measure, row, out):
                at, _ = self._levels[measure, DAYS]
                out[:, at] = row[at]

    def _is_stuck(self, measure: Measure, row: FloatArray, out: FloatArray) -> bool:
        stretch = self._stretch(measure, row, out)
        told = [at for at in self._trends.get(measure, ()) if not np.isnan(row[at])]
        if stretch.was > 0:
            # A change is there, but not what it was measured against.
            return self._changes.get(measure) in told and np.isnan(stretch.before)
        # Of nothing: shares of it would come into being, and trends need what there was.
        return measure in self._wholes or (bool(told) and np.isnan(stretch.before))

    def _more_of_the_same(self, row: FloatArray, out: FloatArray) -> None:
        """Parts of the use grow with all use, and all use by what its parts grow at least."""
        parts = {
            measure: level
            for (measure, days), level in self._levels.items()
            if days == DAYS and measure.what == "count" and measure.where.human
        }
        whole = parts.pop(EVENTS, None)
        if whole is not None and row[whole[0]] > 0:
            ratio = out[:, whole[0]] / row[whole[0]]
            for at, times in parts.values():
                grown = np.maximum(out[:, at], np.rint(row[at] * ratio * times) / times)
                out[:, at] = np.where(ratio > 1, grown, out[:, at])
        roles = {measure: level for measure, level in parts.items() if measure.where.role}
        key = parts.get(KEY_EVENTS)
        people = self._levels.get((KEY_USERS, DAYS))
        if people is not None and row[people[0]] == 0:
            for at, _ in (*roles.values(), *([key] if key else [])):
                # Nobody in a key role, nothing done by one.
                out[:, at] = np.where(out[:, people[0]] > 0, out[:, at], row[at])
        if key is not None:
            _grow(key, list(roles.values()), row, out)
            if people is not None:
                roof = np.maximum(out[:, key[0]] * key[1], row[people[0]])
                out[:, people[0]] = np.minimum(out[:, people[0]], roof)
        if whole is not None:
            _grow(whole, list(parts.values()), row, out)
        if whole is not None and row[whole[0]] > 0:
            # More done takes the sessions, time and volume that as much of it takes now.
            ratio = out[:, whole[0]] / row[whole[0]]
            for measure in (SESSIONS, TIME, QUANTITY):
                if (measure, DAYS) in self._levels:
                    at, times = self._levels[measure, DAYS]
                    told = row[at] * ratio * times
                    told = told if measure.what == "sum" else np.rint(told)
                    grown = np.maximum(out[:, at], told / times)
                    out[:, at] = np.where(ratio > 1, grown, out[:, at])

    def _stay_within(self, row: FloatArray, out: FloatArray) -> None:
        for part, whole in WITHIN:
            at, of = self._place.get(part), self._place.get(whole)
            if at is None or of is None or np.isnan(row[of]):
                continue
            # What the data say of today stands, even if they are at odds.
            out[:, at] = np.minimum(out[:, at], np.maximum(out[:, of], row[at]))

    def _windows(self, measure: Measure, row: FloatArray, out: FloatArray) -> None:
        at, times = self._levels[measure, DAYS]
        was, now = row[at] * times, out[:, at] * times
        moved = now != was
        if np.isnan(was) or not moved.any():
            return
        short, long = (self._levels.get((measure, days)) for days in (SHORT, LONG))
        fresh = self._sets(measure, now - was, row, out)
        if short is not None and not np.isnan(row[short[0]]):
            told = row[short[0]] * short[1] * now / was if was > 0 else now * SHORT / DAYS
            told = told if measure.what == "sum" else np.rint(told)
            out[moved, short[0]] = (np.minimum(told, now) / short[1])[moved]
        if long is not None and not np.isnan(row[long[0]]):
            there = row[long[0]] * long[1]
            told = there + now - was if adds_up(measure) else np.maximum(there + fresh, now)
            out[moved, long[0]] = (told / long[1])[moved]

    def _sets(
        self, measure: Measure, more: FloatArray, row: FloatArray, out: FloatArray
    ) -> FloatArray:
        """Those who are active beyond today's are first those that were lost, then new ones."""
        new, lost = (self._at.get(fn) for fn in _sets(measure))
        back = np.zeros(len(out))
        if lost is not None and not np.isnan(row[lost]):
            back = np.minimum(more, row[lost])
            out[:, lost] = row[lost] - back
        if new is None or np.isnan(row[new]):
            return np.zeros(len(out))
        out[:, new] = row[new] + more - back
        return more - back

    # What is told of levels

    def _trend(
        self, at: int, fn: Change | AgainstBook | Cadence | Slope, row: FloatArray, out: FloatArray
    ) -> None:
        own = fn.change if isinstance(fn, AgainstBook) else fn
        stretch = self._stretch(own.measure, row, out)
        told = trend(own, float(row[at]), stretch)
        if told is not None:
            sound = (stretch.then != stretch.was) & np.isfinite(told)
            out[sound, at] = told[sound]

    def _of_two(
        self, at: int, fn: Share | Ratio | Difference, row: FloatArray, out: FloatArray
    ) -> None:
        if isinstance(fn, Share):
            above: Function = Level(fn.part, fn.days)
            below: Function = Level(fn.whole, fn.days)
        else:
            above, below = fn.above, fn.below
        up, down = self._side(above, row, out), self._side(below, row, out)
        told = agree(fn, float(row[at]), up, down)
        moved = ((up[1] != up[0]) | (down[1] != down[0])) & np.isfinite(told)
        out[moved, at] = told[moved]

    def _side(self, side: Function, row: FloatArray, out: FloatArray) -> tuple[float, FloatArray]:
        """What a side was and is; 1 and 1 where it is no column, since it isn't moved then."""
        at: int | None = self._at.get(side)
        scale = 1.0
        if isinstance(side, Level) and (side.measure, side.days) in self._levels:
            at, times = self._levels[side.measure, side.days]
            scale = times / total(side)
        if at is None or np.isnan(row[at]) or (row[at] == 0 and (out[:, at] == 0).all()):
            return 1.0, np.ones(len(out))
        return float(row[at] * scale), out[:, at] * scale

    def _only_if_more(self, at: int, measure: Measure, row: FloatArray, out: FloatArray) -> None:
        """Nobody lost comes back unless more are active."""
        if (measure, DAYS) in self._levels:
            level, _ = self._levels[measure, DAYS]
            out[:, at] = np.where(out[:, level] > row[level], out[:, at], row[at])

    def _recencies(self, row: FloatArray, out: FloatArray) -> None:
        places = [(fn.where, at) for fn, at in self._at.items() if isinstance(fn, Recency)]
        week = self._levels.get((EVENTS, SHORT))
        for where, at in places:
            level = self._levels.get((Measure("count", where=where), DAYS))
            if level is not None and row[level[0]] == 0:
                some = out[:, level[0]] > 0
                out[:, at] = np.where(some, np.minimum(out[:, at], DAYS - 1), row[at])
            if week is not None:
                # Nothing at all in the last week, so nothing of this either.
                quiet = out[:, week[0]] == 0
                floor = np.maximum(out[:, at], min(row[at], float(SHORT)))
                out[:, at] = np.where(quiet, floor, out[:, at])
        for whole, at in places:
            for part, inner in places:
                if inner != at and _holds(whole, part):
                    nearer = (out[:, inner] < row[inner]) & (out[:, inner] < out[:, at])
                    out[nearer, at] = out[nearer, inner]


def _sets(measure: Measure) -> tuple[Without, Without]:
    """Those of the last 28 days that are new, and those of the 90 before that are gone."""
    return taken_up(measure, DAYS, LONG), dropped(measure, DAYS, LONG)


def _grow(
    whole: tuple[int, float], parts: Sequence[tuple[int, float]], row: FloatArray, out: FloatArray
) -> None:
    """A whole grows at least by what the one of its parts grows that grows most: parts may overlap."""
    at, times = whole
    for part, part_times in parts:
        if not np.isnan(row[part]):
            grown = (out[:, part] - row[part]) * part_times / times
            out[:, at] = np.maximum(out[:, at], row[at] + np.maximum(grown, 0.0))


def _holds(whole: Where, part: Where) -> bool:
    """Whether every event of `part` is one of `whole`."""
    return (
        whole.meaning in (None, part.meaning)
        and whole.stage in (None, part.stage)
        and (not whole.human or part.human)
        and (not whole.key_user or part.key_user or part.role is not None)
        and whole.role in (None, part.role)
    )
