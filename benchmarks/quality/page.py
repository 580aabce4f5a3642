"""The figures of a run as Markdown, for benchmarks/RESULTS.md: `python -m benchmarks.quality.page JSON`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HEAD = (
    "contender", "PR AUC", "ROC AUC", "log loss", "lift at 10 %", "log loss, its own level",
    "log loss: churnml less it", "training, CPU s", "µs per explained row", "trees, leaves", "kB",
)  # fmt: skip
OURS = "churnml"


def page(figures: Mapping[str, Any]) -> Iterator[str]:
    """A line at a time: the best peer of each target, then a table per target."""
    head = ("target", "best peer", "churnml's default less it", "times its training time",
            "times its explaining cost")  # fmt: skip
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for name, cut in figures["cuts"].items():
        yield _best(name, cut["contenders"])
    for name, cut in figures["cuts"].items():
        facts = cut["facts"]
        rows = " / ".join(f"{count:,}" for count in facts["rows"])
        yield ""
        yield (
            f"**{name}**: {facts['test_outcomes']} of {facts['test_accounts']:,} test accounts with the "
            f"outcome, {facts['train_outcomes']} in training, {facts['features']} features, {rows} rows to "
            "train, calibrate and test."
        )
        yield ""
        yield "| " + " | ".join(HEAD) + " |"
        yield "|---" * len(HEAD) + "|"
        for contender in cut["contenders"].values():
            yield "| " + " | ".join(_cells(contender)) + " |"


def _best(name: str, contenders: Mapping[str, Any]) -> str:
    ours = contenders[OURS]
    peers = [c for key, c in contenders.items() if not key.startswith(OURS)]
    best = min(peers, key=lambda c: c["log_loss"]["value"])
    time = ours["training_seconds"] / best["training_seconds"]
    cost = best.get("explain_us_per_row")
    told = f"{ours['explain_us_per_row'] / cost:.2g}" if cost else "no exact reasons there"
    return f"| {name} | {best['what']} | {_difference(best)} | {time:.2g} | {told} |"


def _cells(contender: Mapping[str, Any]) -> Iterator[str]:
    yield contender["what"]
    for metric in ("pr_auc", "roc_auc"):
        found = contender[metric]
        yield f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
    yield f"{contender['log_loss']['value']:.4f}"
    yield f"{contender['lift_at_10_percent']['value']:.2f}"
    own = contender.get("own_log_loss")
    yield "–" if own is None else f"{own:.4f}"
    yield _difference(contender)
    yield f"{contender['training_seconds']:.2g}"
    cost = contender.get("explain_us_per_row")
    yield f"{cost:.3g}" if cost else "none"
    trees, leaves = contender.get("trees"), contender.get("leaves")
    yield f"{trees:,}, {leaves:,}" if trees else f"{leaves:,} weights" if leaves else ""
    size = contender.get("text_bytes")
    yield f"{size / 1000:,.1f}" if size else ""


def _difference(contender: Mapping[str, Any]) -> str:
    found = (contender.get("differences") or {}).get("log_loss")
    if not found:
        return ""
    told = f"{found['value']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
    return f"**{told}**" if found["low"] > 0 or found["high"] < 0 else told


if __name__ == "__main__":
    print("\n".join(page(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
