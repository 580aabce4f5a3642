"""Definitions, data coverage, versions. Owns these shapes; they are filled by the stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class TableCoverage:
    """One table of the contract: what there is of it. rows None: the company does not have it."""

    table: str
    rows: int | None
    accounts: int | None = None
    first: date | None = None
    last: date | None = None
    missing_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Papers:
    """The last section. basis: of contraction and expansion, `net` or `list`."""

    coverage: tuple[TableCoverage, ...]
    drift: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    basis: str = "net"
    grace_days: int = 30
