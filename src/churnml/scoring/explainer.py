"""Which way a bundle's contributions are made. Owns the choice and what is kept between calls; the ways
are LightGBM's own `pred_contrib` (the oracle), `treeshap.py` in numpy, and the same compiled.

The two of ours give the same bits, so the choice between them is one of time alone: numba takes half a
second to import, loops that it hasn't cached a few seconds to compile. A model that `trees.py` cannot
read is left to LightGBM, for every number of rows."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churnml.scoring.bundle import Bundle
from churnml.scoring.trees import Floats, Unread, read_trees
from churnml.scoring.treeshap import Forest

if TYPE_CHECKING:
    from churnml.scoring.treeshap_compiled import CompiledForest

CELL_S = 4e-8  # numpy's time for a node and a point, about
COMPILE_ABOVE_S = 3.0  # what numpy would take for a batch, where compiling is sooner even uncached


@dataclass(eq=False)
class _Kept:
    """A bundle's forest (None: not readable), its compiled twin, and whether that was tried.

    slower: why the fastest way is not to be had, in words.
    """

    forest: Forest | None
    compiled: CompiledForest | None = None
    tried: bool = False
    slower: str | None = None


_kept: weakref.WeakKeyDictionary[Bundle, _Kept] = weakref.WeakKeyDictionary()


def parts_of(bundle: Bundle, matrix: Floats) -> tuple[Floats, float]:
    """Contributions of the model's input matrix, (rows, features) in log-odds, and the base.

    The same for a row alone and in a batch, to the last bit.
    """
    kept = _keep(bundle)
    if kept.forest is None:
        told = np.asarray(bundle.booster.predict(matrix, pred_contrib=True, num_threads=1))
        return told[:, :-1], float(told[0, -1])
    if len(matrix) * kept.forest.cells * CELL_S > COMPILE_ABOVE_S:
        _compile(kept)
    way = kept.compiled or kept.forest
    return way.contributions(matrix), kept.forest.trees.base


def warm(bundle: Bundle) -> str | None:
    """Read the model and compile, for who will explain single rows and shall not wait at the first.

    Returns: why reasons will be slower than they could be, in words; None if they won't.
    """
    kept = _keep(bundle)
    _compile(kept)
    return kept.slower


def _keep(bundle: Bundle) -> _Kept:
    kept = _kept.get(bundle)
    if kept is None:
        kept = _kept[bundle] = _read(bundle)
    return kept


def _read(bundle: Bundle) -> _Kept:
    try:
        trees = read_trees(bundle.model_text)
    except Unread as why:
        return _Kept(None, slower=f"LightGBM itself explains this model ({why})")
    if trees.features != len(bundle.features):
        return _Kept(None, slower="LightGBM itself explains this model (it has other features)")
    return _Kept(Forest(trees))


def _compile(kept: _Kept) -> None:
    if kept.tried or kept.forest is None:
        return
    kept.tried = True
    try:
        # Here, not above: who explains a few rows of a small model needs no compiler.
        from churnml.scoring.treeshap_compiled import compiled

        kept.compiled = compiled(kept.forest)
    except Exception as error:  # numba absent, broken or too old: numpy gives the same, later
        kept.slower = f"numpy explains it, since numba cannot ({type(error).__name__}: {error})"
