"""The model that speaks for a target. Owns the champions' folders and the pointer; trains nothing.

`<bundles>/<target>/<model_version>/` holds a bundle. The first line of `<bundles>/<target>/CURRENT` is the
name of the one that is champion, each line below it a step of how that came about, the newest first.
Swapping the pointer is the one act that changes the champion, and the record of it in the same instant."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.bundle import (
    CARD_FILE,
    JSON_FILE,
    MODEL_FILE,
    VERSION_PATTERN,
    Bundle,
    load_bundle,
    save_bundle,
    sync_folder,
    write_durably,
)

POINTER = "CURRENT"


@dataclass(frozen=True)
class Step:
    """One change of a target's champion.

    version: who became champion; before: who was. at: ISO moment, naive UTC. recorded: MLflow's registry
    knows of it too.
    """

    act: Literal["promoted", "rolled_back"]
    version: str
    before: str | None
    at: str
    by: str
    why: str | None
    forced: bool = False
    recorded: bool = False


def export_champion(bundle: Bundle, bundles_dir: Path) -> Path:
    """Write the bundle among the champions and make it its target's champion; returns its folder.

    Who promoted it, when and why is read from its papers. Whatever goes wrong on the way, the champion
    before stays the champion. One writer at a time.
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
    before, steps = (
        current_version(bundles_dir, bundle.target),
        succession(bundles_dir, bundle.target),
    )
    if before != bundle.model_version:
        papers = bundle.papers
        steps = (
            *steps,
            Step(
                "promoted",
                bundle.model_version,
                before,
                at=str(papers.get("promoted_at", "")),
                by=str(papers.get("promoted_by", "")),
                why=papers.get("promotion_why"),
                forced=bool(papers.get("promotion_forced", False)),
            ),
        )
    _point(home, bundle.model_version, steps)
    return folder


def earlier_champion(bundles_dir: Path, target: str) -> str | None:
    """The version that was champion before the current one came, rolled-back ones left out; None if none.

    Raises: ChurnmlError if the pointer is broken.
    """
    stood: list[str] = []
    for step in succession(bundles_dir, target):
        if step.before is not None and stood[-1:] != [step.before]:
            stood.append(step.before)
        if step.act == "rolled_back":
            stood.pop()
        if stood[-1:] != [step.version]:
            stood.append(step.version)
    current = current_version(bundles_dir, target)
    if current is not None and stood[-1:] != [current]:  # somebody wrote the pointer by hand
        stood.append(current)
    return stood[-2] if len(stood) > 1 else None


def bring_back(bundles_dir: Path, target: str, at: str, by: str, why: str) -> Step:
    """Make the earlier champion the champion again, by one swap of the pointer. One writer at a time.

    Its folder is as it was. Raises: NotFound if there is no earlier one; ChurnmlError if its bundle is
    broken: then the champion stays.
    """
    before, earlier = current_version(bundles_dir, target), earlier_champion(bundles_dir, target)
    if before is None or earlier is None:
        found = f"only {before}" if before else "no champion at all"
        raise NotFound(
            f"{target}: nothing to roll back to: found {found}. Expected a champion before it. "
            "Promote another model: churnml promote"
        )
    home = bundles_dir / target
    load_bundle(
        _own(bundles_dir, target, earlier)
    )  # a broken one would leave the service without a model
    _sweep(home)
    step = Step("rolled_back", earlier, before, at, by, why)
    _point(home, earlier, (*succession(bundles_dir, target), step))
    return step


def succession(bundles_dir: Path, target: str) -> tuple[Step, ...]:
    """How the target's champion came about, the oldest step first; empty where nothing is known.

    Raises: ChurnmlError if a line of the pointer is no step.
    """
    steps = []
    for line in _pointer_lines(bundles_dir, target)[1:]:
        try:
            steps.append(Step(**json.loads(line)))
        except (TypeError, ValueError):
            raise ChurnmlError(
                f"bundles/{target}/{POINTER}: found {line[:80]!r} below the champion's name. Expected "
                "a step of the succession as churnml wrote it. Take the line away."
            ) from None
    return tuple(reversed(steps))


def mark_recorded(bundles_dir: Path, target: str) -> None:
    """Note that MLflow knows of every step. The champion stays who it is."""
    steps = succession(bundles_dir, target)
    version = current_version(bundles_dir, target)
    if version is not None and not all(step.recorded for step in steps):
        _point(bundles_dir / target, version, [replace(step, recorded=True) for step in steps])


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


def _point(home: Path, version: str, steps: Sequence[Step]) -> None:
    lines = [version, *(json.dumps(asdict(step), sort_keys=True) for step in reversed(steps))]
    fresh = home / f".{POINTER}.tmp"
    write_durably(fresh, "\n".join(lines) + "\n")
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
    lines = _pointer_lines(bundles_dir, target)
    if not lines:
        return None
    version = lines[0].strip()
    if not VERSION_PATTERN.fullmatch(version):
        raise _bad_pointer(target, repr(version[:80]))
    return version


def _pointer_lines(bundles_dir: Path, target: str) -> list[str]:
    """The pointer's lines; none if there is no pointer."""
    pointer = bundles_dir / target / POINTER
    try:
        # An empty file is a broken pointer, not an absent one.
        return pointer.read_text(encoding="utf-8").splitlines() or [""]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_pointer(target, str(error)) from None


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
    bundle = load_bundle(_own(bundles_dir, target, version), with_model)
    if (bundle.target, bundle.model_version) != (target, version):
        raise ChurnmlError(
            f"bundles/{target}/{version}: found a bundle of {bundle.target} "
            f"{bundle.model_version}. Expected {target} {version}. Promote the model again."
        )
    return bundle


def kept_bundle(bundles_dir: Path, target: str, version: str) -> Bundle | None:
    """A model that is or was a champion; None if its folder is not here (any more).

    Raises: ChurnmlError if its bundle is broken.
    """
    if not VERSION_PATTERN.fullmatch(version) or not (bundles_dir / target / version).is_dir():
        return None
    return load_bundle(_own(bundles_dir, target, version))


def _own(bundles_dir: Path, target: str, version: str) -> Path:
    """A bundle's folder. Raises: ChurnmlError if it, or one of its files, leads out of the project."""
    folder = bundles_dir / target / version
    home = bundles_dir.resolve()
    for path in (folder, *(folder / name for name in (JSON_FILE, MODEL_FILE, CARD_FILE))):
        if not path.resolve().is_relative_to(home):
            raise ChurnmlError(
                f"bundles/{target}/{version}: found a link that leads out of the project's bundles. "
                "Expected a folder of files inside. Promote the model again."
            )
    return folder


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
