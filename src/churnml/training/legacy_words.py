"""What leadership is told of a company's own score beside the model's. Owns the sentences; counts nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping

from churnml.training.evaluate import Estimate
from churnml.training.legacy import LEGACY, MODEL, Held

# target -> (of accounts with the outcome, of those without)
VERBS = {"churn": ("left", "stayed"), "contraction": ("shrank", "did not shrink")}
FEW_OUTCOMES = 20


def sentences(held: Held, target: str, levels: tuple[str, ...], currency: str) -> tuple[str, ...]:
    """What was missed, the false alarms and the money, the same workload for both."""
    did, did_not = VERBS[target]
    if not held.outcomes:
        return (
            f"None of the {_accounts(held.accounts)} {did} in these windows: what a score misses "
            "cannot be told.",
        )
    told = [*_missed(held, did, levels, currency), *_false_alarms(held, did_not, levels)]
    told.append(_money(held, did))
    if held.outcomes < FEW_OUTCOMES:
        told.append(
            f"Only {_accounts(held.outcomes)} {did}: the intervals are wide, and a single account "
            "moves every figure."
        )
    return tuple(told)


def _missed(held: Held, did: str, levels: tuple[str, ...], currency: str) -> list[str]:
    legacy, model = held.alarms[LEGACY], held.alarms[MODEL]
    all_of_them = f"Of {_accounts(held.outcomes)} that {did}"
    if not levels:
        return [
            f"{all_of_them} (MRR {_money_of(held.outcome_mrr, currency)}), the legacy score had "
            f"{legacy.found} ({_money_of(legacy.found_mrr, currency)}) among its alarms on the last "
            f"snapshot before; churnml, allowed as many alarms, {model.found} "
            f"({_money_of(model.found_mrr, currency)})."
        ]
    worst, best = levels[0], levels[-1]
    missed_mrr = sum(one.mrr for one in held.missed if not math.isnan(one.mrr))
    told = [
        f"{all_of_them}, the legacy score had {len(held.missed)} {best} on the last snapshot before "
        f"(MRR {_money_of(missed_mrr, currency)}); churnml, allowed as many alarms, found "
        f"{sum(one.alarmed for one in held.missed)} of those."
    ]
    if not legacy.rows:
        told.append(
            f"The legacy score was {worst} on none of these snapshots: it raised no alarm, so churnml "
            "was allowed none."
        )
        return told
    told.append(
        f"{worst.capitalize()} on that snapshot: {legacy.found} of the {held.outcomes} "
        f"(MRR {_money_of(legacy.found_mrr, currency)}); among churnml's alarms, as many on each date: "
        f"{model.found} ({_money_of(model.found_mrr, currency)})."
    )
    return told


def _false_alarms(held: Held, did_not: str, levels: tuple[str, ...]) -> list[str]:
    legacy, model = held.alarms[LEGACY], held.alarms[MODEL]
    if not legacy.rows:
        return []
    which = f"{levels[0]} snapshots" if levels else "alarms"
    ours = _share(model.false_rows, model.rows)
    return [
        f"After {legacy.false_rows:,} of the {legacy.rows:,} {which} "
        f"({_share(legacy.false_rows, legacy.rows)}) the account {did_not}, "
        f"{_accounts(legacy.false_accounts)} in all: false alarms. Of as many alarms of churnml's: "
        f"{model.false_rows:,} ({ours}), {_accounts(model.false_accounts)}."
    ]


def _money(held: Held, did: str) -> str:
    measures: dict[str, Mapping[str, Estimate]] = {
        side: found.measures for side, found in held.alarms.items()
    }
    legacy, model = measures[LEGACY]["mrr_recall"], measures[MODEL]["mrr_recall"]
    gap = held.alarm_differences["mrr_recall"]
    if any(math.isnan(estimate.value) for estimate in (legacy, model)):
        return "How much of the MRR stood among alarms cannot be told: none of it is known."
    told = (
        f"Of the MRR that {did}, {100 * legacy.value:.0f} % stood among the legacy score's alarms and "
        f"{100 * model.value:.0f} % among churnml's: {100 * gap.value:+.0f} points"
    )
    if math.isnan(gap.low):
        return f"{told}; how sure that is cannot be told from so few accounts."
    if gap.low <= 0 <= gap.high:
        surely = "which may be chance"
    elif gap.value > 0:
        surely = "churnml finds more, and not by chance"
    else:
        surely = "the legacy score finds more, and not by chance"
    return f"{told} (interval {100 * gap.low:+.0f} to {100 * gap.high:+.0f}), {surely}."


def _accounts(count: int) -> str:
    return f"{count:,} account" + ("" if count == 1 else "s")


def _money_of(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"
