"""Trials kept in Optuna's journal, so that a killed tuning goes on. Owns its form; tries nothing.

A trial is one line, written when it is done: it is there, or it isn't. So a kill loses what was running
and leaves nothing to mend but a torn last line. There is one writer, whom the stage's lock names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from churnml.errors import ChurnmlError
from churnml.training.params import FitParams, Search
from churnml.training.tune import Trial
from churnml.training.tune_folds import fold_told
from churnml.training.tune_propose import DIRECTIONS, distributions, inside_of


class _NoLock:
    """Optuna's locks outlive a killed process by half a minute; the stage holds one that doesn't."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


class Journal:
    """The study of one target and fingerprint in a journal file.

    trials: those that were kept, by number. others: fingerprints of other studies in the file: of
    other data, configuration or search spaces.
    """

    def __init__(self, path: Path, target: str, fingerprint: str, space: Search):
        """Raises: ChurnmlError if the file is no such journal."""
        self._space = space
        _mend(path)
        try:
            storage = JournalStorage(JournalFileBackend(str(path), _NoLock()))
            name = f"{target}-{fingerprint}"
            held = {study.study_name for study in storage.get_all_studies()}
            self._study = optuna.create_study(
                study_name=name, storage=storage, directions=DIRECTIONS, load_if_exists=True
            )
            found = [_read(frozen.user_attrs) for frozen in self._study.get_trials(deepcopy=False)]
        except (ValueError, KeyError, TypeError, AssertionError):
            raise ChurnmlError(
                f"{path}: is no journal of `churnml tune`. Expected what it writes. Start over with "
                "--fresh."
            ) from None
        self.trials = tuple(sorted(found, key=lambda trial: trial.number))
        self.others = tuple(sorted(held - {name}))

    def keep(self, trial: Trial) -> None:
        """Write a trial that is done."""
        params = {key: getattr(trial.params, key) for key in self._space}
        # Optuna takes no parameters outside of their range, as today's may be.
        inside = inside_of(self._space, params)
        complete = trial.state == "complete"
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE
                if complete
                else optuna.trial.TrialState.PRUNED,
                values=(trial.loss, trial.cost) if complete else None,
                params=params if inside else {},
                distributions=distributions(self._space) if inside else {},
                user_attrs={
                    "number": trial.number,
                    "state": trial.state,
                    "fit": trial.params.model_dump(),
                    "folds": [fold.as_dict() for fold in trial.folds],
                },
            )
        )


def _read(kept: dict[str, Any]) -> Trial:
    if kept["state"] not in ("complete", "pruned"):
        raise ValueError(kept["state"])
    return Trial(
        number=int(kept["number"]),
        params=FitParams.model_validate(kept["fit"]),
        state=kept["state"],
        folds=tuple(fold_told(plain) for plain in kept["folds"]),
    )


def _mend(path: Path) -> None:
    """Cut off a last line that a kill tore: Optuna would add the next one to it and read neither."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            file.truncate(whole)
