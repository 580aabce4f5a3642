"""The project's own secret, by which records name accounts without telling them. Owns where it lies.

CHURNML_SALT, or a file that only its owner may read. It has to stay: without it no record can be asked."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from churnml.errors import ChurnmlError, ConfigError
from churnml.stages.project import Project

VARIABLE = "CHURNML_SALT"
KEY_FILE = "learned_from.key"
MIN_LETTERS = 16


def known_key(project: Project) -> bytes | None:
    """The project's key; None if it has none yet. Raises: ConfigError if it is too short."""
    told = project.environment.get(VARIABLE)
    if told:
        return _long_enough(told, VARIABLE)
    path = project.folder / KEY_FILE
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ChurnmlError(
            f"{path}: cannot be read ({error}). Expected the project's key. Put it back from a copy, or "
            "remove it: records made with it can then not be asked any more."
        ) from None
    return _long_enough(text, str(path))


def project_key(project: Project) -> bytes:
    """The project's key, made on first use. Raises: ConfigError, ChurnmlError."""
    found = known_key(project)
    if found is not None:
        return found
    path = project.folder / KEY_FILE
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another run was first: its key counts
        except OSError:  # a file system without second names
            os.replace(fresh, path)
    except OSError as error:
        raise ChurnmlError(
            f"{path}: cannot be written ({error.strerror or error}). Expected a project folder that you "
            f"may write to. Free it, or set {VARIABLE}."
        ) from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    made = known_key(project)
    if made is None:
        raise ChurnmlError(
            f"{path}: was removed while it was made. Expected it to stay. Train again."
        )
    return made


def _long_enough(text: str, where: str) -> bytes:
    if len(text) < MIN_LETTERS:
        raise ConfigError(
            f"{where}: found {len(text)} letters. Expected {MIN_LETTERS} or more, so that nobody can "
            "guess it. Take a long random text, such as: openssl rand -hex 32"
        )
    return text.encode()[:64]
