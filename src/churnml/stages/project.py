"""A project folder: its configuration, its paths, the environment and the clock.

Owns where things lie; the rooms get plain values. Every other stage begins with `open_project`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from churnml.config import Config, parse_config
from churnml.errors import ChurnmlError, ConfigError

CONFIG_NAME = "churnml.toml"


@dataclass(frozen=True)
class Project:
    """An opened project. `now` is the moment of opening, naive UTC."""

    folder: Path
    config: Config
    environment: Mapping[str, str]
    now: datetime

    @property
    def bundles(self) -> Path:
        """Where champions lie, one folder per target."""
        return self.folder / "bundles"

    @property
    def artifacts(self) -> Path:
        """Where training leaves predictions and plots, one folder per target."""
        return self.folder / "artifacts"

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the score store: CHURNML_STORE_URL, churnml.toml, or SQLite here."""
        declared = self.environment.get("CHURNML_STORE_URL") or self.config.store.url
        return declared or f"sqlite:///{(self.folder / 'store.db').resolve()}"

    @property
    def own_database(self) -> Path | None:
        """The project's own MLflow database; None where MLFLOW_TRACKING_URI names another."""
        if self.environment.get("MLFLOW_TRACKING_URI"):
            return None
        return (self.folder / "mlflow.db").resolve()

    @property
    def tracking_uri(self) -> str:
        """Where MLflow tracks: MLFLOW_TRACKING_URI, or SQLite in the project folder."""
        return self.environment.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.own_database}"

    @property
    def artifact_root(self) -> str | None:
        """Where MLflow keeps artifacts; None where a tracking server decides."""
        if self.environment.get("MLFLOW_TRACKING_URI"):
            return None
        return (self.folder / "mlartifacts").resolve().as_uri()

    @property
    def workers(self) -> int:
        """Processes at once: CHURNML_WORKERS, or as many as there are processors for this one.

        Raises: ConfigError if CHURNML_WORKERS is no number from 1 on.
        """
        told = self.environment.get("CHURNML_WORKERS")
        if not told:
            return (
                len(os.sched_getaffinity(0))
                if hasattr(os, "sched_getaffinity")
                else os.cpu_count() or 1
            )
        if not told.isdigit() or int(told) < 1:
            raise ConfigError(
                f"CHURNML_WORKERS: found {told!r}. Expected how many processes may run at once, 1 or "
                "more. Correct it, or unset it to use every processor."
            )
        return int(told)

    def params_text(self, target: str) -> tuple[str, str] | None:
        """The reviewed `models/<target>/params.toml` of the project: (text, where); None if none."""
        path = self.folder / "models" / target / "params.toml"
        return (path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None

    def play_texts(self) -> dict[str, str]:
        """The company's own plays: where -> text."""
        return self._texts("plays")

    def health_texts(self) -> dict[str, str]:
        """The company's own health scores: where -> text."""
        return self._texts("health")

    def _texts(self, folder: str) -> dict[str, str]:
        paths = sorted((self.folder / folder).glob("*.toml"))
        return {str(path): path.read_text(encoding="utf-8") for path in paths}


def open_project(folder: Path) -> Project:
    """Read `churnml.toml` of a project folder.

    Raises: ConfigError if the folder or the file is missing, or the file is broken.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        found = "no such folder" if not folder.is_dir() else f"no {CONFIG_NAME} in it"
        raise ConfigError(
            f"{folder}: {found}. Expected a project folder. Make one with: churnml init {folder}"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read ({error}). Expected a UTF-8 text file. Write it again."
        ) from None
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return Project(folder, parse_config(text, str(path)), dict(os.environ), now)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder for what does not fit into memory, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="churnml-") as name:
        yield Path(name)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside it and rename: whole, or not there at all.

    Raises: ChurnmlError if the place cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise ChurnmlError(
            f"{path}: cannot be written ({error.strerror or error}). Expected a place with room that "
            "you may write to. Choose another, or free it."
        ) from None
    finally:
        with suppress(OSError):  # what could not be written is not there, or cannot be reached
            temporary.unlink(missing_ok=True)


def write_whole_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Write a folder under a temporary name beside it and rename: whole, or as it was before.

    Raises: ChurnmlError if the place cannot be written to.
    """
    # Not hidden by a dot: Spark reads no such folder.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    before = path.with_name(f".{path.name}.{os.getpid()}.before")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        if path.is_dir():  # a folder takes no other's name
            os.replace(path, before)
        os.replace(temporary, path)
    except OSError as error:
        raise ChurnmlError(
            f"{path}: cannot be written ({error.strerror or error}). Expected a place with room that "
            "you may write to. Choose another, or free it."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
