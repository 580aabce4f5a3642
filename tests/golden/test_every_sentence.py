"""Every sentence that a feature can speak, in every language, as people read it.

Compared word for word with every_sentence.md. After a change of words, write it anew with
`CHURNML_REWRITE_GOLDEN=1 pytest tests/golden` and read it through: would a CSM say that?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from churnml.config import LANGUAGES
from churnml.explain.reading import Row, is_change, sister_of
from churnml.explain.tell import STAGE, Teller
from churnml.explain.text import NPS, SIGNED
from churnml.features.catalog import BY_NAME, CATALOG
from churnml.features.evidence import COMPARED, Evidence, Move, Role
from churnml.features.spec import Cadence, Feature, Slope

GOLDEN = Path(__file__).parent / "every_sentence.md"
AS_OF = datetime(2024, 3, 4)

MEDIANS = {
    "share": 0.4,
    "share of seats": 0.55,
    "money": 480.0,
    "seconds per week": 9000.0,
    "seconds per session": 900.0,
    "points of 5": 4.2,
    "points of 10": 8.0,
    "employees": 120.0,
    "months": 12.0,
}


BESIDE_IT: dict[str, float | str | None] = {
    "events_28d_per_week": 12.0,
    "completed_28d_per_week": 1.0,
    "modules_28d": 2.0,
    "active_users_28d": 3.0,
    "active_users_28d_seat_share": 0.25,
    "mrr": 480.0,
    "days_to_renewal": 27.0,
    "oldest_open_ticket_days": 12.0,
}


def _median(feature: Feature) -> float:
    if isinstance(feature.fn, Cadence):
        return 1.0
    if is_change(feature):
        return 0.0 if isinstance(feature.fn, Slope) else 0.02
    if feature.name in NPS | SIGNED:
        return 0.12
    if feature.unit not in MEDIANS and feature.unit.startswith(
        ("share", "rank", "points of share")
    ):
        return 0.4
    return MEDIANS.get(feature.unit, 40.0 if feature.unit.endswith("per week") else 8.0)


def _values(feature: Feature) -> list[float | str | None]:
    if feature.name == STAGE:
        return ["onboarding", "adopting", "steady", "renewing", None]
    if feature.categorical:
        return ["Analytics", None]
    if feature.unit == "rank":
        return [0.9, 0.08, 0.0, None]
    if isinstance(feature.fn, Slope):
        return [0.08, -0.06, 0.0, None]
    if isinstance(feature.fn, Cadence):
        return [1.6, 0.5, 0.0, 1.0, None]
    if is_change(feature):
        return [0.25, -0.5, -1.0, 0.01, None]
    if feature.name in NPS | SIGNED:
        return [0.6, 0.05, 0.0, -0.43, None]
    median = _median(feature)
    high = median * (1.15 if feature.unit.startswith("points") else 2.5)
    values: list[float | str | None] = [high, median / 4, 0.0, None]
    if (
        feature.unit.endswith("s")
        and median > 1
        and "points" not in feature.unit
        and "second" not in feature.unit
    ):
        values.insert(2, 1.0)
    if feature.name.startswith("days_since"):
        values.append(400.0)
    if feature.name == "discount_share":
        values.append(-0.1)
    return values


def _usual(name: str) -> float:
    return 1.0 if isinstance(BY_NAME[name].fn, Cadence) else 0.0


def _evidence(value: float | str | None, of: Literal["segment", "all"]) -> Evidence:
    """Two accounts' worth of evidence: with one module and one of each role, and with more."""
    few = of == "segment"
    first = {"names": ["collect", "analyse"][: 1 if few else 2], "count": 1 if few else 2}
    more = {"names": ["monitor", "share", "visualise"], "count": 3 if few else 5}
    sense = -1 if isinstance(value, float) and value < 0 else 1
    gone: Role = {"holders": 0, "left_days": 23, "left_90d": 1}
    silent: Role = {"holders": 3, "left_days": 40, "left_90d": 2, "silent_days": 41}
    move: Move = {"moved": 90 * sense, "module": "analyse", "users": 1 if few else 2}
    if not few:
        del move["module"]
    return {
        "moves": dict.fromkeys(("events", "logins", "completed"), move),
        "modules": {
            **dict.fromkeys(
                ("gone", "viewed_only", "never", "unused", "fallen", "dropped", "viewed"), first
            ),
            **dict.fromkeys(("used", "completed", "taken_up"), more),
        },
        "roles": {
            "champion": gone if few else {"holders": 1, "silent_days": 30},
            "admin": silent,
            "executive": {"holders": 1, "silent_days": 12 if few else 50},
            "contact": {"holders": 0} if few else {"holders": 2, "silent_days": None},
        },
        "critics": ["admin"] if few else ["admin", "champion"],
        "peers": {
            "of": of,
            "medians": {name: _usual(name) + (0.01 if few else -0.2) for name in COMPARED},
        },
    }


def _fuller(teller: Teller, feature: Feature, row: Row, plain: str) -> Iterator[str]:
    """What is told instead of the plain sentence where there is evidence."""
    said = set()
    for of in ("segment", "all"):
        evidence = _evidence(row[feature.name], of)  # type: ignore[arg-type]
        for sign in (+1, -1):
            text = teller.sentence(feature.name, sign, row, AS_OF, evidence)
            if text is not None and text != plain and text not in said:
                said.add(text)
                yield f"  - {text}"


def _lines(lang: str) -> Iterator[str]:
    for feature in CATALOG:
        reference = {} if feature.categorical else {feature.name: {"median": _median(feature)}}
        teller = Teller("churn", lang, "USD", reference)
        yield f"\n### {feature.name}\n"
        for value in _values(feature):
            row: dict[str, float | str | None] = {feature.name: value, **BESIDE_IT}
            row[feature.name] = value
            sister = sister_of(feature.name)
            if sister is not None:
                row[sister] = 0.0 if value == -1 else 9000.0 if "time" in sister else 30.0
            said = {sign: teller.sentence(feature.name, sign, row, AS_OF) for sign in (+1, -1)}
            marks = {(True, True): "±", (True, False): "+", (False, True): "−"}
            mark = marks.get((said[1] is not None, said[-1] is not None), "·")
            text = said[1] or said[-1] or teller.neutral(feature.name, row, AS_OF)
            yield f"- `{value}` {mark} {text}"
            yield from _fuller(teller, feature, row, text)
        yield f"- neutral: {teller.neutral(feature.name, {**row, feature.name: _values(feature)[0]}, AS_OF)}"


def test_every_sentence_reads_as_it_was_read_through() -> None:
    head = (
        "# Every sentence\n\nFor churn. + may stand for a contribution that raises the risk, − for "
        "one that lowers it, ± for\neither; · for none (the driver's neutral text is told). Indented: what is told where there is\n"
        "evidence beside the number.\n"
    )
    text = head + "".join(f"\n## {lang}\n" + "\n".join(_lines(lang)) + "\n" for lang in LANGUAGES)
    if os.environ.get("CHURNML_REWRITE_GOLDEN"):
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")
