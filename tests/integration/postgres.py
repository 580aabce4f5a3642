"""A real PostgreSQL server for tests. Needs Debian's `postgresql`.

The server runs as its user `postgres` when the tests run as root, whom it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adbc_driver_postgresql import dbapi

from churnml.serve.launch import free_port


@dataclass(frozen=True)
class Postgres:
    """A server that runs. `port`: on 127.0.0.1; user churnml, password told-to-nobody."""

    port: int

    def make(self, database: str, options: str = "") -> None:
        """Make an empty database."""
        url = f"postgresql://churnml:told-to-nobody@127.0.0.1:{self.port}/postgres"
        with dbapi.connect(url, autocommit=True) as first, first.cursor() as cursor:
            cursor.execute(f"create database {database} {options}")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Make a server, run it, and stop and remove it at the end."""
    # Not in pytest's own folder: it shuts that to others whenever another run of it begins.
    with TemporaryDirectory() as made:
        yield from _run(Path(made))


def _run(folder: Path) -> Iterator[Postgres]:
    number = free_port()
    someone: dict[str, Any] = {"cwd": folder, "check": True, "timeout": 300}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        someone |= {"user": "postgres", "group": "postgres"}
        shutil.chown(folder, "postgres", "postgres")
    (folder / "password").write_text("told-to-nobody")
    (folder / "password").chmod(0o644)
    log = {"stdout": subprocess.DEVNULL}
    subprocess.run(
        [_binary("initdb"), "-D", "db", "-U", "churnml", "--auth", "scram-sha-256", "--pwfile",
         "password", "--no-sync"], **someone, **log,
    )  # fmt: skip
    start = f"-p {number} -h 127.0.0.1 -c fsync=off -c unix_socket_directories={folder}"
    run = [_binary("pg_ctl"), "-D", "db", "-w", "-t", "200"]
    subprocess.run([*run, "-o", start, "-l", "server.log", "start"], **someone, **log)
    try:
        yield Postgres(number)
    finally:
        subprocess.run([*run, "-m", "immediate", "stop"], **someone, **log)


def _binary(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    assert path, f"{name} is not here. Install it: apt-get install postgresql"
    return path
