"""Arrow arrays from numpy ones. Owns the conversions of days, codes and numbered ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from churnml.simulate.settings import Flags, Floats, Ints

MOMENT = pa.timestamp("us")
SECONDS_A_DAY = 86_400


def moments(seconds: Ints, present: Flags | None = None) -> pa.Array:
    """Seconds since 1970-01-01 as naive UTC moments; null where not `present`."""
    micros = seconds.astype(np.int64) * 1_000_000
    return pa.array(micros, mask=None if present is None else ~present).cast(MOMENT)


def days(numbers: Ints, present: Flags | None = None) -> pa.Array:
    """Day numbers as midnights; null where not `present`."""
    return moments(numbers.astype(np.int64) * SECONDS_A_DAY, present)


def texts(codes: Ints, words: Sequence[str], present: Flags | None = None) -> pa.Array:
    """Codes as the words that they stand for; null where not `present`."""
    return pa.array(words, pa.string()).take(
        pa.array(codes, mask=None if present is None else ~present)
    )


def numbered(prefix: str, count: int, digits: int) -> pa.Array:
    """`count` ids: the prefix and a number from 1 on."""
    return pa.array([f"{prefix}{number:0{digits}d}" for number in range(1, count + 1)], pa.string())


def numbers(values: Floats | Ints, present: Flags | None = None) -> pa.Array:
    """Numbers; null where not `present`."""
    return pa.array(values, mask=None if present is None else ~present)
