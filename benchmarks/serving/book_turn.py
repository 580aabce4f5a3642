"""One scoring run of a project, timed by its own phases: `python -m benchmarks.serving.book_turn`.

Prints one line of JSON. A process of its own, since a model's first use, imports and peak memory belong to
a run as `churnml score` makes it."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from churnml.stages.phase import Phase
from churnml.stages.project import open_project
from churnml.stages.score import score

FIRST_COUNTED = "rows"


class Clock:
    """Seconds of each phase, and what stood at the counted part's beginning."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self.before_mb = 0.0
        self.cpu = 0.0
        self._now: str | None = None
        self._since = 0.0

    def watch(self, phase: Phase) -> None:
        """A phase begins (or goes on); the one before it has ended."""
        self.stop()
        if phase.name == FIRST_COUNTED and not self.before_mb:
            self.before_mb, self.cpu = peak_mb(), -cpu_seconds()
        self._now, self._since = phase.name, time.perf_counter()

    def stop(self) -> None:
        """The phase that is under way has ended."""
        if self._now is not None:
            spent = time.perf_counter() - self._since
            self.phases[self._now] = self.phases.get(self._now, 0.0) + spent


def cpu_seconds() -> float:
    """Of this process and its finished children."""
    told = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in told)


def peak_mb() -> float:
    """The peak of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Score, and print what it took."""
    project, folder = Path(sys.argv[1]), Path(sys.argv[2])
    clock, out = Clock(), folder / "scores.parquet"
    scored = score(open_project(project), out=out, whole=True, watch=clock.watch)
    clock.stop()
    told = {
        "rows": len(scored.rows),
        "horizons": sum(max(1, len(row.outlook.get("within_days", {}))) for row in scored.rows),
        "accounts": len(scored.accounts),
        "targets": len(scored.run.model_versions),
        "phases": clock.phases,
        "cpu": clock.cpu + cpu_seconds(),
        "before_mb": clock.before_mb,
        "peak_mb": peak_mb(),
        "store_mb": (folder / "store.db").stat().st_size / 1e6,
        "parquet_mb": out.stat().st_size / 1e6,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
