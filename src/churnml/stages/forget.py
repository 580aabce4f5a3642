"""Erase what churnml itself keeps of an account, and name the models that learned from it.

Owns where that can be: the store, its own folders, MLflow's runs where their files lie on this machine.
A model cannot unlearn: it is named, for whoever trains it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from sqlalchemy.engine import make_url

from churnml.errors import ConfigError
from churnml.scoring.champions import current_version
from churnml.sources.source import expand
from churnml.stages.carry import NAME as CARRY
from churnml.stages.kept_files import TABLES, TEXTS, clear, mentions, rows_of, tables_in
from churnml.stages.key import known_key
from churnml.stages.project import Project
from churnml.stages.report_shelf import KINDS, naming
from churnml.store.store import open_store
from churnml.training.learned_from import learned

OWN_REPORT = "report.html"
# Made by training from features alone: they hold no id, and numbers that may look like one.
WITHOUT_IDS = ("bundles", "bundle", "models", "plots")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Kept:
    """One thing that churnml keeps. rows: of the account; None: the whole file goes, because it is made
    anew by the next run."""

    where: str
    rows: int | None
    todo: str


@dataclass(frozen=True)
class TaughtModel:
    """A model version. stands_as: champion, challenger, both or neither. learned: whether it learned
    from the account; None where nobody can tell, and `why` says why."""

    target: str
    number: str | None
    model_version: str
    stands_as: tuple[str, ...]
    learned: bool | None
    why: str | None = None


@dataclass(frozen=True)
class Forgotten:
    """What was found, and erased if `erased`. still: files in the project folder that may hold it yet,
    which churnml didn't make or was told to write there. outside: what nobody here can reach."""

    account_id: str
    user_id: str | None
    erased: bool
    kept: tuple[Kept, ...]
    models: tuple[TaughtModel, ...]
    still: tuple[str, ...]
    outside: tuple[str, ...]

    @property
    def to_retrain(self) -> tuple[TaughtModel, ...]:
        """The models that learned from the account, and those of which nobody can tell."""
        return tuple(model for model in self.models if model.learned is not False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {**asdict(self), "to_retrain": [asdict(model) for model in self.to_retrain]}


def forget(
    project: Project,
    account_id: str,
    user_id: str | None = None,
    erase: bool = False,
    say: Say = lambda _: None,
) -> Forgotten:
    """Erase an account, or one user of it, from all that churnml keeps; only look unless `erase`.

    user_id: then only what is kept of users goes (the carry, as hashes): the account stays. May be
    repeated; what is gone stays gone.
    Raises: ConfigError for an empty id; ChurnmlError if something cannot be read or written: what was
    erased before stays erased, and doing it again does the rest.
    """
    for name, told in (("ACCOUNT", account_id), ("--user", user_id)):
        if told is not None and not told.strip():
            raise ConfigError(
                f"{name}: found nothing. Expected an id. Give it as your tables have it."
            )
    outside = [_source_sentence(project)]
    kept: list[Kept] = []
    if user_id is None:
        say("Looking through the store …")
        kept += _in_store(project, account_id, erase)
        outside += _store_outside(project)
    say("Looking through the project's files and MLflow's runs …")
    run_folders, remote = _run_folders(project)
    outside += remote
    kept += _in_files(project, account_id, user_id, run_folders, erase)
    models = tuple(_models(project, account_id))
    gone = {part.where for part in kept}
    still = [
        str(path)
        for path in _others(project, run_folders)
        if _shown(project, path) not in gone and mentions(path, user_id or account_id)
    ]
    outside.append(
        "Copies and backups of all this, files written elsewhere with --out, and what a running service "
        "holds in memory until it is started again."
    )
    return Forgotten(account_id, user_id, erase, tuple(kept), models, tuple(still), tuple(outside))


# -------------------------------------------------------------------------------------- the store


def _in_store(project: Project, account_id: str, erase: bool) -> list[Kept]:
    file = _sqlite_file(project)
    if file is not None and not file.is_file():
        return []  # opening it would make it
    store = open_store(project.store_url)
    try:
        found = store.rows_of(account_id)
        if erase:
            store.erase(account_id)  # without rows too: an erasure before may have been cut short
    finally:
        store.close()
    shown = make_url(project.store_url).render_as_string(hide_password=True)
    where = _shown(project, file) if file is not None else shown
    return [Kept(f"{where}: {table}", rows, "rows erased") for table, rows in found.items() if rows]


def _sqlite_file(project: Project) -> Path | None:
    url = make_url(project.store_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database)


def _store_outside(project: Project) -> list[str]:
    if _sqlite_file(project) is not None:
        return []
    return [
        "The score store's database keeps deleted rows' bytes until it is vacuumed, and in its backups."
    ]


# ----------------------------------------------------------------------------------------- files


def _in_files(
    project: Project, account_id: str, user_id: str | None, run_folders: list[Path], erase: bool
) -> Iterator[Kept]:
    carry = (project.artifacts / CARRY).resolve()
    for path in tables_in([project.artifacts, *run_folders]):
        if path == carry:
            if rows_of(path, account_id):
                if erase:
                    path.unlink(missing_ok=True)
                yield Kept(_shown(project, path), None, "removed; the next score reads all events")
            continue
        rows = rows_of(path, account_id) if user_id is None else 0
        if rows:
            if erase:
                clear(path, account_id)
            yield Kept(_shown(project, path), rows, "rows erased")
    if user_id is None:
        yield from _in_reports(project, account_id, erase)


def _in_reports(project: Project, account_id: str, erase: bool) -> Iterator[Kept]:
    again = "removed; churnml report writes it anew"
    report = project.folder / OWN_REPORT
    if report.is_file() and mentions(report, account_id):
        # Nobody can search a PDF: it says what its page says.
        for path in (report.with_suffix(".pdf"), report):
            if path.is_file():
                if erase:
                    path.unlink(missing_ok=True)
                yield Kept(_shown(project, path), None, again)
    for one in naming(project.folder, account_id):
        files = [one.file(kind) for kind in KINDS if one.file(kind).is_file()]
        if erase:
            one.remove()
        yield from (Kept(_shown(project, path), None, again) for path in files)


def _run_folders(project: Project) -> tuple[list[Path], list[str]]:
    """Folders on this machine that hold runs' files, and sentences about those elsewhere."""
    own = project.folder / "mlartifacts"
    folders = [own] if own.is_dir() else []
    if not _has_runs(project):
        return folders, []
    # MLflow costs seconds: only a project with runs needs it.
    from churnml.training.logged import runs

    elsewhere: dict[str, int] = {}
    for run in runs(project.tracking_uri, project.config.name):
        parsed = urlparse(run.artifacts)
        if parsed.scheme in ("", "file"):
            folders.append(Path(unquote(parsed.path)))
        else:
            place = f"{parsed.scheme}://{parsed.netloc}"
            elsewhere[place] = elsewhere.get(place, 0) + 1
    return folders, [
        f"{count} MLflow run(s) keep their predictions.parquet at {place}: erase the account's rows there."
        for place, count in sorted(elsewhere.items())
    ]


def _has_runs(project: Project) -> bool:
    own = project.own_database
    return own is None or own.is_file()


def _others(project: Project, run_folders: list[Path]) -> Iterator[Path]:
    """Text and table files of the project folder and of runs, except the source's own."""
    sources = _source_folders(project)
    home = project.folder.resolve()
    folders = [project.artifacts, *run_folders]
    if home not in sources:
        folders.append(home)
    seen = set()
    for folder in folders:
        for path in sorted(folder.resolve().rglob("*")):
            inside = path.relative_to(folder.resolve()).parts[:-1]
            if path in seen or path.suffix not in (*TABLES, *TEXTS) or not path.is_file():
                continue
            if any(part in WITHOUT_IDS for part in inside):
                continue
            if home not in sources and any(path.is_relative_to(source) for source in sources):
                continue
            seen.add(path)
            yield path


def _source_folders(project: Project) -> tuple[Path, ...]:
    source = project.config.source
    if source.kind == "postgres":
        return ()
    path = expand(source.path, project.environment, "source.path")
    return ((project.folder / path).resolve(),)


def _source_sentence(project: Project) -> str:
    source = project.config.source
    where = "the database of source.url" if source.kind == "postgres" else source.path
    return f"The source tables ({where}): erase there first, or the next run reads it all again."


def _shown(project: Project, path: Path) -> str:
    home = project.folder.resolve()
    real = path.resolve()
    return str(real.relative_to(home)) if real.is_relative_to(home) else str(real)


# ---------------------------------------------------------------------------------------- models


def _models(project: Project, account_id: str) -> Iterator[TaughtModel]:
    key = known_key(project)
    for target in project.config.targets:
        champion = current_version(project.bundles, target)
        registered = set()
        if _has_runs(project):
            from churnml.scoring.registry import CHAMPION, versions
            from churnml.training.logged import learned_from

            for version in versions(project.tracking_uri, project.config.name, target):
                registered.add(version.model_version)
                stands = [alias for alias in version.aliases if alias != CHAMPION]
                if version.model_version == champion:
                    stands.insert(0, CHAMPION)
                record = learned_from(project.tracking_uri, version.run_id)
                told = None if record is None or key is None else learned(record, account_id, key)
                why = None
                if told is None:
                    why = (
                        "its run kept no record of its accounts"
                        if record is None
                        else "its record was made with another key"
                    )
                yield TaughtModel(
                    target, version.number, version.model_version, tuple(stands), told, why
                )
        if champion is not None and champion not in registered:
            yield TaughtModel(
                target, None, champion, ("champion",), None, "its run is not in MLflow here"
            )
