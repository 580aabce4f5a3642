"""Tune the targets: build → label → folds → trials → choice, table, picture, MLflow.

Owns the files: the journal that a killed run goes on from, and the choice for people to review."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from churnml import __version__
from churnml.config import target_of
from churnml.errors import Refused
from churnml.sources.workspace import Workspace
from churnml.stages.build import Built, build, calendar_dates, label_frame, open_tables
from churnml.stages.project import Project, write_whole
from churnml.stages.registry import prepare_database
from churnml.stages.train import data_fingerprint, params_of, settings_of
from churnml.training.assemble import assemble, missing_in_words
from churnml.training.params import fit_params, search_space
from churnml.training.track import Record, RunFacts, log_record
from churnml.training.tune import Trial, Tuned, fingerprint, tune
from churnml.training.tune_folds import cut_folds
from churnml.training.tune_journal import Journal
from churnml.training.tune_papers import (
    TuneFacts,
    draw_front,
    flat_metrics,
    record_params,
    trial_row,
    trials_csv,
    tuned_toml,
)

JOURNAL, LOCK = "tune.journal", "tune.lock"
CHOICE, TRIALS, FRONT = "tuned.toml", "trials.csv", "front.png"


@dataclass(frozen=True)
class Progress:
    """How far one target's tuning is. lowest: log loss of the complete trials."""

    target: str
    done: int
    of: int
    pruned: int
    lowest: float | None


@dataclass(frozen=True)
class Wanted:
    """What was asked of a tuning. timeout_s: per target. write: take the choice over at once."""

    trials: int = 50
    fresh: bool = False
    write: bool = False
    timeout_s: float | None = None


@dataclass(frozen=True)
class TuneResult:
    """What became of one target: `refused` says why there is no choice, the rest tells of it.

    kept: trials of a run before that this one went on from. rows: the front, today's parameters and
    the chosen, as `training.tune_papers.trial_row` gives them. params: the chosen. choice: the file
    to review; written: the params.toml that it was taken over to.
    """

    target: str
    refused: str | None = None
    study: str | None = None
    folds: tuple[Mapping[str, Any], ...] = ()
    asked: int = 0
    trials: int = 0
    pruned: int = 0
    kept: int = 0
    rows: tuple[Mapping[str, Any], ...] = ()
    params: Mapping[str, Any] | None = None
    today: Mapping[str, Any] | None = None
    choice: str | None = None
    front: str | None = None
    written: str | None = None
    run_id: str | None = None


def run_tune(
    project: Project,
    targets: Sequence[str] = (),
    wanted: Wanted = Wanted(),
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> list[TuneResult]:
    """Tune the targets (default: all declared); no model is trained or registered.

    A target that cannot be tuned is refused with the reason; the others go on. Raises: ConfigError for
    an unknown target, a wrong [search] or CHURNML_WORKERS; ContractError, SourceError; Refused if
    another tuning of a target is running.
    """
    config = project.config
    chosen = list(dict.fromkeys(targets)) or list(config.targets)
    for target in chosen:
        target_of(config, target)
        _asked(project, target)
    workers = project.workers
    results = []
    with ThreadPoolExecutor(1) as pool:
        say("Reading and checking the tables …")
        with open_tables(project) as workspace:
            database = pool.submit(prepare_database, project)
            dates = calendar_dates(workspace, config)
            say(
                f"Building features at {len(dates)} dates, {dates[0]:%Y-%m-%d} to "
                f"{dates[-1]:%Y-%m-%d} …"
            )
            built = build(workspace, config, dates, config.training.families)
            say(f"{len(built.frame):,} snapshots, {len(built.features)} features.")
            for target in chosen:
                with _alone(project.artifacts / target / LOCK, target):
                    try:
                        found = _tune(project, workspace, built, target, wanted, workers, say, tell)
                    except Refused as refusal:
                        results.append(TuneResult(target, refused=f"{target}: {refusal}"))
                        continue
                    database.result()
                    results.append(_keep(project, found, wanted.write))
    return results


@dataclass(frozen=True, eq=False)
class _Found:
    """What was found for a target. kept: trials of a run before. data: fingerprint, as training's."""

    facts: TuneFacts
    tuned: Tuned
    kept: int
    data: str


def _asked(project: Project, target: str) -> Any:
    """Today's parameters and the search space."""
    document = params_of(project, target)
    where = f"models/{target}/params.toml"
    return fit_params(document, where), search_space(document, where)


def _tune(
    project: Project,
    workspace: Workspace,
    built: Built,
    target: str,
    wanted: Wanted,
    workers: int,
    say: Callable[[str], None],
    tell: Callable[[Progress], None],
) -> _Found:
    config = project.config
    labels = label_frame(workspace, config, target)
    settings = settings_of(workspace, config, target)
    declared = target_of(config, target)
    today, space = _asked(project, target)
    table = assemble(built.frame, labels, built.features, target)
    gap_days = declared.lead_days + declared.horizon_days + settings.grace_days
    folds = cut_folds(table, gap_days, settings, missing_in_words(labels))
    seed = settings.training.seed
    study = fingerprint(folds, today, space, seed)
    path = project.artifacts / target / JOURNAL
    if wanted.fresh:
        path.unlink(missing_ok=True)
    journal = Journal(path, target, study, space)
    known = [trial for trial in journal.trials if trial.number < wanted.trials]
    if known:
        say(f"{target}: going on from {len(known)} of {wanted.trials} trials that were kept.")
    elif journal.others:
        say(
            f"{target}: data, configuration, parameters or search space are not those of the "
            f"{len(journal.others)} earlier studies in {path}: a new study, {study}."
        )
    done = {trial.number: trial for trial in known}

    def keep(trial: Trial) -> None:
        journal.keep(trial)
        done[trial.number] = trial
        tell(_progress(target, done.values(), wanted.trials))

    tell(_progress(target, done.values(), wanted.trials))
    tuned = tune(
        folds, today, space, seed, wanted.trials, workers, known, keep, wanted.timeout_s
    )  # fmt: skip
    facts = TuneFacts(target, study, seed, space, folds)
    return _Found(facts, tuned, len(known), data_fingerprint(built.frame, labels))


def _progress(target: str, done: Any, of: int) -> Progress:
    losses = [trial.loss for trial in done if trial.state == "complete"]
    return Progress(target, len(done), of, len(done) - len(losses), min(losses, default=None))


def _keep(project: Project, found: _Found, write: bool) -> TuneResult:
    """Leave the choice, the trials and the picture in the project, and a record in MLflow."""
    facts, tuned = found.facts, found.tuned
    folder = project.artifacts / facts.target
    text = tuned_toml(tuned, facts)
    write_whole(folder / CHOICE, lambda path: path.write_text(text, encoding="utf-8"))
    write_whole(folder / FRONT, lambda path: draw_front(tuned, facts.target, path))
    written = None
    if write:
        written = project.folder / "models" / facts.target / "params.toml"
        write_whole(written, lambda path: path.write_text(text, encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="churnml-tune-") as name:
        record = Path(name)
        (record / CHOICE).write_text(text, encoding="utf-8")
        # A trial's number is no account's id: `forget` looks for none beside plots.
        plots = record / "plots"
        plots.mkdir()
        (plots / TRIALS).write_text(trials_csv(tuned, facts.space), encoding="utf-8")
        (plots / FRONT).write_bytes((folder / FRONT).read_bytes())
        run_id = log_record(
            Record(
                kind="tune",
                name=f"{facts.target}-tune-{facts.study}",
                target=facts.target,
                metrics=flat_metrics(tuned),
                params=record_params(tuned, facts),
                tags={"study": facts.study},
                folder=record,
            ),
            RunFacts(
                uri=project.tracking_uri,
                artifact_root=project.artifact_root,
                company=project.config.name,
                tags={"data_fingerprint": found.data, "churnml_version": __version__},
                logged_at=project.now,
            ),
        )
    shown = [
        trial
        for trial in tuned.trials
        if any(one is trial for one in (*tuned.front, tuned.current, tuned.chosen))
    ]
    return TuneResult(
        target=facts.target,
        study=facts.study,
        folds=tuple(
            {
                "learns_until": f"{pd.Timestamp(fold.learn_until):%Y-%m-%d}",
                "judges_from": f"{fold.judge.first:%Y-%m-%d}",
                "judges_until": f"{fold.judge.last:%Y-%m-%d}",
            }
            for fold in facts.folds.folds
        ),
        asked=tuned.asked,
        trials=len(tuned.trials),
        pruned=sum(trial.state == "pruned" for trial in tuned.trials),
        kept=found.kept,
        rows=tuple(
            trial_row(tuned, trial, facts.space)
            for trial in sorted(shown, key=lambda trial: (trial.cost, trial.number))
        ),
        params=tuned.params.model_dump(),
        today=tuned.current.params.model_dump(),
        choice=str(folder / CHOICE),
        front=str(folder / FRONT),
        written=None if written is None else str(written),
        run_id=run_id,
    )


@contextmanager
def _alone(path: Path, target: str) -> Iterator[None]:
    """One tuning of a target at a time. The kernel lets the lock go with the process, even a killed one.

    Raises: Refused if another holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(
                f"{target}: another `churnml tune` of this target is running ({path} is locked). "
                "Expected one at a time. Wait for it, or end it: what it has done is kept."
            ) from None
        yield
