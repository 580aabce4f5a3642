"""churnml's own way, `churnml.training.learn.learn`, as a contender. Owns nothing else."""

from __future__ import annotations

import tomllib
from pathlib import Path

from benchmarks.quality.contenders.boosters import lightgbm_learned
from benchmarks.quality.contenders.learned import Learned
from benchmarks.quality.prepare import table_of
from benchmarks.quality.rows import Cut
from churnml.training.learn import Parts, learn
from churnml.training.params import fit_params


def fit(cut: Cut, params: Path | None) -> Learned:
    """params: a models/<target>/params.toml; None for the defaults."""
    # A tuned file also says what tuning searched: that is no part of the fit.
    document = {"fit": tomllib.loads(params.read_text("utf-8")).get("fit", {})} if params else None
    parts = Parts(*(table_of(part) for part in (cut.train, cut.later, cut.test)))
    learned = learn(parts, fit_params(document, str(params)), int(cut.facts["seed"]))
    return lightgbm_learned(
        learned.booster,
        lambda rows: rows.x,
        f"{learned.fitted.rounds} trees: {learned.fitted.note}",
    )
