"""Two models of one target on the same rows: find both, find the rows, judge, keep.

Owns where the rows come from: the predictions that both runs kept, or snapshots built again from today's
tables. `training/compare.py` owns what is told of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from churnml import __version__
from churnml.config import Config, TargetConfig, target_of
from churnml.errors import Refused
from churnml.features.catalog import BY_NAME, fingerprint
from churnml.features.spec import Feature
from churnml.scoring.predict import predict
from churnml.scoring.registry import table_of_run
from churnml.stages.build import Built, build, calendar_dates, label_frame, open_tables
from churnml.stages.project import Project, write_whole
from churnml.stages.registry import Model, find_model
from churnml.training.assemble import KEYS, assemble
from churnml.training.compare import (
    Comparison,
    Judging,
    PairedRows,
    compare_rows,
    kept_rows,
    rows_of_kept,
)
from churnml.training.learn import accounts_of
from churnml.training.params import MIN_PART_OUTCOMES
from churnml.training.track import PREDICTIONS_FILE, TEST_ROWS_FILE, RunFacts, log_comparison

Say = Callable[[str], None]
SLICE_FAMILIES = ("profile", "lifecycle", "commercial")  # what rows are cut by comes from these
SUMMARY, PICTURE = "comparison.json", "comparison.png"


@dataclass(frozen=True, eq=False)
class CommonRows:
    """Rows that neither of two models learned from or was calibrated on.

    way: where they come from, in words. notes: what else the reader should know.
    """

    rows: PairedRows
    way: str
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> datetime:
        """The first snapshot's date."""
        return _moment(self.rows.table.as_of.min())

    @property
    def last(self) -> datetime:
        """The last snapshot's date."""
        return _moment(self.rows.table.as_of.max())

    def sentence(self) -> str:
        """Which rows, in words."""
        table = self.rows.table
        return (
            f"{len(table):,} snapshots of {len(set(table.accounts)):,} accounts from "
            f"{self.first:%Y-%m-%d} to {self.last:%Y-%m-%d} that neither learned from, {self.way}"
        )


@dataclass(frozen=True, eq=False)
class Compared:
    """Two models and what came of comparing them. few: why nothing can be told, in words, or None."""

    target: str
    a: Model
    b: Model
    common: CommonRows
    comparison: Comparison
    few: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for --json."""
        return {
            "target": self.target,
            "a": self.a.as_dict(),
            "b": self.b.as_dict(),
            "way": self.common.way,
            "few": self.few,
            "notes": list(self.common.notes),
            "from": f"{self.common.first:%Y-%m-%d}",
            "until": f"{self.common.last:%Y-%m-%d}",
            **self.comparison.as_dict(),
        }


def compare(project: Project, a: str, b: str, target: str, say: Say = lambda _: None) -> Compared:
    """Compare two models of a target. Writes nothing: see `keep` and `write`.

    a, b: alias, version number, model version or run id (its beginning is enough).
    Raises: NotFound listing what there is; Refused, with the dates, where the two have too few rows in
    common or predict other things; ContractError, SourceError.
    """
    target_of(project.config, target)
    first, second = (find_model(project, target, asked) for asked in (a, b))
    common = common_rows(project, target, first, second, say)
    say(f"Judging both on {common.sentence()} …")
    judging = judging_of(project.config, target)
    comparison = compare_rows(common.rows, judging)
    found = min(comparison.evaluation.outcomes, comparison.evaluation.others)
    few = (
        f"{found} accounts with the outcome, or without, are in these rows; {judging.min_outcomes} are "
        "needed (gates.min_outcomes) to tell which is better."
    )
    return Compared(
        target, first, second, common, comparison, few if found < judging.min_outcomes else None
    )


def judging_of(config: Config, target: str) -> Judging:
    """What judging needs of the configuration."""
    return Judging(
        target,
        config.capacity,
        config.tiers,
        config.training.bootstrap_rounds,
        config.training.seed,
        config.gates.interval,
        config.gates.min_outcomes,
        config.value,
    )


def common_rows(
    project: Project, target: str, a: Model, b: Model, say: Say = lambda _: None
) -> CommonRows:
    """Rows on which both models can be judged: those that both runs kept if they are the same, else
    snapshots built again from today's tables.

    Raises: as `compare`.
    """
    one, other = _definition(target, a), _definition(target, b)
    differs = sorted(key for key in {*one, *other} if one.get(key) != other.get(key))
    if differs:
        told = ", ".join(f"{key} {one.get(key)} and {other.get(key)}" for key in differs)
        raise Refused(
            f"{target}: {a.name} and {b.name} predict other things: found {told}. Expected one "
            "definition of the label. Train one of them again."
        )
    kept = _kept(project, a, b)
    if kept is not None:
        return CommonRows(kept, "as both runs kept their predictions of them")
    return _rebuilt(project, target, a, b, say)


def _definition(target: str, model: Model) -> Mapping[str, Any]:
    papers = model.bundle.papers
    if "definition" not in papers or "split" not in papers:
        raise Refused(
            f"{target}: {model.name} has no papers that say what it predicts and from which dates it "
            "learned. Expected a model that churnml train made. Train it again."
        )
    definition: Mapping[str, Any] = papers["definition"]
    return definition


def _kept(project: Project, a: Model, b: Model) -> PairedRows | None:
    """The rows of both runs' tests, if they are the same and both runs kept them."""
    if a.run_id is None or b.run_id is None:
        return None
    uri = project.tracking_uri
    told = []
    for run_id in (a.run_id, b.run_id):
        frame = table_of_run(uri, run_id, PREDICTIONS_FILE)
        if frame is None:
            return None
        told.append(frame.sort_values(["as_of", "account_id"], ignore_index=True))
    same = ["account_id", "as_of", "label"]
    if not told[0][same].equals(told[1][same]):
        return None
    # Either run's will do; the one that has more to cut by is the better.
    found = [table_of_run(uri, run_id, TEST_ROWS_FILE) for run_id in (a.run_id, b.run_id)]
    rows = max((f for f in found if f is not None), key=lambda f: len(f.columns), default=None)
    if rows is None:
        return None
    rows = rows.sort_values(["as_of", "account_id"], ignore_index=True)
    if not rows[KEYS].equals(told[0][KEYS]):
        return None
    y, of_a, of_b = (
        frame[name].to_numpy(dtype=np.float64)
        for frame, name in ((told[0], "label"), (told[0], "probability"), (told[1], "probability"))
    )
    return rows_of_kept(rows, y, of_a, of_b)


def _rebuilt(project: Project, target: str, a: Model, b: Model, say: Say) -> CommonRows:
    config = _as_defined(project.config, target, _definition(target, a))
    begins = max(_free_from(model) for model in (a, b))
    until = project.config.split.test_until
    say("Reading and checking the tables …")
    with open_tables(project) as workspace:
        dates = [
            date
            for date in calendar_dates(workspace, config)
            if date >= begins and (until is None or date.date() <= until)
        ]
        if not dates:
            raise _too_few(
                target, a, b, begins, f"the data end on {workspace.data_through:%Y-%m-%d}"
            )
        say(
            f"Building features at {len(dates)} dates, {dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d} …"
        )
        built = build(workspace, config, dates, _families(a, b))
        labels = label_frame(workspace, config, target)
        through = workspace.data_through
    for model in (a, b):
        _refuse_absent(target, model, built)
    try:
        table = assemble(built.frame, labels, built.features)
    except Refused as refusal:
        raise _too_few(target, a, b, begins, str(refusal)) from None
    counts = accounts_of(table)
    if min(counts) < MIN_PART_OUTCOMES:
        found = (
            f"from then on, up to {through:%Y-%m-%d}, {counts[0]} accounts with the outcome and "
            f"{counts[1]} without are known"
        )
        raise _too_few(target, a, b, begins, found)
    keys = pd.DataFrame({"account_id": table.accounts, "as_of": table.as_of})
    frame = keys.merge(built.frame, on=KEYS, how="left", validate="one_to_one")
    rows = rows_of_kept(
        kept_rows(table), table.y, predict(a.bundle, frame), predict(b.bundle, frame)
    )
    notes = [note for model in (a, b) for note in _redefined(model, built)]
    return CommonRows(rows, "built again from today's tables", tuple(notes))


def _as_defined(config: Config, target: str, definition: Mapping[str, Any]) -> Config:
    """The configuration with the label's definition that the models were trained with."""
    known = {key: definition[key] for key in TargetConfig.model_fields if key in definition}
    targets: dict[Any, TargetConfig] = dict(config.targets)
    targets[target] = TargetConfig.model_validate(known)
    ledger = config.ledger.model_copy(update={"grace_days": definition["grace_days"]})
    return config.model_copy(update={"targets": targets, "ledger": ledger})


def _free_from(model: Model) -> datetime:
    """The first moment from which a snapshot's window holds nothing that the model has seen."""
    split = model.bundle.papers["split"]
    last = max(datetime.fromisoformat(split[part]["last"]) for part in ("train", "calibrate"))
    return last + timedelta(days=int(split["gap_days"]))


def _families(a: Model, b: Model) -> tuple[str, ...]:
    names = {*a.bundle.features, *b.bundle.features} & set(BY_NAME)
    found = {*SLICE_FAMILIES, *(BY_NAME[name].family for name in names)}
    return tuple(sorted(found))


def _refuse_absent(target: str, model: Model, built: Built) -> None:
    absent = [name for name in model.bundle.features if name not in built.frame.columns]
    if absent:
        raise Refused(
            f"{target}: {model.name} uses {', '.join(absent)}, which today's tables and catalogue do not "
            "give. Expected every feature that it was trained with. Give it the tables that it was "
            "trained on, or compare models of today."
        )


def _redefined(model: Model, built: Built) -> Iterator[str]:
    declared: dict[str, Feature] = {feature.name: feature for feature in built.features}
    used = [declared[name] for name in model.bundle.features]
    if fingerprint(used) != model.bundle.catalog_fingerprint:
        yield (
            f"{model.name} was trained when the catalogue declared some of its features otherwise "
            f"({model.bundle.catalog_fingerprint}, today {fingerprint(used)}): it is judged on today's."
        )


def _too_few(target: str, a: Model, b: Model, begins: datetime, found: str) -> Refused:
    def seen(model: Model) -> str:
        split = model.bundle.papers["split"]
        return (
            f"{model.name} learned and was calibrated on snapshots up to {split['calibrate']['last']} "
            f"({split['gap_days']} days until all their windows are over)"
        )

    return Refused(
        f"{target}: too few rows that neither model has seen. {seen(a)}; {seen(b)}; so rows in common "
        f"begin on {begins:%Y-%m-%d}. Found: {found.rstrip('.')}. Expected at least "
        f"{MIN_PART_OUTCOMES} accounts with the outcome and as many without. Compare again when more "
        "windows are over."
    )


def _moment(value: np.datetime64) -> datetime:
    moment: datetime = value.astype("datetime64[us]").item()
    return moment


def write(compared: Compared, folder: Path) -> list[Path]:
    """Write comparison.json, a CSV per table and the picture to `folder`; returns the files.

    Raises: ChurnmlError if the place cannot be written to.
    """
    from churnml.training.forest import draw_forest  # matplotlib costs a second

    title = f"{compared.target}: A {compared.a.name}, B {compared.b.name}"
    text = json.dumps(compared.as_dict(), indent=1, ensure_ascii=False, default=_number) + "\n"
    writers: dict[str, Callable[[Path], object]] = {
        SUMMARY: lambda path: path.write_text(text, encoding="utf-8"),
        PICTURE: lambda path: draw_forest(compared.comparison, title, path),
    }
    for name, table in compared.comparison.tables().items():
        writers[f"{name}.csv"] = lambda path, table=table: table.to_csv(path, index=False)  # type: ignore[misc]
    for name, writer in writers.items():
        write_whole(folder / name, writer)
    return [folder / name for name in writers]


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def keep(project: Project, compared: Compared) -> str:
    """Leave the comparison in MLflow, as a run of its own; returns its id."""
    tags = {
        "name": f"{compared.target}-compare",
        "target": compared.target,
        "model_a": compared.a.name,
        "model_b": compared.b.name,
        "rows": compared.common.sentence(),
    }
    facts = RunFacts(
        project.tracking_uri,
        project.artifact_root,
        project.config.name,
        {"churnml_version": __version__},
        project.now,
    )
    with tempfile.TemporaryDirectory(prefix="churnml-compare-") as folder:
        write(compared, Path(folder))
        return log_comparison(compared.comparison, Path(folder), tags, facts)
