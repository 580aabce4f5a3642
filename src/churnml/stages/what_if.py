"""What would have to be true of an account in the book: from its stored features and the champion."""

from __future__ import annotations

from collections.abc import Mapping

from churnml.config import TierConfig
from churnml.errors import ConfigError
from churnml.explain.counterfactual import WhatIf, next_goal, what_if
from churnml.scoring.bundle import Bundle
from churnml.scoring.champions import champions
from churnml.stages.project import Project
from churnml.store.rows import AccountRow, ScoreRow


def what_ifs(
    project: Project, account: AccountRow, scores: tuple[ScoreRow, ...], goal: float | None = None
) -> dict[str, WhatIf]:
    """Target -> what would have to be true of the account.

    goal: the probability to come below (to reach, for expansion); None: the border of the next tier.
    Raises: ConfigError for a goal that is no probability; ChurnmlError for a broken champion.
    """
    if goal is not None and not 0 < goal < 1:
        raise ConfigError(
            f"--goal: found {goal:g}. Expected a probability between 0 and 1, such as 0.2. Correct it."
        )
    bundles = champions(project.bundles)
    return {
        row.target: what_if_of(bundles.get(row.target), row, account, project.config.tiers, goal)
        for row in scores
    }


def what_if_of(
    bundle: Bundle | None,
    row: ScoreRow,
    account: AccountRow,
    tiers: TierConfig,
    goal: float | None = None,
) -> WhatIf:
    """What would have to be true of one stored score. bundle: the champion; None if there is none."""
    if row.probability is None:
        return WhatIf("too_little_data", row.target, None, goal)
    if bundle is None or bundle.model_version != row.model_version:
        return WhatIf("other_model", row.target, row.probability, goal)
    features: Mapping[str, float | str | None] = account.features
    asked = next_goal(tiers, row.target, row.probability) if goal is None else goal
    return what_if(bundle, features, asked)
