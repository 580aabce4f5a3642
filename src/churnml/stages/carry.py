"""The daily job's way into the tables: what an earlier run carried, and the events since.

Owns when a carry is used, kept and why not; `snapshots.carry` owns what it is. Whatever does not fit is
no fault: the log is read whole then, with the same result, and the reason is told."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from churnml.contract.tables import TABLES
from churnml.errors import ChurnmlError, ContractError
from churnml.features.catalog import CATALOG
from churnml.features.horizon import horizon_days, kept_columns
from churnml.snapshots.carry import Papers, papers_of, read_papers, write_carry
from churnml.snapshots.views import CarryView
from churnml.sources.earlier import ReadWhole
from churnml.sources.workspace import Workspace, canonical, open_workspace
from churnml.stages.project import Project, scratch_folder, write_whole
from churnml.timeline import floor_day

NAME = "carry.parquet"
# A row that was changed in place in a database leaves no trace in its counts: look again now and then.
WHOLE_EVERY_DAYS = 28


@dataclass(frozen=True)
class Reading:
    """How much of the event log a run read: `read` of `of` events.

    why: why all of it, as a sentence; None where a carry stood for the rest.
    not_kept: why there is no carry for the next run; None if there is one.
    """

    read: int
    of: int
    why: str | None
    not_kept: str | None = None

    def sentence(self) -> str:
        """What a person is told."""
        told = f"Read {self.read:,} of {self.of:,} events"
        told += f": {self.why}." if self.why is not None else "; the others were carried."
        return told + (f" The next run reads all again: {self.not_kept}" if self.not_kept else "")


@contextmanager
def open_newest(
    project: Project, as_of: datetime | None = None, whole: bool = False
) -> Iterator[tuple[Workspace, Reading]]:
    """The project's tables for one snapshot at `as_of` (default: the newest), closed afterwards.

    Reads of the event log what the last run's carry does not stand for, and leaves a carry for the
    next. whole: read all.
    Raises: ContractError, SourceError.
    """
    with scratch_folder() as scratch:
        workspace, papers, why = _open(project, as_of, whole, scratch)
        try:
            yield workspace, _kept(project, workspace, papers, why)
        finally:
            workspace.close()


def _open(
    project: Project, as_of: datetime | None, whole: bool, scratch: Path
) -> tuple[Workspace, Papers | None, str | None]:
    """The tables, the papers of the carry that was used, and why none was."""
    opened = (project.config, project.folder, project.environment, project.now)
    try:
        if whole:
            raise ReadWhole("so it was asked for")
        # Of a copy, papers and rows are of one carry, whatever another run puts in its place.
        carry = scratch / NAME
        try:
            shutil.copyfile(project.artifacts / NAME, carry)
        except OSError:
            raise ReadWhole("no earlier run has left a carry") from None
        papers = read_papers(carry)
        _check(papers, project, as_of)
        workspace = open_workspace(*opened, scratch=scratch, earlier=papers.earlier(carry))
        moment = as_of or workspace.data_through
        if moment < papers.through:
            workspace.close()
            raise ReadWhole(
                f"the carry is of {papers.through:%Y-%m-%d}, the snapshot of {moment:%Y-%m-%d}"
            )
        return workspace, papers, None
    except ReadWhole as reason:
        why = str(reason)
    except ContractError:
        why = "the new events are at fault, or another table is"
    return open_workspace(*opened, scratch=scratch), None, why


def _check(papers: Papers, project: Project, as_of: datetime | None) -> None:
    """Raises: ReadWhole if the carry is of no use, whatever the log holds."""
    if papers.kept != kept_columns() or (papers.through - papers.cut).days < horizon_days(CATALOG):
        raise ReadWhole("the features look at more of the log than was carried")
    if papers.reading != _reading(project, papers.types):
        raise ReadWhole("[source], [tables.events] or [privacy], or how churnml reads, has changed")
    if as_of is not None and as_of < papers.through:
        raise ReadWhole(
            f"the carry is of {papers.through:%Y-%m-%d}, the snapshot of {as_of:%Y-%m-%d}"
        )
    if project.now - papers.whole_at >= timedelta(days=WHOLE_EVERY_DAYS):
        raise ReadWhole(f"the last time was {WHOLE_EVERY_DAYS} days ago or more")


def _reading(project: Project, types: object) -> str:
    """A hash of all that decides how a row of the log reads, and that no mark of a file tells."""
    config = project.config
    events = config.tables.get("events")
    parts = (
        config.source.model_dump_json(exclude={"data_through"}),
        events.model_dump_json() if events is not None else "",
        config.privacy.model_dump_json(),
        canonical(TABLES["events"], types),  # type: ignore[arg-type]
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _kept(
    project: Project, workspace: Workspace, before: Papers | None, why: str | None
) -> Reading:
    """Leave a carry for the next run. Without one this run is as good."""
    log = workspace.log
    (known,) = workspace.query("select max(known_at) from events")[0]
    through = min(workspace.data_through, floor_day(known))
    cut = through - timedelta(days=horizon_days(CATALOG))
    if before is not None:
        # What was carried stays so, although a log may lose its newest rows.
        through, cut = max(through, before.through), max(cut, before.cut)
    papers = papers_of(
        workspace.connection,
        log,
        CarryView(cut, through),
        kept_columns(),
        _reading(project, log.types),
        before.whole_at if before is not None else project.now,
        before.salt if before is not None else secrets.token_hex(16),
    )
    not_kept = None
    try:
        write_whole(
            project.artifacts / NAME, lambda path: write_carry(workspace.connection, papers, path)
        )
    except ChurnmlError as error:
        not_kept = str(error)
    read = next(p.rows for p in workspace.validation.profiles if p.table == "events")
    return Reading(read, papers.rows, why, not_kept)
