"""Features and labels joined into what a model learns from. Owns that table; splits nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from churnml.errors import ChurnmlError, Refused
from churnml.features.spec import Feature, held_directions
from churnml.scoring.predict import FloatArray, codes_of, numbers_of

KEYS = ["account_id", "as_of"]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """One row per labelled snapshot, sorted by (as_of, account_id).

    x: (rows, columns) float64, NaN where missing, categories as codes. categories: categorical
    column -> its values, the code is the place. y: 1.0 or 0.0. accounts: account ids, the groups
    of every interval. as_of: datetime64[us]. mrr: at as_of, money. treated: an intervention fell
    into the outcome window. days: from as_of to the outcome, NaN where there is none or its moment is
    unknown. monotone: column -> +1 or -1, where models are held to the declared direction.
    """

    x: FloatArray
    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    y: FloatArray
    accounts: npt.NDArray[np.object_]
    as_of: npt.NDArray[np.datetime64]
    mrr: FloatArray
    treated: BoolArray
    days: FloatArray
    monotone: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    def where(self, keep: BoolArray) -> TrainingTable:
        """The rows that `keep` marks, (rows,)."""
        return replace(
            self,
            x=self.x[keep],
            y=self.y[keep],
            accounts=self.accounts[keep],
            as_of=self.as_of[keep],
            mrr=self.mrr[keep],
            treated=self.treated[keep],
            days=self.days[keep],
        )

    def untreated(self) -> TrainingTable:
        """The rows whose outcome window held no intervention."""
        return self.where(~self.treated)

    def with_columns(self, keep: Sequence[str]) -> TrainingTable:
        """The same rows with these columns only, in this table's order."""
        places = [place for place, name in enumerate(self.columns) if name in set(keep)]
        columns = tuple(self.columns[place] for place in places)
        return replace(
            self,
            x=self.x[:, places],
            columns=columns,
            categories={name: self.categories[name] for name in columns if name in self.categories},
        )

    def with_categories(self, categories: Mapping[str, Sequence[str]]) -> TrainingTable:
        """The same rows coded by these categories; values outside them become missing."""
        x = self.x.copy()
        for name, known in categories.items():
            place = self.columns.index(name)
            order = {value: float(code) for code, value in enumerate(known)}
            mapped = np.array(
                [order.get(value, np.nan) for value in self.categories[name]] + [np.nan]
            )
            codes = np.where(np.isnan(x[:, place]), -1, x[:, place]).astype(np.int64)
            x[:, place] = mapped[codes]
        return replace(
            self, x=x, categories={name: tuple(kept) for name, kept in categories.items()}
        )

    def seen_categories(self) -> dict[str, tuple[str, ...]]:
        """Categorical column -> the values that these rows really hold, sorted."""
        seen = {}
        for name, known in self.categories.items():
            codes = self.x[:, self.columns.index(name)]
            seen[name] = tuple(known[int(code)] for code in np.unique(codes[~np.isnan(codes)]))
        return seen


def joined(tables: Sequence[TrainingTable]) -> TrainingTable:
    """The rows of tables with the same columns and categories, one table after the other."""
    return replace(
        tables[0],
        x=np.concatenate([table.x for table in tables]),
        y=np.concatenate([table.y for table in tables]),
        accounts=np.concatenate([table.accounts for table in tables]),
        as_of=np.concatenate([table.as_of for table in tables]),
        mrr=np.concatenate([table.mrr for table in tables]),
        treated=np.concatenate([table.treated for table in tables]),
        days=np.concatenate([table.days for table in tables]),
    )


def assemble(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    catalog_features: Sequence[Feature],
    target: str | None = None,
) -> TrainingTable:
    """Join features and labels on (account_id, as_of); rows without a label are left out.

    features, labels: as DESIGN §3 and the engine give them; the order of rows and columns doesn't
    matter, and labels may lack `outcome_at`. catalog_features: the declared features that may be used;
    those that are no column of `features` are absent. target: whose declared directions a model is to be
    held to; None where no model is fitted.
    Raises: Refused if no labelled row or no feature remains; ChurnmlError for a snapshot that
    occurs twice.
    """
    for frame, name in ((features, "features"), (labels, "labels")):
        twice = frame.duplicated(KEYS)
        if twice.any():
            account, as_of = frame.loc[twice, KEYS].iloc[0]
            raise ChurnmlError(
                f"{name}: {int(twice.sum())} snapshots occur twice (first: account {account}, "
                f"{as_of:%Y-%m-%d}). Expected one row per account and as_of. Build them again."
            )
    used = [feature for feature in catalog_features if feature.name in features.columns]
    if not used:
        raise Refused(
            "features: none of the asked features can be built from these tables. Expected at "
            "least one. Add tables or columns, or choose other --families."
        )
    if "outcome_at" not in labels.columns:
        labels = labels.assign(outcome_at=pd.NaT)
    labelled = labels.loc[
        labels["label"].notna(), [*KEYS, "label", "treated_in_window", "mrr", "outcome_at"]
    ]
    labelled = labelled.rename(columns={"mrr": "_mrr", "label": "_label", "outcome_at": "_at"})
    names = [feature.name for feature in used]
    found = labelled.merge(features[[*KEYS, *names]], on=KEYS, how="inner")
    if found.empty:
        raise Refused(_no_labels(labels))
    found = found.sort_values(["as_of", "account_id"], kind="stable", ignore_index=True)
    x = np.empty((len(found), len(used)), dtype=np.float64)
    categories = {}
    for place, feature in enumerate(used):
        values = found[feature.name]
        if feature.categorical:
            known = tuple(sorted({str(value) for value in values.dropna().unique()}))
            categories[feature.name] = known
            x[:, place] = codes_of(values, known)
        else:
            x[:, place] = numbers_of(values)
    ahead = pd.to_datetime(found["_at"]) - found["as_of"]
    return TrainingTable(
        x=x,
        columns=tuple(names),
        categories=categories,
        y=found["_label"].to_numpy(dtype=np.float64),
        accounts=found["account_id"].to_numpy(dtype=object),
        as_of=found["as_of"].to_numpy(dtype="datetime64[us]"),
        mrr=found["_mrr"].to_numpy(dtype=np.float64, na_value=np.nan),
        treated=found["treated_in_window"].fillna(False).to_numpy(dtype=np.bool_),
        days=(ahead / pd.Timedelta(days=1)).to_numpy(dtype=np.float64, na_value=np.nan),
        monotone=held_directions(used, target) if target else {},
    )


def missing_in_words(labels: pd.DataFrame) -> str:
    """Why labels are missing, e.g. "unmatured 120, ended_in_lead 4", or "no label is missing"."""
    reasons = labels.loc[labels["label"].isna(), "missing_reason"].fillna("unknown").value_counts()
    counts = sorted(reasons.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return ", ".join(f"{reason} {count}" for reason, count in counts) or "no label is missing"


def _no_labels(labels: pd.DataFrame) -> str:
    if labels["label"].notna().any():
        return (
            "labels: none belongs to a snapshot that has features. Expected the same accounts and "
            "dates. Build both from one calendar."
        )
    return (
        f"labels: all {len(labels)} snapshots lack a label ({missing_in_words(labels)}). Expected "
        "outcome windows that are over. Give more history, or a shorter horizon_days, lead_days or "
        "grace_days."
    )
