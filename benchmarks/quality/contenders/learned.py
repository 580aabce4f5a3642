"""What every contender gives back. Owns the shape; learns nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.rows import FloatArray, Rows


@dataclass(frozen=True)
class Size:
    """How large a model is: trees and leaves where it has any, bytes of its text form.

    leaves: or weights, where the model is a sum of columns (`trees` is 0 then).
    """

    trees: int
    leaves: int
    text_bytes: int


@dataclass(frozen=True, eq=False)
class Learned:
    """A fitted contender.

    raw: rows -> scores on the log-odds scale, (rows,). explain: rows -> (rows, parts), each part
    what one column (or group of columns, or the base) added to the score, None where the library
    offers nothing exact. own: sigmoid(raw) is a probability of the contender's own. note: what was
    chosen, in words.
    """

    raw: Callable[[Rows], FloatArray]
    explain: Callable[[Rows], FloatArray] | None
    size: Size
    own: bool = True
    note: str = ""


def log_odds(probability: FloatArray, resolution: float) -> FloatArray:
    """Log-odds of probabilities; forests say 0 and 1, which half a training row stands in for."""
    p = np.clip(np.asarray(probability, dtype=np.float64), resolution, 1 - resolution)
    odds: FloatArray = np.log(p) - np.log1p(-p)
    return odds
