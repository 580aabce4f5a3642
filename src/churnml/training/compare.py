"""Two models of one target on the same out-of-time rows: is one better, by how much, and for whom.

Owns the pairing, and what is told of rows on which the two part. Both are judged in the same resamples of
accounts, so what they share cancels out of the difference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.config import TIERS, CapacityConfig, TierConfig, ValueConfig
from churnml.errors import Refused
from churnml.scoring.predict import FloatArray
from churnml.training.assemble import TrainingTable
from churnml.training.evaluate import MODEL, RIVAL, Estimate, Evaluation, evaluate
from churnml.training.metrics import METRICS
from churnml.training.profit import contact_gains
from churnml.training.train import TrainedTarget

A: Final = "A"
B: Final = "B"
CANNOT_TELL: Final = "cannot tell"
LESS_IS_BETTER = ("log_loss", "brier", "calibration_error")
NO_DIRECTION = ("calibration_slope", "calibration_intercept")  # better is nearer to 1, or to 0
CELL_OUTCOMES = 20  # accounts of each kind below which a segment has no interval
MOST_VALUES = 12  # of one way of cutting; the rest has too few rows to tell anything
MOST_APART = 50
TENURE = (90.0, 365.0)
Better = Literal["A", "B", "cannot tell", ""]


@dataclass(frozen=True)
class Judging:
    """How the configuration has two models judged. rounds, seed, interval: as in `evaluate`.

    min_outcomes: accounts of each kind below which nothing is told. target, value: for the profit.
    """

    target: str

    capacity: CapacityConfig
    tiers: TierConfig
    rounds: int
    seed: int
    interval: float
    min_outcomes: int
    value: ValueConfig = field(default_factory=ValueConfig)


@dataclass(frozen=True, eq=False)
class PairedRows:
    """Snapshots that both models speak about.

    table: only keys, labels, MRR and `treated` are looked at. a, b: probabilities, (rows,). slices: one
    column per way of cutting the rows: texts, and `tenure_days`.
    """

    table: TrainingTable
    a: FloatArray
    b: FloatArray
    slices: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Comparison:
    """Model A against model B; every difference is A minus B.

    evaluation: A is "model", B is "rival". metrics: metric, a, a_low, a_high, b, b_low, b_high,
    difference, low, high, better. flagged: by whom a snapshot is among the first of its date that
    capacity allows (both, A alone, B alone, neither): rows, accounts, outcome_rows, outcome_share, mrr
    (of the accounts, each once), outcome_mrr. tiers: each pair of different tiers: rows, accounts,
    outcome_rows, outcome_share, what each told on average, and who was nearer. apart: per account the
    snapshot on which the two part most, the widest first. segments: the difference for each value of
    each way of cutting: cut, value, rows, accounts, outcomes, and log_loss and roc_auc each with _low,
    _high and _better.
    """

    evaluation: Evaluation
    metrics: pd.DataFrame
    flagged: pd.DataFrame
    tiers: pd.DataFrame
    apart: pd.DataFrame
    segments: pd.DataFrame

    @property
    def difference(self) -> Mapping[str, Estimate]:
        """Metric -> A minus B, with its interval."""
        return self.evaluation.differences[RIVAL]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Name -> table, in the order in which they are told."""
        names = ("metrics", "flagged", "tiers", "apart", "segments")
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: None where undefined."""
        evaluation = self.evaluation
        return {
            "rows": evaluation.rows,
            "accounts": evaluation.accounts,
            "outcomes": evaluation.outcomes,
            "others": evaluation.others,
            "interval": evaluation.interval,
            **{name: _plain(table) for name, table in self.tables().items()},
        }


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    found = table.astype(object).where(table.notna(), None)
    return [
        {
            str(key): f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else value
            for key, value in row.items()
        }
        for row in found.to_dict("records")
    ]


def compare(
    model: TrainedTarget,
    rival: TrainedTarget,
    capacity: Callable[[int], int],
    rounds: int,
    seed: int,
    interval: float,
    value: ValueConfig | None = None,
) -> Evaluation:
    """Judge two trained models side by side; `difference` reads what one has over the other.

    capacity, rounds, seed, interval: as in `evaluate`. value: what an account is worth; None: the
    stand-ins of the configuration.
    Raises: Refused if they were not tested on the same snapshots.
    """
    if not (
        np.array_equal(model.test.accounts, rival.test.accounts)
        and np.array_equal(model.test.as_of, rival.test.as_of)
        and np.array_equal(model.test.y, rival.test.y)
    ):
        raise Refused(
            f"{model.target}: the two models were tested on other snapshots "
            f"({len(model.test):,} and {len(rival.test):,} rows). Expected the same labels and the "
            "same split. Train both on one build."
        )
    told = {MODEL: model.probability, RIVAL: rival.probability}
    gains = contact_gains(model.test, model.target, value or ValueConfig())
    return evaluate(model.test, told, capacity, rounds, seed, interval, gains, METRICS)


def difference(compared: Evaluation) -> Mapping[str, Estimate]:
    """Metric -> model minus rival, with its interval."""
    return compared.differences[RIVAL]


def evaluate_rows(rows: PairedRows, judging: Judging) -> Evaluation:
    """Both models' metrics and every metric's difference on the same rows."""
    return evaluate(
        rows.table,
        {MODEL: rows.a, RIVAL: rows.b},
        judging.capacity.of,
        judging.rounds,
        judging.seed,
        judging.interval,
        contact_gains(rows.table, judging.target, judging.value),
        METRICS,
    )


def compare_rows(rows: PairedRows, judging: Judging) -> Comparison:
    """All that is told of two models on the same rows."""
    evaluation = evaluate_rows(rows, judging)
    return Comparison(
        evaluation=evaluation,
        metrics=_metrics(evaluation, judging),
        flagged=_flagged(rows, judging),
        tiers=_tiers(rows, judging),
        apart=_apart(rows, judging),
        segments=_segments(rows, judging),
    )


def better(metric: str, estimate: Estimate, fewest: int, needed: int) -> Better:
    """Which model a difference (A minus B) speaks for; nothing where more is neither better nor worse.

    fewest: accounts with the outcome or without, whichever are fewer; needed: how many it takes.
    """
    if metric in NO_DIRECTION:
        return ""
    if fewest < needed or math.isnan(estimate.low) or estimate.low <= 0 <= estimate.high:
        return CANNOT_TELL
    return A if (estimate.value > 0) != (metric in LESS_IS_BETTER) else B


def _metrics(evaluation: Evaluation, judging: Judging) -> pd.DataFrame:
    fewest = min(evaluation.outcomes, evaluation.others)
    found = []
    for metric in METRICS:
        row: dict[str, Any] = {"metric": metric}
        for name, who in (("a", MODEL), ("b", RIVAL)):
            mine = evaluation.metrics[who][metric]
            row |= {name: mine.value, f"{name}_low": mine.low, f"{name}_high": mine.high}
        apart = evaluation.differences[RIVAL][metric]
        row |= {"difference": apart.value, "low": apart.low, "high": apart.high}
        row["better"] = better(metric, apart, fewest, judging.min_outcomes)
        found.append(row)
    return pd.DataFrame(found)


def _first(rows: PairedRows, probability: FloatArray, capacity: CapacityConfig) -> npt.NDArray[Any]:
    """Which rows are among the first of their date that can be handled; the id decides ties."""
    first = np.zeros(len(probability), dtype=bool)
    ids = rows.table.accounts.astype(str)
    for date in np.unique(rows.table.as_of):
        book = np.flatnonzero(rows.table.as_of == date)
        order = np.lexsort((ids[book], -probability[book]))
        first[book[order[: capacity.of(len(book))]]] = True
    return first


def _flagged(rows: PairedRows, judging: Judging) -> pd.DataFrame:
    by_a, by_b = (_first(rows, told, judging.capacity) for told in (rows.a, rows.b))
    groups = {
        "both": by_a & by_b,
        f"{A} alone": by_a & ~by_b,
        f"{B} alone": by_b & ~by_a,
        "neither": ~by_a & ~by_b,
    }
    return pd.DataFrame([{"by": by, **_counts(rows, keep)} for by, keep in groups.items()])


def _counts(rows: PairedRows, keep: npt.NDArray[Any]) -> dict[str, Any]:
    table = rows.table.where(keep)
    frame = pd.DataFrame({"account": table.accounts, "y": table.y, "mrr": table.mrr})
    # An account is seen at many dates, its money is there once.
    each = frame.groupby("account").agg(y=("y", "max"), mrr=("mrr", "mean"))
    return {
        "rows": len(frame),
        "accounts": len(each),
        "outcome_rows": int(frame["y"].sum()),
        "outcome_share": float(frame["y"].mean()) if len(frame) else math.nan,
        "mrr": float(each["mrr"].sum()),
        "outcome_mrr": float(each.loc[each["y"] > 0.5, "mrr"].sum()),
    }


def _tiers(rows: PairedRows, judging: Judging) -> pd.DataFrame:
    of_a, of_b = (_tier(told, judging.tiers) for told in (rows.a, rows.b))
    found = []
    for tier_a in reversed(TIERS):
        for tier_b in reversed(TIERS):
            keep = (of_a == tier_a) & (of_b == tier_b)
            if tier_a == tier_b or not keep.any():
                continue
            counts = _counts(rows, keep)
            told_a, told_b = float(rows.a[keep].mean()), float(rows.b[keep].mean())
            seen = counts["outcome_share"]
            nearer = A if abs(told_a - seen) < abs(told_b - seen) else B
            enough = _fewest(rows.table.where(keep)) >= CELL_OUTCOMES
            found.append(
                {
                    "tier_a": tier_a,
                    "tier_b": tier_b,
                    **{k: counts[k] for k in ("rows", "accounts", "outcome_rows", "outcome_share")},
                    "told_a": told_a,
                    "told_b": told_b,
                    "nearer": nearer if enough else CANNOT_TELL,
                }
            )
    columns = ("tier_a", "tier_b", "rows", "accounts", "outcome_rows", "outcome_share", "told_a")
    return pd.DataFrame(found, columns=[*columns, "told_b", "nearer"])


def _tier(probability: FloatArray, tiers: TierConfig) -> npt.NDArray[Any]:
    return np.array([tiers.of(float(value)) for value in probability], dtype=object)


def _fewest(table: TrainingTable) -> int:
    """Accounts with the outcome or without, whichever are fewer."""
    return min(len(set(table.accounts[kind])) for kind in (table.y > 0.5, table.y <= 0.5))


def _apart(rows: PairedRows, judging: Judging) -> pd.DataFrame:
    table = rows.table
    frame = pd.DataFrame(
        {
            "account_id": table.accounts,
            "as_of": table.as_of,
            "label": table.y.astype(int),
            "probability_a": rows.a,
            "probability_b": rows.b,
            "tier_a": _tier(rows.a, judging.tiers),
            "tier_b": _tier(rows.b, judging.tiers),
            "mrr": table.mrr,
        }
    )
    frame["apart"] = (rows.a - rows.b).astype(float)
    frame["nearer"] = np.where(np.abs(rows.a - table.y) < np.abs(rows.b - table.y), A, B)
    order = frame["apart"].abs().sort_values(ascending=False, kind="stable").index
    widest = frame.loc[order].drop_duplicates("account_id")
    return widest[widest["apart"] != 0].head(MOST_APART).reset_index(drop=True)


def _segments(rows: PairedRows, judging: Judging) -> pd.DataFrame:
    found = []
    for cut, values in _cuts(rows):
        counts = values.value_counts()
        if len(counts) < 2:
            continue
        shown = [value for value in _order(values) if value in set(counts.index[:MOST_VALUES])]
        for value in shown:
            keep = (values == value).to_numpy()
            found.append({"cut": cut, "value": str(value), **_cell(rows, keep, judging)})
    kinds = [
        f"{m}{end}" for m in ("log_loss", "roc_auc") for end in ("", "_low", "_high", "_better")
    ]
    return pd.DataFrame(found, columns=["cut", "value", "rows", "accounts", "outcomes", *kinds])


def _order(values: pd.Series[Any]) -> list[Any]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        return list(values.cat.categories)
    return list(values.value_counts().index)


def _cuts(rows: PairedRows) -> Iterator[tuple[str, pd.Series[Any]]]:
    """Each way of cutting the rows and the value of each row, missing where it has none."""
    for name in rows.slices:
        if name != "tenure_days":
            yield str(name), rows.slices[name].astype(object)
    mrr = pd.Series(rows.table.mrr)
    low, high = mrr.quantile(1 / 3), mrr.quantile(2 / 3)
    if low < high:
        names = [f"up to {low:,.0f}", f"{low:,.0f} to {high:,.0f}", f"over {high:,.0f}"]
        yield "mrr", pd.Series(pd.cut(mrr, [-np.inf, low, high, np.inf], labels=names))
    if "tenure_days" in rows.slices:
        short, long = TENURE
        names = [
            f"up to {short:.0f} days",
            f"{short:.0f} to {long:.0f} days",
            f"over {long:.0f} days",
        ]
        tenure = rows.slices["tenure_days"].astype(float)
        yield "tenure", pd.Series(pd.cut(tenure, [-np.inf, short, long, np.inf], labels=names))


def _cell(rows: PairedRows, keep: npt.NDArray[Any], judging: Judging) -> dict[str, Any]:
    table = rows.table.where(keep)
    fewest = _fewest(table)
    cell: dict[str, Any] = {
        "rows": len(table),
        "accounts": len(set(table.accounts)),
        "outcomes": len(set(table.accounts[table.y > 0.5])),
    }
    found: Mapping[str, Estimate] = {}
    if fewest >= CELL_OUTCOMES:
        part = PairedRows(table, rows.a[keep], rows.b[keep], rows.slices[keep])
        found = evaluate_rows(part, judging).differences[RIVAL]
    unknown = Estimate(math.nan, math.nan, math.nan)
    for metric in ("log_loss", "roc_auc"):
        estimate = found.get(metric, unknown)
        cell |= {
            metric: estimate.value,
            f"{metric}_low": estimate.low,
            f"{metric}_high": estimate.high,
            f"{metric}_better": better(metric, estimate, fewest, judging.min_outcomes),
        }
    return cell


def kept_rows(table: TrainingTable) -> pd.DataFrame:
    """What a training run keeps of its test rows beside the predictions, so that it can be compared:
    account_id, as_of, mrr, treated, days, each category as text, and tenure_days where it is a feature."""
    found = {
        "account_id": table.accounts,
        "as_of": table.as_of,
        "mrr": table.mrr,
        "treated": table.treated,
        "days": table.days,
    }
    for place, name in enumerate(table.columns):
        if name in table.categories:
            known = np.array([*table.categories[name], None], dtype=object)
            codes = table.x[:, place]
            found[name] = known[np.where(np.isnan(codes), -1, codes).astype(np.int64)]
        elif name == "tenure_days":
            found[name] = table.x[:, place]
    return pd.DataFrame(found)


KEPT_KEYS = ("account_id", "as_of", "mrr", "treated", "days")


def rows_of_kept(kept: pd.DataFrame, y: FloatArray, a: FloatArray, b: FloatArray) -> PairedRows:
    """Rows to compare from what a run kept. y: labels; a, b: probabilities, all in the order of `kept`."""
    table = TrainingTable(
        x=np.empty((len(kept), 0)),
        columns=(),
        categories={},
        y=y,
        accounts=kept["account_id"].to_numpy(dtype=object),
        as_of=kept["as_of"].to_numpy(dtype="datetime64[us]"),
        mrr=kept["mrr"].to_numpy(dtype=np.float64, na_value=np.nan),
        treated=kept["treated"].to_numpy(dtype=np.bool_),
        days=kept["days"].to_numpy(dtype=np.float64, na_value=np.nan),
    )
    return PairedRows(table, a, b, kept.drop(columns=list(KEPT_KEYS)).reset_index(drop=True))
