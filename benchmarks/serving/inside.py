"""A row's score and reasons without any server: what the service does for it, called in a process.

`python -m benchmarks.serving.inside PROJECT ROWS` reads rows as JSON lines and says "ready"; for each
number of seconds on its input it calls that long, a row at a time, and prints the milliseconds of each
call and the CPU seconds of all as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from churnml.serve.desk import Desk
from churnml.serve.resources import rows_answer
from churnml.serve.schema import FeatureRow

WARM_S = 1.0


@dataclass(frozen=True)
class Called:
    """One process's turn. took_ms: each call, in order."""

    took_ms: list[float]
    cpu_seconds: float


class Callers:
    """Processes that call at the same time."""

    def __init__(self, project: Path, rows: Path, processes: int):
        command = [sys.executable, "-m", "benchmarks.serving.inside", str(project), str(rows)]
        self._all = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for one in self._all:
            assert one.stdout is not None
            if one.stdout.readline() != "ready\n":
                raise SystemExit(f"a caller ended with {one.wait()} before it was ready.")

    def call(self, seconds: float) -> list[Called]:
        """What each process took, all calling for so long."""
        for one in self._all:
            assert one.stdin is not None
            one.stdin.write(f"{seconds}\n")
            one.stdin.flush()
        found = []
        for one in self._all:
            assert one.stdout is not None
            found.append(Called(**json.loads(one.stdout.readline())))
        return found

    def stop(self) -> None:
        """End them."""
        for one in self._all:
            one.communicate()


def main() -> None:
    """Call whenever a line says how long."""
    project, file = Path(sys.argv[1]), Path(sys.argv[2])
    held = Desk(project).held(at_once=True)
    bodies = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [FeatureRow(**row) for body in bodies for row in body["rows"]]

    def calls(seconds: float) -> Called:
        took: list[float] = []
        cpu = time.process_time()
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            rows_answer(held, [rows[len(took) % len(rows)]], None, "en")
            took.append((time.perf_counter() - began) * 1e3)
        return Called(took, time.process_time() - cpu)

    calls(WARM_S)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(calls(float(line)))), flush=True)


if __name__ == "__main__":
    main()
