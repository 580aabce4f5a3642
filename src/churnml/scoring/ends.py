"""Whether a row lies where training rows lay. Owns the ends of each number; judges nothing (outlook.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Ends:
    """The least and the most that training rows held, (k,) each, of the columns at `places`."""

    places: npt.NDArray[np.intp]
    least: npt.NDArray[np.float64]
    most: npt.NDArray[np.float64]


def ends_of(reference: Mapping[str, Mapping[str, Any]], columns: Sequence[str]) -> Ends:
    """The ends of the numbers among the columns; those that it knows none of are left out.

    reference: see `Bundle`.
    """
    known = [
        (place, found["least"], found["most"])
        for place, name in enumerate(columns)
        if (found := reference.get(name, {})).get("least") is not None
        and found.get("most") is not None
    ]
    places, least, most = zip(*known, strict=True) if known else ((), (), ())
    return Ends(np.array(places, np.intp), np.array(least, float), np.array(most, float))


def outside(ends: Ends, matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """How many of a row's numbers lie outside those of the training rows: (rows, columns) to (rows,)."""
    numbers = matrix[:, ends.places]
    # What is missing is neither below nor above.
    found: npt.NDArray[np.int64] = ((numbers < ends.least) | (numbers > ends.most)).sum(axis=1)
    return found
