"""A project's parts as plain files, so that contenders of any environment learn from the same rows.

Owns the files; imports nothing of churnml, because peers' environments don't have it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]
PARTS = ("train", "later", "test")
FACTS = "facts.json"
OWN = ("account_id", "as_of", "mrr", "y", "treated")  # columns of a part that are no features
VALID_SHARE = 0.2  # of the accounts, for contenders that need rows to stop or to choose by


@dataclass(frozen=True, eq=False)
class Rows:
    """One part: x (rows, columns) float64, NaN where missing, categories as codes.

    categories: categorical column -> its values, the code is the place. y: 1.0 or 0.0. accounts:
    the groups that no honest validation cuts through.
    """

    x: FloatArray
    columns: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    y: FloatArray
    accounts: npt.NDArray[np.object_]
    as_of: npt.NDArray[np.datetime64]
    mrr: FloatArray
    treated: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.y)

    def where(self, keep: npt.NDArray[Any]) -> Rows:
        """The rows that `keep` marks or numbers."""
        return replace(
            self, x=self.x[keep], y=self.y[keep], accounts=self.accounts[keep],
            as_of=self.as_of[keep], mrr=self.mrr[keep], treated=self.treated[keep],
        )  # fmt: skip

    def column(self, name: str) -> FloatArray:
        """One feature, (rows,)."""
        return self.x[:, self.columns.index(name)]

    def frame(self) -> pd.DataFrame:
        """The features as people hand them to libraries: numbers, and pandas categories."""
        frame = pd.DataFrame(self.x, columns=list(self.columns))
        for name, known in self.categories.items():
            codes = np.where(np.isnan(frame[name]), -1, frame[name]).astype(int)
            frame[name] = pd.Categorical.from_codes(codes, categories=list(known))
        return frame


@dataclass(frozen=True, eq=False)
class Cut:
    """The three parts of one target of one project. facts: what judging them needs, and names."""

    train: Rows
    later: Rows
    test: Rows
    facts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Project and target."""
        return f"{self.facts['project']} {self.facts['target']}"


def save(cut: Cut, folder: Path) -> None:
    """Write a cut into its folder: a Parquet file per part, and the facts."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PARTS:
        part: Rows = getattr(cut, name)
        frame = pd.DataFrame(part.x, columns=[f"x_{column}" for column in part.columns])
        own = (part.accounts.astype(str), part.as_of, part.mrr, part.y, part.treated)
        pd.DataFrame(dict(zip(OWN, own, strict=True))).join(frame).to_parquet(
            folder / f"{name}.parquet", index=False
        )
    facts = {
        **cut.facts,
        "columns": list(cut.train.columns),
        "categories": {name: list(known) for name, known in cut.train.categories.items()},
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def load(folder: Path) -> Cut:
    """Read what `save` wrote."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    columns = tuple(facts["columns"])
    categories = {name: tuple(known) for name, known in facts["categories"].items()}
    parts = []
    for name in PARTS:
        frame = pd.read_parquet(folder / f"{name}.parquet")
        parts.append(
            Rows(
                x=np.ascontiguousarray(frame[[f"x_{c}" for c in columns]].to_numpy(np.float64)),
                columns=columns,
                categories=categories,
                y=frame["y"].to_numpy(np.float64),
                accounts=frame["account_id"].to_numpy(object),
                as_of=frame["as_of"].to_numpy("datetime64[us]"),
                mrr=frame["mrr"].to_numpy(np.float64),
                treated=frame["treated"].to_numpy(np.bool_),
            )
        )
    train, later, test = parts
    return Cut(train, later, test, facts)


def held_back(rows: Rows, seed: int) -> npt.NDArray[np.bool_]:
    """Rows of a fifth of the accounts with the outcome and a fifth of those without.

    Whole accounts: a library that validates on other snapshots of accounts that it has learnt from
    believes that it knows far more than it does, and learns on for too long.
    """
    accounts, codes = np.unique(rows.accounts.astype(str), return_inverse=True)
    has = np.zeros(len(accounts), dtype=bool)
    has[codes[rows.y > 0.5]] = True
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(accounts), dtype=bool)
    for kind in (has, ~has):
        members = rng.permutation(np.flatnonzero(kind))
        chosen[members[: max(1, round(VALID_SHARE * len(members)))]] = True
    held: npt.NDArray[np.bool_] = chosen[codes]
    return held
