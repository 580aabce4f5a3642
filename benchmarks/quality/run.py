"""Is churnml's model better than its peers, and by how much? On the same rows, split and label.

`python -m benchmarks.quality.run PROJECT… --peers-python PYTHON` builds each project once, lets every
contender learn in a process of its own, judges all alike and prints tables; `--json` keeps all figures."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.quality.judge import DEFAULT, TUNED, Judged, judge
from benchmarks.quality.prepare import prepare
from benchmarks.quality.rows import FACTS
from benchmarks.quality.show import cost_table, goal, quality_table, sentences
from benchmarks.quality.step import BUDGETED, CONTENDERS, OURS
from churnml.errors import ChurnmlError

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def contend(name: str, folder: Path, arguments: argparse.Namespace) -> str:
    """Run one contender on one cut. Returns why it failed, or nothing."""
    command = [
        sys.executable if name in OURS else arguments.peers_python,
        "-m", "benchmarks.quality.step", name, str(folder.resolve()),
    ]  # fmt: skip
    if name in BUDGETED:
        command += ["--budget", str(arguments.budget)]
    if name == TUNED:
        params = tuned_params(folder, arguments.tuned_params)
        if params is None:
            return "no params.toml"
        command += ["--params", str(params.resolve())]
    for left in (folder / f"{name}.json", folder / f"{name}.parquet"):
        left.unlink(missing_ok=True)
    ours = os.environ.get("PYTHONPATH", "") if name in OURS else ""
    environment = {
        **os.environ,
        **dict.fromkeys(ONE_THREAD, "1"),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), ours))),
    }
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"ended with {done.returncode}"


def tuned_params(folder: Path, tuned: Path | None) -> Path | None:
    """`<tuned>/<project>/models/<target>/params.toml`, where `churnml tune` leaves it; if there."""
    if tuned is None:
        return None
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    path = tuned / facts["project"] / "models" / facts["target"] / "params.toml"
    return path if path.is_file() else None


def main() -> int:
    """Run the projects that the command line names. Returns 1 if a project or a contender failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("projects", nargs="+", type=Path)
    parser.add_argument("--peers-python", default=sys.executable, help="of the peers' environment")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--tuned-params", type=Path, help="a folder of projects that were tuned")
    parser.add_argument(
        "--budget", type=float, default=60.0, help="seconds for FLAML and AutoGluon, each"
    )
    parser.add_argument("--folder", type=Path, default=Path("build/quality"))
    parser.add_argument("--json", type=Path, dest="out")
    arguments = parser.parse_args()
    console = Console(width=190)
    failed = False
    cuts: list[Path] = []
    for project in arguments.projects:
        try:
            for found in prepare(project, arguments.folder):
                if isinstance(found, str):
                    console.print(f"{project.name}: {found}", markup=False)
                else:
                    cuts.append(found)
        except ChurnmlError as error:
            failed = True
            console.print(f"{project}: {error}", markup=False)
    everybody: list[Judged] = []
    for cut in cuts:
        there = []
        for name in dict.fromkeys((DEFAULT, *arguments.only)):
            if name == TUNED and tuned_params(cut, arguments.tuned_params) is None:
                continue
            why = contend(name, cut, arguments)
            if why:
                failed = True
                console.print(f"{cut.name}: {name} failed: {why}", markup=False)
            else:
                there.append(name)
        judged = judge(cut, there)
        everybody.append(judged)
        console.print(quality_table(judged), cost_table(judged))
        for sentence in sentences(judged):
            console.print(sentence, markup=False)
    reached = {
        model: goal([j for j in everybody if model in j.figures], model)
        for model in (DEFAULT, TUNED)
        if any(model in judged.figures and judged.peers for judged in everybody)
    }
    console.print_json(json.dumps(reached))
    if arguments.out is not None:
        document = {
            "budget_seconds": arguments.budget,
            "cuts": {j.name: {"facts": j.facts, "contenders": j.figures} for j in everybody},
            "goal": reached,
        }
        arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
