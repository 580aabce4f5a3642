"""Figures of reasons: do they say the planted cause, do decoys alarm, are they stable and faithful?

Owns the figures of one company or project, and what several say together; prints nothing. The rows are those
of the test, out of time and unseen by the model. Flagged: in the top decile of its date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from churnml.explain.drivers import by_driver
from churnml.explain.trust import faithfulness, leading, movements, overlap, typical_peer
from churnml.scoring.bundle import booster_of
from churnml.scoring.contributions import explain_matrix
from churnml.scoring.predict import design_matrix, predict_matrix
from churnml.simulate.causes import ACAUSAL, CAUSES
from churnml.stages.build import Built, build, calendar_dates, label_frame, open_tables
from churnml.stages.init import init_project
from churnml.stages.project import open_project
from churnml.stages.simulate import simulate_company
from churnml.stages.train import settings_of
from churnml.training.fit import fit
from churnml.training.train import TrainedTarget, cut_target, train_target

TARGET = "churn"
DECILE = 0.1
TOP = 3
RESAMPLES = 500
ROWS = 2000  # test rows, at most, whose drivers are reset
PEERS = 20  # accounts that the model learned from, whose values they are reset to
AFTER_DAYS = 84  # an automation or a new role may look like trouble for so long
WINDOW_DAYS = 104  # lead and horizon of a true probability

# Which drivers say a cause. Narrow on purpose: the ones that a CSM would act on in the same way, and not all
# that the cause moves besides (nearly every cause dampens use, so that usage would always be half right).
SAYS: Mapping[str, frozenset[str]] = {
    # Who left is a key user.
    "champion_left": frozenset({"key_users"}),
    # Use goes, little by little: its trend, and later its level.
    "fading_use": frozenset({"usage_trend", "usage_level"}),
    # Little of the product was ever taken up, few modules, milestones late or never.
    "never_adopted": frozenset({"adoption", "breadth", "onboarding"}),
    # Fewer seats are needed, then given back.
    "contraction": frozenset({"contraction", "seat_use"}),
    # Tickets: many, grave, slow; and their CSAT.
    "support_pain": frozenset({"support", "satisfaction"}),
    # A discount ends, or a dearer offer comes: terms, and what people say of them.
    "price": frozenset({"commercial", "satisfaction"}),
    # The product fits less: fewer modules, less finished.
    "need_changed": frozenset({"adoption", "breadth"}),
}
# The same with what else the cause moves as it is declared (simulate/causes.py): nothing but falling use
# shows of a contraction before seats are cut, tickets about prices come with a price, use falls wherever a
# champion is gone or the product doesn't fit. Printed beside, and no goal.
MOVES: Mapping[str, frozenset[str]] = {
    **SAYS,
    "champion_left": SAYS["champion_left"] | {"usage_trend", "usage_level"},
    "fading_use": SAYS["fading_use"] | {"breadth", "adoption", "seat_use"},
    "never_adopted": SAYS["never_adopted"] | {"usage_level", "satisfaction"},
    "contraction": SAYS["contraction"] | {"usage_trend", "usage_level"},
    "price": SAYS["price"] | {"support"},
    "need_changed": SAYS["need_changed"] | {"usage_trend", "usage_level"},
}
LAG_DAYS = {cause.name: 7 * cause.lag_weeks for cause in CAUSES}
LASTS_DAYS = {cause.name: 7 * cause.lasts_weeks for cause in CAUSES}


@dataclass(frozen=True, eq=False)
class Explained:
    """The test rows of one model: a row each, and (rows, drivers) contributions.

    rows: account_id, as_of, label, probability, flagged, leads (the drivers that lead its reasons).
    """

    rows: pd.DataFrame
    drivers: tuple[Any, ...]
    sums: np.ndarray
    trained: TrainedTarget


def explained(trained: TrainedTarget) -> Explained:
    """What the model told of its test rows, and why."""
    found = explain_matrix(trained.bundle, trained.test.x)
    drivers, sums = by_driver(trained.bundle.features, found.contributions)
    rows = pd.DataFrame(
        {
            "account_id": trained.test.accounts.astype(str),
            "as_of": pd.to_datetime(trained.test.as_of),
            "label": trained.test.y,
            "days": trained.test.days,
            "probability": found.probability,
            "leads": leading(drivers, sums, TOP),
        }
    )
    place = rows.groupby("as_of")["probability"].rank(ascending=False, method="first")
    size = rows.groupby("as_of")["probability"].transform("size")
    rows["flagged"] = place <= np.ceil(DECILE * size)
    return Explained(rows, drivers, sums, trained)


def pressing(rows: pd.DataFrame, causes: pd.DataFrame) -> pd.DataFrame:
    """The churners' rows with a cause that pressed at `as_of` and still did when they decided: `rows`, and
    `causes`, their names."""
    planted = causes[(causes["cause"] != ACAUSAL) & causes["churned_at"].notna()]
    both = rows[rows["label"] > 0.5].reset_index(names="row").merge(planted, on="account_id")
    age = (both["as_of"] - both["planted_at"]).dt.days
    ahead = (both["churned_at"] - both["as_of"]).dt.days
    here = (age >= both["cause"].map(LAG_DAYS)) & (age < both["cause"].map(LASTS_DAYS))
    here &= (ahead > 0) & (ahead <= WINDOW_DAYS)
    named = both[here].groupby("row")["cause"].agg(lambda names: tuple(sorted(set(names))))
    return rows.loc[named.index].assign(causes=named)


def matched(pressed: pd.DataFrame, says: Mapping[str, frozenset[str]]) -> pd.DataFrame:
    """Whether the first reason (top_1), and any of the first three (top_3), says a cause that pressed."""
    right = [frozenset().union(*(says[cause] for cause in names)) for names in pressed["causes"]]
    leads = pressed["leads"].tolist()
    return pressed.assign(
        top_1=[bool(led) and led[0] in own for led, own in zip(leads, right, strict=True)],
        top_3=[bool(own & set(led)) for led, own in zip(leads, right, strict=True)],
    )


def by_account(found: pd.DataFrame, column: str, seed: int = 7) -> tuple[float, float, float]:
    """The mean over accounts (each the mean of its rows), and 95 % of resampled accounts."""
    own = found.groupby("account_id")[column].mean().to_numpy(dtype=float)
    if not len(own):
        return float("nan"), float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(own), (RESAMPLES, len(own)))
    low, high = np.quantile(own[drawn].mean(axis=1), (0.025, 0.975))
    return float(own.mean()), float(low), float(high)


def at_work(rows: pd.DataFrame, causes: pd.DataFrame) -> np.ndarray:
    """Rows whose account has a planted cause that isn't over at `as_of`, whatever became of it: (rows,)."""
    planted = causes[causes["cause"] != ACAUSAL]
    both = rows.reset_index(names="row").merge(planted, on="account_id")
    age = (both["as_of"] - both["planted_at"]).dt.days
    here = (age >= 0) & (age < both["cause"].map(LASTS_DAYS))
    return rows.index.isin(both.loc[here, "row"])


def decoyed(rows: pd.DataFrame, decoys: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """(decoy, rows that it is at work in)."""
    for name, own in decoys.groupby("decoy"):
        both = rows.reset_index(names="row").merge(own, on="account_id")
        since = (both["as_of"] - both["began_at"]).dt.days
        if name == "small_but_steady":
            here = since >= 0
        elif name == "key_user_holiday":
            # What the last four weeks hold of it is over four weeks after its end.
            here = (since > 0) & ((both["as_of"] - both["ended_at"]).dt.days < 28)
        else:
            here = (since > 0) & (since <= AFTER_DAYS)
        yield str(name), rows.index.isin(both.loc[here, "row"])


def decoy_figures(
    rows: pd.DataFrame, causes: pd.DataFrame, decoys: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Share flagged of the rows with a decoy and no cause, less that of rows with neither."""
    sick = at_work(rows, causes)
    kinds = dict(decoyed(rows, decoys))
    healthy = ~sick & ~np.any(list(kinds.values()), axis=0)
    found = {}
    for name, here in {**kinds, "any": np.any(list(kinds.values()), axis=0)}.items():
        found[name] = _share_beside(rows, here & ~sick, healthy)
    return found


def _share_beside(rows: pd.DataFrame, here: np.ndarray, healthy: np.ndarray) -> dict[str, float]:
    """Both shares, and the interval of their difference from resampled accounts."""
    frame = pd.DataFrame({"account": rows["account_id"], "flag": rows["flagged"].astype(float)})
    parts = []
    for mask in (here, healthy):
        own = frame[mask].groupby("account")["flag"].agg(["sum", "size"])
        parts.append(own.reindex(frame["account"].unique(), fill_value=0).to_numpy(dtype=float))
    decoy, other = parts
    drawn = np.random.default_rng(7).integers(0, len(decoy), (RESAMPLES, len(decoy)))
    share = [part[drawn].sum(axis=1) for part in parts]
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = share[0][:, 0] / share[0][:, 1] - share[1][:, 0] / share[1][:, 1]
        low, high = np.nanquantile(gap, (0.025, 0.975)) if len(gap) else (np.nan, np.nan)
        return {
            "rows": int(here.sum()),
            "accounts": int((decoy[:, 1] > 0).sum()),
            "share": float(decoy[:, 0].sum() / decoy[:, 1].sum()),
            "healthy": float(other[:, 0].sum() / other[:, 1].sum()),
            "low": float(low),
            "high": float(high),
        }


def season_figures(
    trained: TrainedTarget, built: Built, causes: pd.DataFrame, alert: float
) -> dict[str, float]:
    """The year's end, when the whole book is quiet: accounts without a cause above the alert's probability
    on the Mondays of the dip, and on those of the eight weeks before. Dates after the training part."""
    frame = built.frame
    after = np.datetime64(trained.split.train.last)
    first = pd.Timestamp(f"{pd.Timestamp(after).year}-12-25")
    dip = frame["as_of"].between(first, first + pd.Timedelta(days=20))
    usual = frame["as_of"].between(first - pd.Timedelta(days=60), first - pd.Timedelta(days=7))
    rows = frame[(dip | usual) & (frame["as_of"] > after)].reset_index(drop=True)
    if rows.empty:
        return {}
    rows["account_id"] = rows["account_id"].astype(str)
    told = predict_matrix(trained.bundle, design_matrix(trained.bundle, rows))
    healthy = ~at_work(rows, causes)
    quiet = (rows["as_of"] >= first).to_numpy()
    beside = rows.assign(flagged=told >= alert)
    return _share_beside(beside, healthy & quiet, healthy & ~quiet)


def lead_figures(rows: pd.DataFrame) -> dict[str, float]:
    """Of the churners of the test: how many were flagged, and days from the first time to the churn."""
    churned = rows[rows["label"] > 0.5]
    first = churned[churned["flagged"]].groupby("account_id")["days"].max()
    low, middle, high = np.nanquantile(first, (0.25, 0.5, 0.75)) if len(first) else [np.nan] * 3
    return {
        "churners": int(churned["account_id"].nunique()),
        "flagged": len(first),
        "days_25": float(low),
        "days_50": float(middle),
        "days_75": float(high),
    }


def trust_figures(found: Explained, train: Any, refits: int, seed: int) -> dict[str, Any]:
    """Stability over refits on resampled accounts, and faithfulness, of all test rows and of flagged ones."""
    trained, bundle = found.trained, found.trained.bundle
    flagged = found.rows["flagged"].to_numpy()
    rng = np.random.default_rng(seed)
    asked = np.sort(rng.permutation(len(flagged))[:ROWS])
    sums, x, alerts = found.sums[asked], trained.test.x[asked], flagged[asked]
    drawn = train.x[rng.integers(0, len(train), PEERS)]
    faithful: dict[str, float] = {}
    for name, peers in (("", drawn), ("_typical", typical_peer(bundle))):
        moved = movements(bundle, x, peers)
        for which, rows in (("", None), ("_flagged", alerts)):
            told = faithfulness(found.drivers, sums, moved, rows)
            faithful[f"direction{name}{which}"] = told.direction_share
            faithful[f"rank{name}{which}"] = told.rank_correlation
            faithful[f"within{name}{which}"] = told.within_rows
    shares = np.full((refits, len(flagged)), np.nan)
    names, place = np.unique(train.accounts.astype(str), return_inverse=True)
    order = np.argsort(place, kind="stable")
    begins = np.searchsorted(place[order], np.arange(len(names) + 1))
    for refit in range(refits):
        drawn = rng.integers(0, len(names), len(names))
        rows = np.concatenate([order[begins[one] : begins[one + 1]] for one in drawn])
        again = fit(train.where(np.sort(rows)), trained.params, seed + refit + 1)
        other = replace(bundle, model_text=again.model_text, loaded=booster_of(again.model_text))
        parts = explain_matrix(other, trained.test.x).contributions
        sums = by_driver(bundle.features, parts)[1]
        shares[refit] = overlap(found.rows["leads"].tolist(), leading(found.drivers, sums, TOP))
    return {
        **faithful,
        "refits": refits,
        "stability": float(np.nanmean(shares)) if refits else np.nan,
        "stability_flagged": float(np.nanmean(shares[:, flagged])) if refits else np.nan,
    }


def one_project(
    folder: Path, seed: int, refits: int, target: str = TARGET
) -> tuple[Explained, Built, dict[str, Any]]:
    """A project's model, trained and explained, and how far its reasons can be trusted."""
    project = open_project(folder)
    with open_tables(project) as workspace:
        config = project.config
        built = build(workspace, config, calendar_dates(workspace, config))
        labels = label_frame(workspace, config, target)
        settings = settings_of(workspace, config, target)
        settings = replace(settings, training=settings.training.model_copy(update={"seed": seed}))
        declared = config.targets[target]
        trained = train_target(
            built.frame, labels, built.features, target, declared, settings, workspace.data_through
        )
        train = cut_target(
            built.frame, labels, built.features, target, declared, settings
        ).parts.train
    found = explained(trained)
    model = trained.evaluation.model["roc_auc"]
    figures = {
        "rows": len(found.rows),
        "outcomes": trained.evaluation.outcomes,
        "roc_auc": model.value,
        **trust_figures(found, train, refits, seed),
    }
    return found, built, figures


def one_company(
    folder: Path, accounts: int, weeks: int, seed: int, refits: int = 5, rollouts: int = 64
) -> dict[str, Any]:
    """The figures of one simulated company; "cases" are its flagged churners, a row per snapshot."""
    simulate_company(folder / "data", accounts, weeks, seed, rollouts)
    init_project(folder / "project", str(folder / "data"))
    found, built, figures = one_project(folder / "project", seed, refits)
    truth = {
        name: pd.read_parquet(folder / "data" / "truth" / f"{name}.parquet")
        for name in ("causes", "decoys", "probabilities")
    }
    known = found.rows.merge(
        truth["probabilities"].query("target == @TARGET"), on=["account_id", "as_of"]
    )
    if len(known):
        figures["oracle"] = float(roc_auc_score(known["label"], known["true_probability"]))
    pressed = pressing(found.rows, truth["causes"])
    cases = matched(pressed[pressed["flagged"]], SAYS)
    wide = matched(pressed[pressed["flagged"]], MOVES)
    cases = cases.assign(seed=seed, wide_1=wide["top_1"], wide_3=wide["top_3"])
    alert = float(found.rows.loc[found.rows["flagged"], "probability"].min())
    churned = truth["causes"].dropna(subset="churned_at")
    acausal = churned["cause"].eq(ACAUSAL).sum()
    return {
        "seed": seed,
        **figures,
        "acausal": float(acausal / len(churned.drop_duplicates(["account_id", "churned_at"]))),
        "lead": lead_figures(found.rows),
        "decoys": decoy_figures(found.rows, truth["causes"], truth["decoys"]),
        "season": season_figures(found.trained, built, truth["causes"], alert),
        "cases": cases,
    }


def pooled(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the companies say together: matches with intervals over all accounts, means of the rest."""
    cases = pd.concat([one["cases"] for one in found], ignore_index=True)
    cases["account_id"] = cases["seed"].astype(str) + " " + cases["account_id"]
    told = {name: by_account(cases, name) for name in ("top_1", "top_3", "wide_1", "wide_3")}
    causes = {}
    for name in LAG_DAYS:
        own = cases[[names == (name,) for names in cases["causes"]]]
        causes[name] = {
            "accounts": int(own["account_id"].nunique()),
            "top_1": by_account(own, "top_1")[0],
            "top_3": by_account(own, "top_3")[0],
        }
    several = cases[[len(names) > 1 for names in cases["causes"]]]
    return {
        "accounts": int(cases["account_id"].nunique()),
        "several_causes": int(several["account_id"].nunique()),
        "matches": told,
        "shuffled": shuffled(cases),
        "causes": causes,
    }


def shuffled(cases: pd.DataFrame, times: int = 50) -> dict[str, float]:
    """How often reasons would be right that belong to another flagged churner of the same company: what
    is left of a match if reasons say no more than what is wrong with churners as a rule."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(times):
        mixed = cases.copy()
        for _, own in cases.groupby("seed"):
            other = own["leads"].to_numpy()[rng.permutation(len(own))]
            mixed.loc[own.index, "leads"] = pd.Series(list(other), index=own.index)
        again = matched(mixed, SAYS)
        found.append([by_account(again, name)[0] for name in ("top_1", "top_3")])
    first, three = np.mean(found, axis=0)
    return {"top_1": float(first), "top_3": float(three)}


def failures(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Flagged churners none of whose first three reasons says the cause, at their first alert."""
    missed = []
    for one in found:
        first = one["cases"].sort_values("as_of").groupby("account_id").head(1)
        for row in first[~first["top_3"]].itertuples():
            missed.append(
                {
                    "seed": one["seed"],
                    "account_id": row.account_id,
                    "as_of": f"{row.as_of:%Y-%m-%d}",
                    "causes": list(row.causes),
                    "leads": list(row.leads),
                }
            )
    return missed


def plain(one: Mapping[str, Any]) -> dict[str, Any]:
    """A company's figures as JSON has them: its matches instead of its cases."""
    figures = {key: value for key, value in one.items() if key != "cases"}
    if "cases" in one:
        figures["matches"] = {
            name: by_account(one["cases"], name) for name in ("top_1", "top_3", "wide_1", "wide_3")
        }
        figures["flagged_with_cause"] = int(one["cases"]["account_id"].nunique())
    return figures
