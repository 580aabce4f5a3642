"""A plain table of texts, as `plain_table.html.j2` draws it. Owns that shape alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PlainTable:
    """caption: what it is. heads: of the columns; the first is of the rows' names, the rest are numbers but
    for `texts`. rows: texts, "–" where nothing is told."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: frozenset[int] = frozenset()


def plain_table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    texts: Sequence[int] = (),
) -> PlainTable:
    """Raises: ValueError for a row of another length than the heads."""
    for row in rows:
        if len(row) != len(heads):
            raise ValueError(f"{caption}: {len(row)} cells, {len(heads)} heads")
    return PlainTable(caption, tuple(heads), tuple(map(tuple, rows)), frozenset(texts))
