"""How a value comes out of the small tables: one aggregate per snapshot over a relation of rows.

Values over the same relation are computed together, so a relation is read once however many values ask
for it."""

from __future__ import annotations

from dataclasses import dataclass

from churnml.snapshots.views import AsOfView


@dataclass(frozen=True)
class Small:
    """One value per snapshot.

    source: SQL of a relation with the column n (the snapshot). value: an aggregate over it. Both may
    name {days}, the window, and {before}, twice as long. zero: a snapshot without rows reads as 0
    (nothing happened, where the table exists), else as missing.
    """

    source: str
    value: str
    zero: bool = False


def visible(table: str) -> str:
    """The visible rows of a table, as a relation."""
    return f"({AsOfView().rows(table)})"


def counted(source: str, condition: str = "true") -> Small:
    """How many rows of a relation fulfil a condition; 0 without any."""
    return Small(source, f"count(*) filter (where {condition})", zero=True)
