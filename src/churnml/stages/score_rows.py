"""The rows of a scored book: probabilities → reasons → plays, account by account. Owns what a row says;
reads no tables and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from churnml.actions.choose import choose_play, playable
from churnml.actions.plays import Play
from churnml.config import TIERS, Config
from churnml.explain.reasons import Reason, reasons_for_rows
from churnml.features.evidence import Evidence
from churnml.features.spec import Feature
from churnml.scoring.bundle import Bundle
from churnml.scoring.contributions import explain_rows
from churnml.scoring.outlook import outlooks
from churnml.stages.build import Built
from churnml.stages.phase import Phase, Watch, unwatched
from churnml.store.rows import AccountRow, Alias, FeatureValue, ScoreRow, Status, Tier

Features = dict[str, FeatureValue]  # one account's, by name


def score_rows(
    bundle: Bundle,
    built: Built,
    features: Sequence[Features],
    config: Config,
    alias: Alias,
    plays: Sequence[Play],
    data_through: datetime,
    currency: str,
    evidence: Sequence[Evidence],
    watch: Watch = unwatched,
) -> list[ScoreRow]:
    """The score rows of one model for all snapshots of `built`. features (as `feature_dicts` gives
    them), evidence: of each of them."""
    target = bundle.target
    watch(Phase("contributions", target))
    explained = explain_rows(bundle, built.frame)
    watch(Phase("outlooks", target))
    beside = outlooks(bundle, explained.matrix, explained.raw, explained.probability)
    watch(Phase("reasons", target))
    told = reasons_for_rows(
        built.frame, bundle.features, explained.contributions, target, config.language,
        currency, bundle.reference, evidence=evidence, rows=features,
    )  # fmt: skip
    watch(Phase("rows", target))
    rows: list[ScoreRow] = []
    possible = {tier: playable(target, tier, plays) for tier in (*TIERS, "unknown")}
    calibrator = bundle.calibrator
    slope, intercept = float(calibrator["slope"]), float(calibrator["intercept"])
    context = built.context
    snapshots = zip(
        context["account_id"].tolist(), context["as_of"].dt.to_pydatetime(),
        context["enough_data"].tolist(), context["mrr"].tolist(),
        explained.probability.tolist(), explained.raw.tolist(), strict=True,
    )  # fmt: skip
    for place, (account_id, as_of, enough, mrr, chance, raw) in enumerate(snapshots):
        probability = chance if enough else None
        tier: Tier = config.tiers.of(probability) if probability is not None else "unknown"  # type: ignore[assignment]
        status: Status = (
            "unpromoted" if alias == "challenger" else "ok" if enough else "too_little_data"
        )
        reasons: list[Reason] = told[place] if enough else []
        play = choose_play(target, tier, status, reasons, features[place], possible[tier])
        rows.append(
            ScoreRow(
                account_id=account_id,
                as_of=as_of,
                target=target,
                horizon_days=bundle.horizon_days,
                lead_days=bundle.lead_days,
                probability=probability,
                tier=tier,
                status=status,
                reasons=[reason.as_dict() for reason in reasons],
                play=play.name,
                mrr=float(mrr),
                currency=currency,
                model_version=bundle.model_version,
                data_through=data_through,
                outlook=beside[place] if enough else {},
                # What ties a stored probability to its raw score, after its model is gone too.
                calibration={"raw": raw, "slope": slope, "intercept": intercept} if enough else {},
            )
        )
    return rows


def feature_dicts(frame: pd.DataFrame, features: Sequence[Feature]) -> list[Features]:
    """Each row's features by name, None where missing."""
    columns = [_plain(frame[feature.name]) for feature in features]
    names = [feature.name for feature in features]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _plain(column: pd.Series) -> list[FeatureValue]:
    """A column as plain values, None where missing."""
    if column.dtype == np.float64:
        return [None if value != value else value for value in column.tolist()]
    values: list[FeatureValue] = column.astype(object).where(column.notna(), None).tolist()
    return values


def account_rows(
    built: Built,
    features: Sequence[Features],
    currency: str,
    evidence: Sequence[Evidence],
    renewing: Mapping[str, datetime],
) -> tuple[AccountRow, ...]:
    """What the store keeps of each account beside its scores. features: as `feature_dicts` gives them."""

    def text(value: Any) -> str | None:
        return None if pd.isna(value) else str(value)

    return tuple(
        AccountRow(
            account_id=snapshot.account_id,
            as_of=snapshot.as_of.to_pydatetime(),
            segment=text(snapshot.segment),
            need=text(snapshot.need),
            csm_id=text(snapshot.csm_id),
            mrr=float(snapshot.mrr),
            currency=currency,
            features=mine,
            evidence=told,
            renews_at=renewing.get(snapshot.account_id),
        )
        for snapshot, mine, told in zip(
            built.context.itertuples(index=False), features, evidence, strict=True
        )
    )
