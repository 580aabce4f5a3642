"""One peer, in a process of its own: `python -m benchmarks.features.peers.step PEER FOLDER OUT`.

Prints `began` when its clock starts (packages imported, sessions open), then one line of JSON: seconds,
cpu_seconds, peak_gb (of the process and its children), rows, columns, versions and, where only some
snapshots were made, once_seconds and each_seconds. OUT gets the values, after the clock has stopped."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import time
from importlib.metadata import version
from pathlib import Path

PEERS = {
    "polars": "in_polars",
    "pandas": "in_pandas",
    "pyspark": "in_spark",
    "featuretools": "in_featuretools",
}
TICKS = os.sysconf("SC_CLK_TCK")


def family(root: int) -> list[int]:
    """Process ids of a process and all that it started and that still run."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


def peak_gb() -> float:
    """The highest resident memory of each process of ours, added up (Spark's work is a child's)."""
    peaks = 0
    for process in family(os.getpid()):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peaks += int(line.split()[1])
    return peaks / 2**20


def cpu_seconds() -> float:
    """CPU time of all processes of ours so far."""
    ticks = 0
    for process in family(os.getpid()):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def main() -> None:
    """Run one peer and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="4g", help="of Spark's heap")
    parser.add_argument("--sample", type=int, help="make this many dates' snapshots only")
    given = parser.parse_args()
    peer = importlib.import_module(f"benchmarks.features.peers.{PEERS[given.peer]}")
    peer.start(given.threads, given.memory)
    print("began", flush=True)
    began, cpu = time.perf_counter(), cpu_seconds()
    built = peer.build(given.folder, given.sample)
    found = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": cpu_seconds() - cpu,
        "peak_gb": peak_gb(),
        "rows": built.rows,
        "columns": built.columns,
        "once_seconds": built.once_seconds,
        "each_seconds": built.each_seconds,
        "versions": " ".join(f"{tool} {version(tool)}" for tool in peer.TOOLS),
    }
    built.save(given.out)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
