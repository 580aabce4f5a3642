"""The reports that are kept under a project for those who ask the service: `reports/<date>-<lang>.html`,
`.json` and, where one was printed, `.pdf`; `-names` before the dot where they hold display names.

Owns names, what is kept how long, and what is erased; makes no report. Imports nothing that the service may
not: it reads what `churnml report` wrote."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from churnml.stages.kept_files import mentions
from churnml.stages.project import write_whole

FOLDER = "reports"
KEPT_DATES = 12
Kind = Literal["html", "json", "pdf"]
KINDS: tuple[Kind, ...] = ("html", "json", "pdf")
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-([a-z]{2})(-names)?")


@dataclass(frozen=True)
class Shelved:
    """One kept report. with_names: it holds display names, and is not for everybody."""

    folder: Path
    as_of: date
    lang: str
    with_names: bool

    def file(self, kind: Kind) -> Path:
        """Where one of its files lies, or would."""
        return self.folder / f"{self.as_of}-{self.lang}{'-names' * self.with_names}.{kind}"

    def remove(self) -> None:
        """Take all its files away."""
        for kind in KINDS:
            self.file(kind).unlink(missing_ok=True)


def shelf_of(project: Path) -> Path:
    """The folder in which a project keeps its reports."""
    return project / FOLDER


def shelved(project: Path) -> list[Shelved]:
    """The kept reports, the newest date first; of one date those with names come first."""
    found = {}
    for path in shelf_of(project).glob("*.*"):
        told = _NAME.fullmatch(path.stem)
        if told and path.suffix[1:] in KINDS:
            with suppress(ValueError):  # 2024-13-01: none of ours
                day = date.fromisoformat(told[1])
                found[path.stem] = Shelved(path.parent, day, told[2], told[3] is not None)
    return sorted(found.values(), key=lambda one: (one.as_of, one.with_names), reverse=True)


def keep_report(
    project: Path, as_of: date, lang: str, with_names: bool, page: bytes, data: bytes
) -> Shelved:
    """Keep a report's page and data instead of what was kept of its date; the oldest dates go.

    Raises: ChurnmlError if the folder cannot be written to.
    """
    one = Shelved(shelf_of(project), as_of, lang, with_names)
    # The PDF first: one that says something else than its page would be worse than none.
    with suppress(OSError):
        one.file("pdf").unlink(missing_ok=True)
    write_whole(one.file("json"), lambda path: path.write_bytes(data))
    write_whole(one.file("html"), lambda path: path.write_bytes(page))
    _thin_out(shelved(project), one)
    return one


def keep_pdf(one: Shelved, pdf: Path) -> None:
    """Keep a report's PDF beside its page. Raises: ChurnmlError if it cannot be written."""
    write_whole(one.file("pdf"), lambda path: path.write_bytes(pdf.read_bytes()))


def _thin_out(all_: Sequence[Shelved], kept: Shelved) -> None:
    """What was just written stays, however old its date is."""
    same = [one for one in all_ if (one.lang, one.with_names) == (kept.lang, kept.with_names)]
    for one in [one for one in same if one != kept][KEPT_DATES - 1 :]:
        with suppress(OSError):
            one.remove()


def naming(project: Path, account_id: str) -> Iterator[Shelved]:
    """The kept reports that name an account. A PDF can't be searched: its page and data speak for it; one
    that stands alone counts as naming everybody."""
    ways = {account_id, html.escape(account_id), json.dumps(account_id, ensure_ascii=False)[1:-1]}
    for one in shelved(project):
        texts = [one.file(kind) for kind in ("html", "json") if one.file(kind).is_file()]
        if not texts or any(mentions(path, way) for path in texts for way in ways):
            yield one
