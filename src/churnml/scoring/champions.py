"""The model that speaks for a target. Owns the champions' folders and the pointer; trains nothing.

`<bundles>/<target>/<model_version>/` holds a bundle, `<bundles>/<target>/CURRENT` the name of the
one that is champion. Swapping the pointer is the one act that changes the champion."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from churnml.errors import ChurnmlError
from churnml.scoring.bundle import (
    CARD_FILE,
    JSON_FILE,
    VERSION_PATTERN,
    Bundle,
    load_bundle,
    save_bundle,
    sync_folder,
    write_durably,
)

POINTER = "CURRENT"


def export_champion(bundle: Bundle, bundles_dir: Path) -> Path:
    """Write the bundle among the champions and make it its target's champion; returns its folder.

    Whatever goes wrong on the way, the champion before stays the champion. One writer at a time.
    Raises: ChurnmlError for a version that cannot be a folder's name; OSError if the disk refuses.
    """
    if not VERSION_PATTERN.fullmatch(bundle.model_version):
        raise ChurnmlError(
            f"model version {bundle.model_version!r} cannot be a folder's name. Expected letters, "
            "digits, dots, - and _. Train the model again."
        )
    home = bundles_dir / bundle.target
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    folder = home / bundle.model_version
    _place(bundle, folder)
    _point(home, bundle.model_version)
    return folder


def _place(bundle: Bundle, folder: Path) -> None:
    if not _is_whole(bundle, folder):
        save_bundle(bundle, folder)
        return
    # The same model is there and may be in use: its papers are swapped, its folder stays.
    fresh = folder.with_name(f".{folder.name}.again")
    save_bundle(bundle, fresh)
    try:
        if bundle.card == (folder / CARD_FILE).read_text(encoding="utf-8"):
            os.replace(fresh / JSON_FILE, folder / JSON_FILE)
            sync_folder(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _is_whole(bundle: Bundle, folder: Path) -> bool:
    try:
        return load_bundle(folder).model_text == bundle.model_text
    except ChurnmlError:
        return False


def _point(home: Path, version: str) -> None:
    fresh = home / f".{POINTER}.tmp"
    write_durably(fresh, version + "\n")
    os.replace(fresh, home / POINTER)
    sync_folder(home)


def _sweep(home: Path) -> None:
    # A run that was killed leaves hidden leftovers; nothing hidden is ever pointed at.
    for leftover in home.glob(".*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def current_version(bundles_dir: Path, target: str) -> str | None:
    """The model version that is the target's champion, or None. Cheap enough to poll.

    Raises: ChurnmlError if the pointer's content is no version.
    """
    pointer = bundles_dir / target / POINTER
    try:
        version = pointer.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_pointer(target, str(error)) from None
    if not VERSION_PATTERN.fullmatch(version):
        raise _bad_pointer(target, repr(version[:80]))
    return version


def _bad_pointer(target: str, found: str) -> ChurnmlError:
    return ChurnmlError(
        f"bundles/{target}/{POINTER}: found {found}. Expected the name of a model version. "
        "Promote a model again."
    )


def current_champion(bundles_dir: Path, target: str, with_model: bool = True) -> Bundle | None:
    """The target's champion, or None if none was promoted yet. with_model: see `load_bundle`.

    Raises: ChurnmlError if the pointer or the bundle is broken or is of another target.
    """
    version = current_version(bundles_dir, target)
    if version is None:
        return None
    bundle = load_bundle(bundles_dir / target / version, with_model)
    if (bundle.target, bundle.model_version) != (target, version):
        raise ChurnmlError(
            f"bundles/{target}/{version}: found a bundle of {bundle.target} "
            f"{bundle.model_version}. Expected {target} {version}. Promote the model again."
        )
    return bundle


def champions(bundles_dir: Path, with_model: bool = True) -> dict[str, Bundle]:
    """Target -> champion, of all targets that have one, in the order of their names.

    with_model: False spares LightGBM, for those who only read what the champions' papers say.

    Raises: ChurnmlError if one of them is broken.
    """
    if not bundles_dir.is_dir():
        return {}
    targets = sorted(entry.name for entry in bundles_dir.iterdir() if entry.is_dir())
    found = {target: current_champion(bundles_dir, target, with_model) for target in targets}
    return {target: bundle for target, bundle in found.items() if bundle is not None}
