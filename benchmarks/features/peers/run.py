"""Run peers, each in a process of its own and within a limit, and say what became of them.

Owns limits, extrapolation and words: a run that was stopped is a lower bound, some dates are some dates,
and a peer whose values differ is no peer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.features.peers.compare import Difference, compare

SAMPLED = ("pandas", "featuretools")  # all dates would take these minutes to hours


@dataclass
class Outcome:
    """What became of a peer's runs: `runs` took their time, or it was stopped or failed (`ended`)."""

    peer: str
    dates: int  # of the log
    features: int  # of churnml
    limit: float
    runs: list[dict[str, Any]] = field(default_factory=list)
    difference: Difference | None = None
    stopped: bool = False
    failed: str = ""

    @property
    def wrong(self) -> bool:
        """Whether it made values, and others than churnml's."""
        return self.difference is not None and not self.difference.equal

    @property
    def share(self) -> float:
        """How many times the dates that it made the log has."""
        return self.dates / self.difference.dates if self.difference else 1.0

    def median(self, key: str) -> float:
        """The median of a figure; of seconds and CPU seconds as if all dates had been made."""
        return statistics.median(extrapolated(run, key, self.share) for run in self.runs)

    def cells(self, seconds: float, cpu: float) -> list[str]:
        """Its row beside churnml's seconds and CPU seconds."""
        name = str(self.runs[0]["versions"]) if self.runs else self.peer
        if self.failed:
            return [name, "", "", f"failed: {self.failed}"]
        if self.stopped or self.difference is None:
            lower = f"more than {self.limit / seconds:.1f}"
            return [name, "", "", f"more than {self.limit:.0f} (a lower bound)", lower]
        made, mine = self.median("rows"), self.median("seconds")
        snapshots = f"{made:,.0f}"
        if self.share > 1:
            snapshots += f" (extrapolated from {self.difference.dates} of {self.dates} dates)"
        return [
            name, f"{self.difference.features} of {self.features}", snapshots, f"{mine:.1f}",
            f"{mine / seconds:.1f}", f"{self.median('cpu_seconds'):.1f}",
            f"{self.median('cpu_seconds') / cpu:.1f}", f"{self.median('peak_gb'):.2f}",
            str(self.difference),
        ]  # fmt: skip

    def sentence(self, ours: Sequence[Mapping[str, float]]) -> str:
        """What may be quoted of it."""
        seconds = statistics.median(run["seconds"] for run in ours)
        if self.failed:
            return f"{self.peer}: failed ({self.failed})"
        if self.stopped or self.difference is None:
            return (
                f"{self.peer}: more than {self.limit:.0f} s (a lower bound), so churnml was more than "
                f"{self.limit / seconds:.1f} times faster"
            )
        if self.wrong:
            return f"{self.peer}: no peer, its values differ. {self.difference}"
        mine = self.median("seconds")
        memory = self.median("peak_gb") / statistics.median(run["peak_gb"] for run in ours)
        said = (
            f"{self.runs[0]['versions']}: {self.difference.features} of the {self.features} features in "
            f"{mine:.1f} s, {mine / seconds:.1f} times churnml's; peak memory {memory:.1f} times; "
            f"equal to {self.difference}"
        )
        if self.share > 1:
            said += f"; extrapolated from {self.difference.dates} of {self.dates} snapshot dates"
        return said


def extrapolated(run: Mapping[str, Any], key: str, share: float) -> float:
    """A figure of a run; of seconds: what is done once stays, what is done per date is multiplied."""
    value = float(run[key])
    if share <= 1 or key not in ("seconds", "cpu_seconds"):
        return value
    once, each = float(run["once_seconds"]), float(run["each_seconds"])
    # CPU time is not told apart: it is split as the time of the clock was.
    return value * (once + each * share) / (once + each)


class Runner:
    """Runs peers on one log, whose folder holds snapshots.parquet and expected.parquet."""

    def __init__(
        self,
        folder: Path,
        python: str,
        limit_seconds: float,
        sample: int | None,
        memory: str,
        threads: int,
    ):
        self._folder = folder
        self._python = python
        self._limit = limit_seconds
        self._sample = sample
        self._memory = memory
        self._threads = threads
        self._outcomes: dict[str, Outcome] = {}

    def outcome(self, peer: str) -> Outcome:
        """What became of a peer so far."""
        return self._outcomes[peer]

    def run(self, peer: str) -> None:
        """Run a peer once, unless a run of it was stopped or failed before."""
        outcome = self._outcomes.setdefault(peer, self._empty(peer))
        if outcome.stopped or outcome.failed:
            return
        out = self._folder / f"{peer}.parquet"
        _remove(out)
        found = self._process(peer, out, outcome)
        if found is None:
            return
        outcome.runs.append(found)
        if outcome.difference is None or outcome.difference.equal:
            parts = out / "*.parquet" if out.is_dir() else out  # Spark writes a folder
            outcome.difference = compare(self._folder / "expected.parquet", parts)
        _remove(out)

    def _empty(self, peer: str) -> Outcome:
        same = compare(self._folder / "expected.parquet", self._folder / "expected.parquet")
        return Outcome(peer, same.dates, same.features, self._limit)

    def _process(self, peer: str, out: Path, outcome: Outcome) -> dict[str, Any] | None:
        # Featuretools holds pandas back at 2; pandas itself runs as new as churnml's.
        python = sys.executable if peer == "pandas" else self._python
        command = [python, "-m", "benchmarks.features.peers.step", peer, str(self._folder),
                   str(out), "--threads", str(self._threads), "--memory", self._memory]  # fmt: skip
        if self._sample is not None and peer in SAMPLED:
            command += ["--sample", str(self._sample)]
        threads = {"POLARS_MAX_THREADS": str(self._threads)}
        errors = self._folder / f"{peer}.log"
        with errors.open("w") as noise, subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=noise, text=True, start_new_session=True,
            env=os.environ | threads,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            lines: list[str] = []
            # The limit is of the work: it runs from when the peer's own clock does.
            watch = threading.Timer(self._limit, _stop, (process.pid, outcome))
            for line in process.stdout:
                lines.append(line)
                if line.strip() == "began":
                    watch.start()
                elif line.startswith("{"):
                    watch.cancel()
            watch.cancel()
        if outcome.stopped:
            return None
        if process.returncode != 0:
            said = errors.read_text().strip().splitlines()
            outcome.failed = f"{said[-1] if said else process.returncode} (see {errors})"
            return None
        found: dict[str, Any] = json.loads(lines[-1])
        return found


def _stop(process: int, outcome: Outcome) -> None:
    outcome.stopped = True
    os.killpg(process, signal.SIGKILL)  # a session of its own: Spark's JVM goes with it


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
