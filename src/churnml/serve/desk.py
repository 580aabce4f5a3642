"""What the server holds in memory: configuration, champions, plays, health scores and the store of one
project.

Owns when they are read again; answers no request. A champion that was promoted meanwhile is taken
up within `CHECK_EVERY_S`, one that cannot be read is left aside and the old one keeps serving."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from churnml.actions.plays import Play, all_plays
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.features.catalog import BY_NAME, CATALOG
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import current_champion, current_version, kept_bundle
from churnml.scoring.explainer import warm
from churnml.scoring.health_definition import HealthDefinition, all_definitions
from churnml.serve.cache import Cache
from churnml.serve.schema import unavailable
from churnml.stages.beside import health_definitions
from churnml.stages.project import CONFIG_NAME, Project, open_project
from churnml.store.store import Store, open_store

log = logging.getLogger("churnml.serve")
CHECK_EVERY_S = 2.0

Signature = tuple[object, ...]


@dataclass(frozen=True)
class Held:
    """One consistent state: a request takes it once and keeps to it.

    fingerprint: 12 digits of what the company declares: churnml.toml, plays and health scores. turn: how
    often the project was read; another turn may answer otherwise. why_not: what keeps the server from
    being ready; None if nothing does.
    """

    config: Config | None = None
    bundles: Mapping[str, Bundle] = field(default_factory=dict)
    plays: tuple[Play, ...] = ()
    health: tuple[HealthDefinition, ...] = ()
    fingerprint: str = ""
    turn: int = 0
    store: Store | None = None
    store_url: str | None = None
    numbers: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    why_not: str | None = "The service is still starting."

    @property
    def asks_quickly(self) -> bool:
        """Whether a question to the store takes microseconds, and may be asked on the loop."""
        return (self.store_url or "").startswith("sqlite")

    def need_config(self) -> Config:
        """The configuration. Raises: Problem 503 without it."""
        if self.config is None:
            raise unavailable(self.why_not or "The service has no configuration.")
        return self.config

    def need_store(self) -> Store:
        """The store. Raises: Problem 503 without it."""
        if self.store is None:
            raise unavailable(self.why_not or "The store cannot be opened; the log says why.")
        return self.store


class Desk:
    """Holds a project for the requests. `now`: the clock, naive UTC."""

    def __init__(self, project: Path, now: Callable[[], datetime] | None = None):
        self._folder = project
        self._now = now or (lambda: datetime.now(UTC).replace(tzinfo=None))
        self._lock = threading.Lock()
        self._held = Held()
        self._signature: Signature | None = None
        self._checked = -CHECK_EVERY_S
        self.answers = Cache()

    @property
    def folder(self) -> Path:
        """The project's."""
        return self._folder

    @property
    def present(self) -> Held:
        """The state as it was when somebody last looked. Takes no time."""
        return self._held

    def now(self) -> datetime:
        """The moment, naive UTC."""
        return self._now()

    def held(self, at_once: bool = False) -> Held:
        """The present state, read again where the project changed since (looked at now and then).

        at_once: look now.
        """
        if not at_once and not self.due():
            return self._held
        # One request looks; the others go on with what there is.
        if self._lock.acquire(blocking=at_once):
            try:
                self._look()
                self._checked = time.monotonic()
            finally:
                self._lock.release()
        return self._held

    def due(self) -> bool:
        """Whether the project is to be looked at again: `held` would, and may take its time."""
        return time.monotonic() - self._checked >= CHECK_EVERY_S

    def is_stale(self, held: Held, data_through: datetime) -> bool:
        """Whether scores of data up to that moment are older than the company allows."""
        return self._now() > self.fresh_until(held, data_through)

    def fresh_until(self, held: Held, data_through: datetime) -> datetime:
        """The last moment at which scores of data up to that moment are not stale."""
        return data_through + timedelta(days=held.need_config().serve.stale_after_days)

    def bundle(self, held: Held, target: str, version: str) -> Bundle | None:
        """A model that is or was a champion; None if it is not kept, or cannot be read."""
        serving = held.bundles.get(target)
        if serving is not None and serving.model_version == version:
            return serving
        try:
            return kept_bundle(self._folder / "bundles", target, version)
        except (ChurnmlError, OSError) as error:
            log.error("%s", error)
            return None

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            if self._held.store is not None:
                self._held.store.close()
            self._held = Held(turn=self._held.turn + 1, why_not="The service is stopping.")

    def _look(self) -> None:
        signature = self._sign()
        if signature == self._signature and self._held.store is not None:
            return
        before = self._held
        self._held = self._read(before)
        self._signature = signature
        if self._held.why_not:
            log.warning("not ready: %s", self._held.why_not)
        loaded = {name: bundle.model_version for name, bundle in self._held.bundles.items()}
        if loaded != {name: bundle.model_version for name, bundle in before.bundles.items()}:
            log.info("serving %s", loaded or "no model")

    def _sign(self) -> Signature:
        """Changes whenever something that is held would be read otherwise."""
        parts: list[object] = []
        declared = (
            path for kind in ("plays", "health") for path in (self._folder / kind).glob("*.toml")
        )
        for path in (self._folder / CONFIG_NAME, *sorted(declared)):
            name = str(path.relative_to(self._folder))
            try:
                parts.append((name, path.stat().st_mtime_ns))
            except OSError:
                parts.append((name, None))
        for pointer in sorted((self._folder / "bundles").glob("*/CURRENT")):
            try:
                parts.append(
                    (pointer.parent.name, pointer.stat().st_mtime_ns, pointer.read_bytes())
                )
            except OSError:
                parts.append((pointer.parent.name, None))
        return tuple(parts)

    def _read(self, before: Held) -> Held:
        try:
            project = open_project(self._folder)
        except ChurnmlError as error:
            log.error("%s", error)
            return Held(
                turn=before.turn + 1, why_not=f"The project has no {CONFIG_NAME} that can be read."
            )
        try:
            plays = all_plays(project.play_texts())
        except ChurnmlError as error:
            log.error("%s", error)
            plays = before.plays or all_plays({})
        try:
            health = health_definitions(project)
        except ChurnmlError as error:
            log.error("%s", error)
            health = before.health or all_definitions({})
        bundles = _champions(project, before.bundles)
        store = _store(project, before)
        why_not = None
        if not bundles:
            why_not = "No model is promoted yet. Run: churnml train, then churnml promote."
        elif store is None:
            why_not = "The store cannot be opened; the log says why."
        catalogued = {name: BY_NAME[name].categorical for name in (f.name for f in CATALOG)}
        used = {
            name: name in bundle.categories
            for bundle in bundles.values()
            for name in bundle.features
        }
        known = {**catalogued, **used}
        return Held(
            config=project.config,
            bundles=bundles,
            plays=plays,
            health=health,
            fingerprint=_fingerprint(project),
            turn=before.turn + 1,
            store=store,
            store_url=project.store_url,
            numbers=frozenset(name for name, categorical in known.items() if not categorical),
            categories=frozenset(name for name, categorical in known.items() if categorical),
            why_not=why_not,
        )


def _fingerprint(project: Project) -> str:
    try:
        texts = [(project.folder / CONFIG_NAME).read_text(encoding="utf-8")]
        for told in (project.play_texts(), project.health_texts()):
            texts += (
                text for pair in sorted(told.items()) for text in (Path(pair[0]).name, pair[1])
            )
    except (OSError, UnicodeDecodeError):  # taken away since; the next look finds it so
        texts = []
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _champions(project: Project, before: Mapping[str, Bundle]) -> dict[str, Bundle]:
    found: dict[str, Bundle] = {}
    for target in project.config.targets:
        serving = before.get(target)
        try:
            version = current_version(project.bundles, target)
            if serving is not None and version == serving.model_version:
                found[target] = serving
                continue
            bundle = current_champion(project.bundles, target)
            if bundle is not None:
                slower = warm(bundle)  # here, so that no request waits for it
                if slower is not None:
                    log.warning("%s %s: %s", target, bundle.model_version, slower)
        except (ChurnmlError, OSError) as error:
            log.error("%s", error)
            bundle = serving
        if bundle is not None:
            found[target] = bundle
    return found


def _store(project: Project, before: Held) -> Store | None:
    if before.store is not None and before.store_url == project.store_url:
        return before.store
    try:
        store = open_store(project.store_url)
    except ChurnmlError as error:
        log.error("%s", error)
        return None
    if before.store is not None:
        before.store.close()
    return store
