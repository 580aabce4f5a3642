"""What of an account's evidence may go into a sentence: modules, roles, peers, in words.

Owns which feature speaks of which evidence, and that none of it says the opposite of the contribution;
the sentences are in `words/`, the evidence comes from `features.evidence`. Roles and counts only: who
the people are is not in the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from babel.lists import format_list

from churnml.explain.language import language
from churnml.explain.reading import (
    LONG_AGO_DAYS,
    Reading,
    Row,
    change_of,
    direction_of,
    is_missing,
)
from churnml.explain.text import Shown, change, number, write
from churnml.features.evidence import Evidence, Role
from churnml.features.spec import Feature

# Features that are a change of something of which we know where most of the change came from.
MOVED = {
    "events_change_28d_share": "events",
    "events_change_28d_segment_rank": "events",
    "logins_change_28d_share": "logins",
    "completed_change_28d_share": "completed",
}
ROLES = ("champion", "executive", "admin", "contact")  # whose departure is told first
SILENT_DAYS = 28
SOON_DAYS = 7  # nobody is expected to have taken over by then
MOST_ROLES = 2
PEERS_STEADY = 0.05
PEERS_APART = 0.1  # peers who moved nearly as far say nothing about this account
LONGEST_NAME = 40


@dataclass(frozen=True)
class Telling:
    """One sentence to be: whose evidence, of which feature, for a contribution of which sign."""

    feature: Feature
    reading: Reading
    sign: int
    target: str
    row: Row
    evidence: Evidence
    lang: str


def evidence_in(told: Telling, asked: Sequence[str] | Mapping[str, Any]) -> dict[str, Shown]:
    """Those of the placeholders `asked` that the account's evidence fills."""
    found = {}
    for name in asked:
        fill = _FILLS.get(name)
        shown = fill(told) if fill is not None else None
        if shown is not None:
            found[name] = shown
    return found


def _phrase(lang: str, name: str, **values: Shown) -> Shown:
    return Shown(write(language(lang).phrases[name], values, lang))


def _count(value: int, lang: str) -> Shown:
    return number(float(value), "count", lang)


@lru_cache(maxsize=4096)
def shown_name(name: str, lang: str) -> str:
    """A company's own name of a module, in the language's quotation marks and on one line."""
    plain = " ".join(name.split())
    plain = "".join(letter for letter in plain if letter.isprintable())
    if len(plain) > LONGEST_NAME:
        plain = plain[: LONGEST_NAME - 1].rstrip() + "…"
    return write(language(lang).phrases["quoted"], {"name": Shown(plain)}, lang)


def _listed(items: Sequence[str], lang: str, of: str = "both") -> str:
    """A list as the language has it. of: "both", or "neither" for one after a negation."""
    style = language(lang).phrases[f"list_{of}"]
    return format_list(list(items), style=style, locale=language(lang).locale)  # type: ignore[arg-type]


def _modules(key: str, of: str = "both") -> Callable[[Telling], Shown | None]:
    def fill(told: Telling) -> Shown | None:
        found = told.evidence.get("modules", {}).get(key)
        if not found:
            return None
        items = [shown_name(name, told.lang) for name in found["names"]]
        more = found["count"] - len(items)
        if more > 0:
            items.append(_phrase(told.lang, "more", n=_count(more, told.lang)).text)
        return Shown(_listed(items, told.lang, of), float(found["count"]))

    return fill


def _first_module(key: str) -> Callable[[Telling], Shown | None]:
    def fill(told: Telling) -> Shown | None:
        found = told.evidence.get("modules", {}).get(key)
        return Shown(shown_name(found["names"][0], told.lang)) if found else None

    return fill


def _move(told: Telling) -> Shown | None:
    """Where most of a change came from, if it went the way that the sentence tells."""
    move = told.evidence.get("moves", {}).get(MOVED.get(told.feature.name, ""))
    if not move or move["moved"] * told.reading.sense <= 0:
        return None
    values = {}
    if "users" in move:
        values["users"] = _count(move["users"], told.lang)
    if "module" in move:
        values["module"] = Shown(shown_name(move["module"], told.lang))
    return _phrase(told.lang, "move_" + "_".join(sorted(values)), **values) if values else None


def _peers(told: Telling) -> Shown | None:
    """What the peers did over the same days, where that speaks the same way as the contribution."""
    peers = told.evidence.get("peers")
    value = told.row.get(told.feature.name)
    if not peers or told.feature.name not in peers["medians"] or is_missing(value):
        return None
    theirs = change_of(told.feature, peers["medians"][told.feature.name])
    ours = change_of(told.feature, float(value))  # type: ignore[arg-type]
    apart = ours - theirs
    more = (apart > 0) - (apart < 0)
    direction = direction_of(told.feature, told.target)
    speaks = direction * more == told.sign if direction else more == told.reading.sense
    if abs(apart) < PEERS_APART or not speaks:
        return None
    way = "steady" if abs(theirs) < PEERS_STEADY else "rose" if theirs > 0 else "fell"
    if way != "steady" and abs(theirs) < abs(ours) and theirs * ours > 0:
        way += "_less"
    by = Shown(change(abs(theirs), told.lang).text.removeprefix("+"))
    return _phrase(told.lang, f"peers_{peers['of']}_{way}", by=by)


# Roles


def _left(told: Telling) -> tuple[str, Role] | None:
    """The key role that somebody left last, and what is known of it."""
    roles = told.evidence.get("roles", {})
    left = [
        (roles[name]["left_days"], place, name)
        for place, name in enumerate(ROLES)
        if "left_days" in roles.get(name, {})
    ]
    own = _role_of(told.feature)
    left = [one for one in left if own in (None, one[2])]
    if not left:
        return None
    days, _, name = min(left)
    return (name, roles[name]) if days < LONG_AGO_DAYS else None


def _role_of(feature: Feature) -> str | None:
    """The only role that a feature is about, if there is one."""
    return _role_in(feature.name)


@cache
def _role_in(name: str) -> str | None:
    return next((role for role in ROLES if role in name.split("_")), None)


def _leaver(name: str, role: Role, lang: str) -> str:
    """The role of one who left: "the champion" where there was no other, else "a champion"."""
    alone = role["holders"] == 0 and role["left_90d"] <= 1
    return language(lang).roles[name]["the" if alone else "a"]


def _who(told: Telling) -> Shown | None:
    left = _left(told)
    if left is None or (
        told.feature.name == "key_users_left_90d" and told.row["key_users_left_90d"] != 1
    ):
        return None
    return _capital(_leaver(*left, told.lang))


def _last(told: Telling) -> Shown | None:
    left = _left(told)
    return Shown(_leaver(*left, told.lang)) if left else None


def _left_days(told: Telling) -> Shown | None:
    left = _left(told)
    return _count(left[1]["left_days"], told.lang) if left and left[1]["left_days"] > 0 else None


def _since(told: Telling) -> Shown | None:
    """That nobody of the role has done anything since somebody left it; nothing if somebody has."""
    left = _left(told)
    if left is None or left[1]["left_days"] < SOON_DAYS:
        return None
    role = left[1]
    if not role["holders"]:
        return _phrase(told.lang, "since_empty")
    silent = role.get("silent_days", 0)
    if silent is None or silent >= role["left_days"]:
        return _phrase(told.lang, "since_silent")
    return None


def _idle(told: Telling) -> Shown | None:
    """That no holder of the feature's role has ever done anything."""
    name = _role_of(told.feature)
    role = told.evidence.get("roles", {}).get(name or "")
    if not name or not role or not role["holders"] or role.get("silent_days", 0) is not None:
        return None
    return _of_holders("idle", name, role, told.lang)


def _of_holders(phrase: str, name: str, role: Role, lang: str) -> Shown:
    words = language(lang).roles[name]
    if role["holders"] == 1:
        return _capital(_phrase(lang, f"{phrase}_one", role=Shown(words["the"])).text)
    several = {"n": _count(role["holders"], lang), "roles": Shown(words["many"])}
    return _capital(_phrase(lang, f"{phrase}_many", **several).text)


def _holder(told: Telling) -> Shown | None:
    """Those who hold the feature's role now: "the champion", "none of the 3 admins"."""
    name = _role_of(told.feature)
    role = told.evidence.get("roles", {}).get(name or "")
    if not name or not role or not role["holders"]:
        return None
    return _of_holders("holder", name, role, told.lang)


def _listed_roles(items: Sequence[str], lang: str) -> Shown | None:
    """Two roles by name; of more, how many they are."""
    if len(items) > MOST_ROLES:
        return _phrase(lang, "roles_several", n=_count(len(items), lang))
    return Shown(_listed(items, lang)) if items else None


def _silent(told: Telling) -> Shown | None:
    """The key roles in which nobody has done anything for four weeks."""
    items = []
    for name in ROLES:
        role = told.evidence.get("roles", {}).get(name)
        if not role or not role["holders"] or "silent_days" not in role:
            continue
        if role["silent_days"] is None or role["silent_days"] >= SILENT_DAYS:
            words = language(told.lang).roles[name]
            several = {"n": _count(role["holders"], told.lang), "roles": Shown(words["many"])}
            one = role["holders"] == 1
            items.append(words["the"] if one else _phrase(told.lang, "several", **several).text)
    return _listed_roles(items, told.lang)


def _critics(told: Telling) -> Shown | None:
    """Key roles of those who answered a low NPS."""
    return _listed_roles(_critic_roles(told), told.lang)


def _critic(told: Telling) -> Shown | None:
    """The key role of the one who gave the only low answer (the first, if they hold several)."""
    roles = _critic_roles(told)
    return Shown(roles[0]) if roles and told.row.get(told.feature.name) == 1 else None


def _critic_roles(told: Telling) -> list[str]:
    words, roles = language(told.lang).roles, told.evidence.get("roles", {})
    return [
        words[name]["the" if roles.get(name, {}).get("holders") == 1 else "a"]
        for name in ROLES
        if name in told.evidence.get("critics", [])
    ]


def _vacant(told: Telling) -> Shown | None:
    """That nobody holds the feature's role, though others have people in it."""
    name = _role_of(told.feature)
    role = told.evidence.get("roles", {}).get(name or "")
    if not name or role is None or role["holders"]:
        return None
    bare = Shown(language(told.lang).roles[name]["bare"])
    return _capital(_phrase(told.lang, "vacant", role=bare).text)


def _capital(text: str) -> Shown:
    return Shown(text[:1].upper() + text[1:])


_FILLS: Mapping[str, Callable[[Telling], Shown | None]] = {
    "move": _move,
    "peers": _peers,
    "used": _modules("used"),
    "gone": _modules("gone"),
    "dropped": _modules("dropped"),
    "taken_up": _modules("taken_up"),
    "viewed": _modules("viewed"),
    "viewed_only": _modules("viewed_only"),
    "completed": _modules("completed"),
    "never": _modules("never", "neither"),
    "unused": _modules("unused", "neither"),
    "top": _first_module("used"),
    "fallen": _first_module("fallen"),
    "who": _who,
    "last": _last,
    "left": _left_days,
    "since": _since,
    "holder": _holder,
    "idle": _idle,
    "vacant": _vacant,
    "silent": _silent,
    "critics": _critics,
    "critic": _critic,
}
PLACEHOLDERS = frozenset(_FILLS)
