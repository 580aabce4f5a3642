"""What is kept of a tuning: a params.toml with its figures, the trials as rows, the front as a picture.

Owns their words and form; chooses nothing. Nothing here names a moment, so that the same trials give the
same bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churnml.training.drawing import plt, save
from churnml.training.params import Search
from churnml.training.tune import Trial, Tuned, difference, plain_space
from churnml.training.tune_folds import Folds

TODAY, CHOSEN, BEST = "today", "chosen", "best"


@dataclass(frozen=True)
class TuneFacts:
    """What the papers say beside the trials. study: the fingerprint; where: of the params.toml that
    would take the choice over."""

    target: str
    study: str
    seed: int
    space: Search
    folds: Folds


def marks(tuned: Tuned, trial: Trial) -> tuple[str, ...]:
    """What a trial is: today's parameters, the chosen, the one of the lowest loss, or several of them."""
    named = ((TODAY, tuned.current), (CHOSEN, tuned.chosen), (BEST, tuned.best))
    return tuple(name for name, one in named if one is trial)


def trial_row(tuned: Tuned, trial: Trial, space: Search) -> dict[str, Any]:
    """One trial in plain values; to_best and to_today only of complete trials: log loss minus theirs."""
    complete = trial.state == "complete"
    row: dict[str, Any] = {
        "trial": trial.number,
        "state": trial.state,
        "marks": list(marks(tuned, trial)),
        "front": any(one is trial for one in tuned.front),
        "folds": len(trial.folds),
        "log_loss": trial.loss,
        "log_loss_error": trial.error(),
    }
    for name, other in (("to_best", tuned.best), ("to_today", tuned.current)):
        found = difference(trial, other) if complete else None
        row[name] = found.value if found else None
        row[f"{name}_error"] = found.error if found else None
    row |= {"explaining_cost": trial.cost, "trees": trial.trees}
    return row | {key: getattr(trial.params, key) for key in space}


def trials_csv(tuned: Tuned, space: Search) -> str:
    """All trials, a line each."""
    rows = [trial_row(tuned, trial, space) for trial in tuned.trials]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "marks": " ".join(row["marks"])})
    return text.getvalue()


def tuned_toml(tuned: Tuned, facts: TuneFacts) -> str:
    """The chosen parameters as a params.toml, its figures in the header."""
    lines = [*(f"# {line}".rstrip() for line in _header(tuned, facts)), "[fit]"]
    lines += [f"{key} = {_toml(value)}" for key, value in tuned.params.model_dump().items()]
    lines += ["", "# What `churnml tune` may move, and how far.", "[search]"]
    for key, found in plain_space(facts.space).items():
        inner = ", ".join(f"{name} = {_toml(value)}" for name, value in found.items())
        lines.append(f"{key} = {{ {inner} }}")
    return "\n".join(lines) + "\n"


def _header(tuned: Tuned, facts: TuneFacts) -> list[str]:
    folds = facts.folds.folds
    pruned = sum(trial.state == "pruned" for trial in tuned.trials)
    gained = difference(tuned.chosen, tuned.current)
    lines = [
        f"How the {facts.target} model is fitted: chosen by `churnml tune`, to be reviewed by people.",
        f"Study {facts.study}, seed {facts.seed}: {len(tuned.trials)} trials, {pruned} of them pruned.",
        f"Judged on {len(folds)} purged fold{'s' if len(folds) > 1 else ''}, "
        f"{folds[0].judge.first:%Y-%m-%d} to {folds[-1].judge.last:%Y-%m-%d}; "
        f"the test part from {facts.folds.test.first:%Y-%m-%d} on is as unseen as before.",
        "",
        "          trial   log loss   minus the best's         explaining cost   trees",
    ]
    for name, trial in ((TODAY, tuned.current), (BEST, tuned.best), (CHOSEN, tuned.chosen)):
        to_best = difference(trial, tuned.best)
        lines.append(
            f"{name:<9} {trial.number:>5}   {trial.loss:.5f}    {to_best.value:+.5f} ± {to_best.error:.5f}"
            f"   {trial.cost:>18,.0f}   {trial.trees:>5}"
        )
    return [
        *lines,
        "",
        f"The chosen minus today's: {gained.value:+.5f} ± {gained.error:.5f} (one standard error, by "
        "accounts).",
        "Chosen is the cheapest to explain of those within one standard error of the best.",
    ]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return repr(value)


def draw_front(tuned: Tuned, target: str, path: Path) -> None:
    """Loss against cost of every complete trial, the front as a line."""
    figure, axes = plt.subplots(figsize=(7, 5))
    complete = [trial for trial in tuned.trials if trial.state == "complete"]
    axes.scatter(
        [t.cost for t in complete], [t.loss for t in complete], s=14, color="0.6", label="trials"
    )
    axes.plot(
        [t.cost for t in tuned.front], [t.loss for t in tuned.front], marker="o", label="front"
    )
    for name, trial, colour in (
        ("today's", tuned.current, "tab:orange"),
        (CHOSEN, tuned.chosen, "tab:green"),
    ):
        axes.scatter(
            [trial.cost], [trial.loss], s=130, facecolors="none", edgecolors=colour,
            linewidths=2, label=f"{name} (trial {trial.number})",
        )  # fmt: skip
    # Costs span decades; a model of one leaf costs nothing.
    axes.set_xscale("symlog", linthresh=10)
    axes.set(
        xlabel="cost of explaining a row (leaves × depth², summed over trees)",
        ylabel="log loss on the purged folds",
        title=f"{target}: log loss and cost of explaining",
    )
    axes.legend(loc="upper right", fontsize=8)
    save(figure, path)


def flat_metrics(tuned: Tuned) -> dict[str, float]:
    """What the record in MLflow says in numbers."""
    gained = difference(tuned.chosen, tuned.current)
    flat = {
        "trials": float(len(tuned.trials)),
        "pruned": float(sum(trial.state == "pruned" for trial in tuned.trials)),
        "chosen_minus_today": gained.value,
        "chosen_minus_today_error": gained.error,
    }
    for name, trial in ((TODAY, tuned.current), (CHOSEN, tuned.chosen), (BEST, tuned.best)):
        flat |= {f"{name}.log_loss": trial.loss, f"{name}.explaining_cost": trial.cost}
    return flat


def record_params(tuned: Tuned, facts: TuneFacts) -> Mapping[str, str]:
    """What the record in MLflow says in words: the chosen parameters, and the study."""
    plain: dict[str, object] = {
        "target": facts.target,
        "study": facts.study,
        "seed": facts.seed,
        "chosen_trial": tuned.chosen.number,
        **{f"fit.{key}": value for key, value in tuned.params.model_dump().items()},
    }
    return {key: str(value) for key, value in plain.items()}
