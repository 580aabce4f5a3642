"""A trained model as a plain folder. Owns its shape, its writing and its checks; predicts nothing.

A bundle is `model.txt` (LightGBM's own text), `bundle.json` (everything else, strict JSON) and
`card.md`. No pickle: reading a bundle runs no code of its writer. A folder is written beside its
place and renamed, so that it is there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from churnml.errors import ChurnmlError
from churnml.scoring.ends import Ends, ends_of

if TYPE_CHECKING:
    import lightgbm

FORMAT = 1
MODEL_FILE = "model.txt"
JSON_FILE = "bundle.json"
CARD_FILE = "card.md"
VERSION_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}")


class Band(TypedDict):
    """The interval of the probability on a rising grid of raw scores; level: how much it holds."""

    level: float
    scores: list[float]
    low: list[float]
    high: list[float]


class Calibrator(TypedDict):
    """probability = sigmoid(slope * raw + intercept); slope > 0, so that order is kept.

    band: absent in bundles of before there were intervals.
    """

    kind: Literal["sigmoid"]
    slope: float
    intercept: float
    band: NotRequired[Band]


@dataclass(frozen=True, eq=False)
class Bundle:
    """One model and all that is needed to use it and to judge it.

    features: the model's columns in order. categories: categorical feature -> its values, the code
    is the place in the list; unseen and missing values read as missing (NaN). reference: what the
    training rows looked like: {"median", "least", "most", "deciles" (nine), "missing_share"} of a
    number, {"shares": {value: share}, "missing_share"} of a category. metrics: out-of-time metric ->
    {"value", "low", "high"}, None where undefined. data_through: ISO moment up to which the data
    went. trained_outcomes: accounts with the outcome among the training rows. papers: the rest
    (definition, split, baselines, verdict, calibration table, promotion).
    """

    target: str
    horizon_days: int
    lead_days: int
    grace_days: int
    mode: str
    basis: str | None
    model_version: str
    catalog_fingerprint: str
    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    calibrator: Calibrator
    reference: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Mapping[str, float | None]]
    data_through: str
    trained_rows: int
    trained_outcomes: int
    papers: Mapping[str, Any]
    model_text: str = field(repr=False)
    loaded: lightgbm.Booster | None = field(repr=False)
    card: str = field(default="", repr=False)

    @cached_property
    def ends(self) -> Ends:
        """What the training rows held at least and at most."""
        return ends_of(self.reference, self.features)

    @property
    def booster(self) -> lightgbm.Booster:
        """LightGBM's model; built from its text each time where the bundle was read without it."""
        return self.loaded if self.loaded is not None else booster_of(self.model_text)


_PLAIN = (
    "target",
    "horizon_days",
    "lead_days",
    "grace_days",
    "mode",
    "basis",
    "model_version",
    "catalog_fingerprint",
    "features",
    "categories",
    "calibrator",
    "reference",
    "metrics",
    "data_through",
    "trained_rows",
    "trained_outcomes",
    "papers",
)


def booster_of(model_text: str) -> lightgbm.Booster:
    """A booster from LightGBM's model text. It brings its own settings: one thread, silent."""
    import lightgbm  # seconds, and who only reads a bundle's papers needs none of it

    return lightgbm.Booster(model_str=model_text)


def version_of(data_through: str, model_text: str, definition: Mapping[str, Any]) -> str:
    """The name of a model version: the day of its data and a digest of what it is.

    The same data, configuration and seed give the same name.
    """
    digest = hashlib.sha256(model_text.encode())
    digest.update(json.dumps(definition, sort_keys=True, default=str).encode())
    return f"{data_through[:10]}-{digest.hexdigest()[:8]}"


def data_through_of(model_version: str) -> datetime | None:
    """Up to when the data of a version named by `version_of` went, at most; None of another name.

    What is left of a model whose bundle is gone."""
    try:
        return datetime.fromisoformat(model_version[:10]) if model_version[10:11] == "-" else None
    except ValueError:
        return None


def save_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the bundle to `folder`, whole or not at all; a bundle that is there is replaced.

    Raises: ChurnmlError if a value is no plain JSON; OSError if the disk refuses.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.tmp-{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir()
        for name, text in _files(bundle).items():
            write_durably(fresh / name, text)
        if folder.exists():
            os.replace(folder, old)
        os.replace(fresh, folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
        elif old.exists():
            os.rename(old, folder)


def _files(bundle: Bundle) -> dict[str, str]:
    plain = {name: getattr(bundle, name) for name in _PLAIN}
    plain["format"] = FORMAT
    plain["model_sha256"] = _sha256(bundle.model_text)
    plain["card_sha256"] = _sha256(bundle.card)
    plain["sha256"] = _digest(plain)
    return {
        MODEL_FILE: bundle.model_text,
        CARD_FILE: bundle.card,
        JSON_FILE: _json(plain, indent=1) + "\n",
    }


def _json(plain: Mapping[str, Any], indent: int | None = None) -> str:
    try:
        return json.dumps(plain, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=indent)
    except (TypeError, ValueError) as error:
        raise ChurnmlError(
            f"bundle {plain.get('model_version')}: found a value that is no plain JSON ({error}). "
            "Expected texts, finite numbers, lists and dicts. Put None where a number is undefined."
        ) from None


def _digest(plain: Mapping[str, Any]) -> str:
    return _sha256(_json({key: value for key, value in plain.items() if key != "sha256"}))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_durably(path: Path, text: str) -> None:
    """Write a text file and have the disk confirm it before returning."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk confirm the names in a folder (a rename is durable only then)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_bundle(folder: Path, with_model: bool = True) -> Bundle:
    """Read a bundle and check that it is whole and that its parts belong together.

    with_model: False leaves LightGBM's text unread until somebody asks for the booster.
    Raises: ChurnmlError that says which file is missing, torn or of another bundle.
    """
    texts = {name: _read(folder, name) for name in (JSON_FILE, MODEL_FILE, CARD_FILE)}
    try:
        plain = json.loads(texts[JSON_FILE])
    except ValueError:
        plain = None
    if not isinstance(plain, dict):
        raise _broken(folder, JSON_FILE, "text that is no JSON object (torn?)", "a whole bundle")
    if plain.get("format") != FORMAT:
        raise _broken(
            folder, JSON_FILE, f"format {plain.get('format')!r}", f"format {FORMAT} of this version"
        )
    missing = [name for name in (*_PLAIN, "sha256") if name not in plain]
    if missing:
        raise _broken(folder, JSON_FILE, f"no {', '.join(missing)}", "every field of a bundle")
    if plain["sha256"] != _digest(plain):
        raise _broken(folder, JSON_FILE, "content that was changed", "what its own digest says")
    for name, key in ((MODEL_FILE, "model_sha256"), (CARD_FILE, "card_sha256")):
        if _sha256(texts[name]) != plain[key]:
            raise _broken(
                folder, name, "a file that is torn or of another bundle",
                f"the one that {JSON_FILE} was written with",
            )  # fmt: skip
    bundle = _bundle(folder, plain, texts)
    return _with_booster(folder, bundle) if with_model else bundle


def _bundle(folder: Path, plain: dict[str, Any], texts: Mapping[str, str]) -> Bundle:
    if not plain["calibrator"]["slope"] > 0:
        raise _broken(folder, JSON_FILE, "a calibrator that turns the order round", "slope > 0")
    values = {name: plain[name] for name in _PLAIN}
    values["features"] = tuple(plain["features"])
    values["categories"] = {name: tuple(known) for name, known in plain["categories"].items()}
    return Bundle(**values, model_text=texts[MODEL_FILE], loaded=None, card=texts[CARD_FILE])


def _with_booster(folder: Path, bundle: Bundle) -> Bundle:
    from lightgbm.basic import LightGBMError

    try:
        booster = booster_of(bundle.model_text)
    except LightGBMError as error:
        raise _broken(folder, MODEL_FILE, f"no LightGBM model ({error})", "one") from None
    if tuple(booster.feature_name()) != bundle.features:
        raise _broken(
            folder, MODEL_FILE, f"{booster.num_feature()} columns in its own order",
            f"the {len(bundle.features)} features that {JSON_FILE} lists",
        )  # fmt: skip
    return replace(bundle, loaded=booster)


def _read(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _broken(folder, name, "no such file", "a bundle's three files") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(folder, name, f"a file that cannot be read ({error})", "UTF-8 text") from None


def _broken(folder: Path, name: str, found: str, expected: str) -> ChurnmlError:
    return ChurnmlError(
        f"bundle {folder.name}/{name}: found {found}. Expected {expected}. "
        "Promote the model again, or train a new one."
    )
