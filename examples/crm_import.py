"""What a CRM has to write since the last time: crm_update.csv. Needs Python, and client.py beside it.

    export CHURNML_URL=http://127.0.0.1:3000 CHURNML_KEY=churnml_…
    python crm_import.py [--folder FOLDER]

A row is written if its `row_hash` is another than last time (crm_seen.csv keeps those), so that a CRM that
counts its API calls is called only for what changed. An account that has left the book gets a row with
nothing but its id: the CRM then clears what it shows of it. Import crm_update.csv before you run this
again."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from client import Client, Fault, from_environment

UPDATE, SEEN = "crm_update.csv", "crm_seen.csv"


def fetch(client: Client) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and rows of the whole book."""
    _, _, body = client.ask("/v1/accounts?sort=account_id", {"Accept": "text/csv"})
    reader = csv.DictReader(io.StringIO(body.decode("utf-8"), newline=""))
    rows = list(reader)
    return list(reader.fieldnames or ()), rows


def seen_last_time(path: Path) -> dict[str, str]:
    """account_id -> row_hash of the last run; nothing before the first."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["account_id"]: row["row_hash"] for row in csv.DictReader(file)}


def write(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a CSV whole, or leave the one that is there."""
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, path)


def main() -> int:
    """Write what changed, then remember it."""
    parser = argparse.ArgumentParser(description="Write what a CRM has to update.")
    parser.add_argument("--folder", type=Path, default=Path())
    folder = parser.parse_args().folder
    try:
        columns, rows = fetch(from_environment())
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    before = seen_last_time(folder / SEEN)
    changed = [row for row in rows if before.get(row["account_id"]) != row["row_hash"]]
    gone = sorted(before.keys() - {row["account_id"] for row in rows})
    write(folder / UPDATE, columns, [*changed, *({"account_id": name} for name in gone)])
    # Last: a run that is stopped before it says the same once more, and loses nothing.
    write(folder / SEEN, ["account_id", "row_hash"], rows)
    print(f"{len(changed)} of {len(rows)} accounts changed, {len(gone)} left the book: {UPDATE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
