"""What was judged, on the terminal. Owns tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.quality.judge import DEFAULT, SHOWN, TUNED, Judged, verdict

TENTH = 0.1  # of the best peer's time and explaining cost: what churnml aims at


def told(estimate: Mapping[str, float | None], digits: int = 3, sign: str = "") -> str:
    """A figure with its interval, if it has one."""
    if estimate["value"] is None:
        return "–"
    value = f"{estimate['value']:{sign}.{digits}f}"
    if estimate["low"] is None:
        return value
    return f"{value} [{estimate['low']:{sign}.{digits}f}, {estimate['high']:{sign}.{digits}f}]"


def quality_table(judged: Judged) -> Table:
    """How good each contender is, and churnml's default minus it."""
    facts = judged.facts
    table = Table(
        title=f"{judged.name}: {facts['test_outcomes']} of {facts['test_accounts']} test accounts with "
        f"the outcome, {facts['train_outcomes']} in training, {facts['features']} features",
        title_justify="left",
    )
    for column in (
        "contender", "PR AUC", "ROC AUC", "log loss", "lift at 10 %", "log loss, its own level",
        "log loss: churnml less it", "ROC AUC: churnml less it",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "contender" else "right")
    for found in judged.figures.values():
        own, differences = found["own_log_loss"], found.get("differences")
        table.add_row(
            found["what"],
            *(told(found[metric], 4 if metric == "log_loss" else 3) for metric in SHOWN),
            "–" if own is None else f"{own:.4f}",
            told(differences["log_loss"], 4, "+") if differences else "",
            told(differences["roc_auc"], 3, "+") if differences else "",
        )
    return table


def cost_table(judged: Judged) -> Table:
    """What each contender costs, as figures and as times churnml's default."""
    table = Table(title=f"{judged.name}: cost, one thread", title_justify="left")
    for column in (
        "contender", "training, CPU seconds", "times churnml", "µs per explained row", "times churnml",
        "trees", "leaves or weights", "kB", "what was chosen",
    ):  # fmt: skip
        last = column in ("contender", "what was chosen")
        table.add_column(column, justify="left" if last else "right", overflow="fold")
    mine = judged.figures[DEFAULT]
    for found in judged.figures.values():
        explained = found["explain_us_per_row"]
        table.add_row(
            found["what"], f"{found['training_seconds']:.2f}", _times(found, mine, "training_seconds"),
            "none" if explained is None else f"{explained:.1f}",
            _times(found, mine, "explain_us_per_row"),
            f"{found['trees']:,}", f"{found['leaves']:,}", f"{found['text_bytes'] / 1000:,.1f}",
            found["note"],
        )  # fmt: skip
    return table


def _times(found: Mapping[str, Any], mine: Mapping[str, Any], key: str) -> str:
    if found[key] is None or not mine[key]:
        return ""
    return f"{found[key] / mine[key]:.2g}"


def sentences(judged: Judged) -> list[str]:
    """What may be quoted of one cut, beginning with what hurts."""
    out = []
    for model, key in ((DEFAULT, "differences"), (TUNED, "tuned_differences")):
        if model not in judged.figures:
            continue
        by: dict[str, list[str]] = {}
        for name in judged.peers:
            by.setdefault(verdict(judged, name, key), []).append(judged.figures[name]["what"])
        mine, best = judged.figures[model], judged.figures[judged.best_peer]
        parts = [f"{word} {_than(word)} {', '.join(by[word])}" for word in _ORDER if word in by]
        out.append(
            f"{judged.name}, {mine['what']}, by log loss: {'; '.join(parts)}. Best peer: "
            f"{best['what']} ({told(best[key]['log_loss'], 4, '+')}); churnml takes "
            f"{_share(mine, best, 'training_seconds')} of its training time and "
            f"{_share(mine, best, 'explain_us_per_row')} of its explaining cost."
        )
    return out


_ORDER = ("worse", "level", "better", "no interval")


def _than(word: str) -> str:
    return {"worse": "than", "better": "than", "level": "with"}.get(word, "beside")


def _share(mine: Mapping[str, Any], other: Mapping[str, Any], key: str) -> str:
    if mine[key] is None or other[key] is None:
        return "an unknown share"
    return f"{mine[key] / other[key]:.2g} times"


def goal(all_judged: Sequence[Judged], model: str = DEFAULT) -> dict[str, Any]:
    """The goal, in numbers: against each cut's best peer. One without exact reasons counts as dearer."""
    key = "differences" if model == DEFAULT else "tuned_differences"
    words = {judged.name: verdict(judged, judged.best_peer, key) for judged in all_judged}
    cheap = {}
    for judged in all_judged:
        mine, best = judged.figures[model], judged.figures[judged.best_peer]
        cheap[judged.name] = all(
            best[cost] is None or mine[cost] <= TENTH * best[cost]
            for cost in ("training_seconds", "explain_us_per_row")
        )
    return {
        "against_best_peer": words,
        "never_worse": "worse" not in words.values(),
        "lower_log_loss": sum(
            judged.figures[judged.best_peer][key]["log_loss"]["value"] < 0 for judged in all_judged
        ),
        "at_a_tenth_of_the_cost": cheap,
    }
