"""A simulation as a folder of Parquet files. Owns the layout and that nothing is half-written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from churnml.contract.tables import TABLES
from churnml.errors import ChurnmlError
from churnml.simulate.company import Simulation

TRUTH = "truth_"  # tables of this prefix go to the folder truth/


def write(simulation: Simulation, folder: Path, replace: bool = False) -> list[Path]:
    """Write `<folder>/<table>.parquet` and `<folder>/truth/<table>.parquet`; return their paths.

    The folder appears whole or not at all. replace: take the place of an earlier simulation there.
    Raises: ChurnmlError if the folder holds anything (with `replace`: anything that is not of a
    simulation), or is a file.
    """
    folder = folder.absolute()
    files = {name: folder / _file_of(name) for name in simulation.tables}
    _check_place(folder, replace)
    # Beside the target, so that the rename stays within one file system.
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        (partial / "truth").mkdir(parents=True)
        for name, table in simulation.tables.items():
            pq.write_table(table, partial / _file_of(name), compression="zstd")
        _put(partial, folder)
    except OSError as error:
        raise ChurnmlError(
            f"{folder}: cannot be written: {error.strerror or error}. Expected a place that can "
            "take the files. Free it, or choose another folder."
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return list(files.values())


def _file_of(name: str) -> Path:
    if name.startswith(TRUTH):
        return Path("truth") / f"{name.removeprefix(TRUTH)}.parquet"
    return Path(f"{name}.parquet")


def _check_place(folder: Path, replace: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ChurnmlError(
            f"{folder}: found a file. Expected a folder, or nothing. Choose another folder."
        )
    there = sorted(path.name for path in folder.iterdir())
    if there and not replace:
        raise ChurnmlError(
            f"{folder}: found {len(there)} entries ({', '.join(there[:3])}). Expected an empty or "
            "new folder. Choose another folder, or say that it may be replaced."
        )
    foreign = [name for name in there if not _is_ours(name)]
    if foreign:
        raise ChurnmlError(
            f"{folder}: found {', '.join(foreign[:3])}, which no simulation wrote. Expected an "
            "earlier simulation alone, because replacing it removes the folder. Choose another one."
        )


def _is_ours(name: str) -> bool:
    return name == "truth" or name in {f"{table}.parquet" for table in TABLES}


def _put(partial: Path, folder: Path) -> None:
    """Let `partial` take the place of `folder`."""
    if not folder.exists():
        partial.rename(folder)
        return
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old)
