"""Three targets trained, calibrated and judged with intervals, as `churnml train` does it.

`python -m benchmarks.training.train` simulates a company, builds its snapshots once (timed apart), keeps the
first so many features, and trains churn, contraction and expansion: side by side in processes, and one after
the other with the share of each step."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import tempfile
import time
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from churnml.stages.build import build, calendar_dates, label_frame, open_tables
from churnml.stages.init import init_project
from churnml.stages.project import open_project
from churnml.stages.simulate import simulate_company
from churnml.stages.train import settings_of
from churnml.training.train import train_target

STEPS = {
    "fit, with five groups in turn to stop": ("learn.py", "learn"),
    "baselines": ("baselines.py", "baselines"),
    "metrics with intervals": ("evaluate.py", "evaluate"),
    "by segment": ("segments.py", "judge_segments"),
    "leak audit": ("audit.py", "audit_table"),
    "papers, with the interval of each probability": ("papers.py", "bundle_of"),
}


def prepared(folder: Path, accounts: int, features: int) -> tuple[list[tuple[Any, ...]], str]:
    """The arguments of `train_target` for each target, and what they are, in words."""
    simulate_company(folder / "data", accounts, 104, 7, rollouts=0)
    init_project(folder, None)
    project = open_project(folder)
    with open_tables(project) as workspace:
        config = project.config
        built = build(workspace, config, calendar_dates(workspace, config))
        kept = built.features[:features]
        jobs = [
            (
                built.frame, label_frame(workspace, config, target), kept, target, declared,
                settings_of(workspace, config, target), workspace.data_through,
            )
            for target, declared in config.targets.items()
        ]  # fmt: skip
    return jobs, f"{len(built.frame):,} snapshots × {len(kept)} features, {len(jobs)} targets"


def main() -> None:
    """Print the seconds, and where they go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--features", type=int, default=120)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    console = Console(width=100)
    with tempfile.TemporaryDirectory(prefix="churnml-training-") as name:
        began = time.perf_counter()
        jobs, what = prepared(Path(name), asked.accounts, asked.features)
        console.print(f"{what}; simulated and built in {time.perf_counter() - began:.1f} s")
        began = time.perf_counter()
        trained = Parallel(n_jobs=asked.workers)(delayed(train_target)(*job) for job in jobs)
        side = time.perf_counter() - began
        began, profile = time.perf_counter(), cProfile.Profile()
        profile.enable()
        for job in jobs:
            train_target(*job)
        profile.disable()
        alone = time.perf_counter() - began
    shown = Table(box=None)
    for column in ("", "seconds"):
        shown.add_column(column, justify="right" if column else "left")
    shown.add_row(f"side by side, {asked.workers} processes with their start", f"{side:.1f}")
    shown.add_row("one after the other, profiled", f"{alone:.1f}")
    for words, seconds in steps(pstats.Stats(profile)).items():
        shown.add_row(f"  of it {words}", f"{seconds:.1f}")
    console.print(shown)
    for found in trained:
        auc = found.evaluation.model["roc_auc"]
        console.print(
            f"{found.target}: {found.bundle.booster.num_trees()} trees, ROC AUC {auc.value:.3f} "
            f"[{auc.low:.3f}, {auc.high:.3f}]"
        )


def steps(stats: pstats.Stats) -> dict[str, float]:
    """Step -> seconds inside its function, all calls together."""
    found = dict.fromkeys(STEPS, 0.0)
    for (file, _, function), (_, _, _, inside, _) in stats.stats.items():  # type: ignore[attr-defined]
        for words, (module, name) in STEPS.items():
            if function == name and file.endswith(f"training/{module}"):
                found[words] += inside
    return found


if __name__ == "__main__":
    main()
