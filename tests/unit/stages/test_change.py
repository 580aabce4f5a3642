"""Why scores changed, from what the store keeps: same model, another, one that is gone, none at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from churnml.errors import ChurnmlError, NotFound
from churnml.scoring.bundle import Bundle, booster_of
from churnml.scoring.champions import export_champion
from churnml.scoring.predict import matrix_of_rows, probabilities, raw_scores
from churnml.stages.change import (
    ComparedScore,
    compare_books,
    compare_models,
    plain_change,
    two_books,
)
from churnml.store.rows import AccountBook, AccountRow, ScoreRow, ScoringRun
from churnml.store.store import Store, open_store, sqlite_url

MARCH, APRIL = datetime(2024, 3, 4), datetime(2024, 4, 1)
FEATURES = ("events_28d_per_week", "events_change_28d_share", "days_to_renewal", "segment")
ROW_THEN = {
    "events_28d_per_week": 160.0,
    "events_change_28d_share": 0.3,
    "days_to_renewal": 200.0,
    "segment": "smb",
    "mrr": 250.0,
}
ROW_NOW = {
    **ROW_THEN,
    "events_28d_per_week": 40.0,
    "events_change_28d_share": -0.7,
    "days_to_renewal": 172.0,
}


@cache
def text_of(seed: int, features: tuple[str, ...] = FEATURES) -> str:
    rng = np.random.default_rng(seed)
    x = np.column_stack(
        [rng.uniform(0, 200, 600), rng.uniform(-1, 1, 600), rng.uniform(0, 365, 600),
         rng.integers(0, 2, 600)]
    )  # fmt: skip
    x[rng.random(x.shape) < 0.1] = np.nan
    odds = 1.5 * (x[:, 1] < -0.2) + (x[:, 0] < 80) - 0.004 * np.nan_to_num(x[:, 2]) - 1
    y = (rng.random(600) < 1 / (1 + np.exp(-odds))).astype(float)
    settings = {"objective": "binary", "num_leaves": 6, "verbosity": -1, "num_threads": 1,
                "min_data_in_leaf": 10}  # fmt: skip
    data = lightgbm.Dataset(
        x[:, : len(features)],
        y,
        feature_name=list(features),
        categorical_feature=["segment"] if "segment" in features else [],
    )
    text: str = lightgbm.train(settings, data, 20).model_to_string()
    return text


def a_bundle(
    version: str = "v1", seed: int = 1, slope: float = 0.9, intercept: float = -0.2, **other: Any
) -> Bundle:
    features = other.pop("features", FEATURES)
    text = text_of(seed, features)
    return Bundle(
        target="churn", horizon_days=other.pop("horizon_days", 90), lead_days=14, grace_days=30,
        mode="window_end", basis=None, model_version=version, catalog_fingerprint="0123456789ab",
        features=features, categories={"segment": ("enterprise", "smb")},
        calibrator={"kind": "sigmoid", "slope": slope, "intercept": intercept}, reference={},
        metrics={}, data_through="2024-03-03T00:00:00", trained_rows=600, trained_outcomes=200,
        papers=other.pop("papers", {}), model_text=text, loaded=booster_of(text), **other,
    )  # fmt: skip


def a_score(bundle: Bundle, as_of: datetime, row: dict[str, Any], kept: bool = True) -> ScoreRow:
    raw = raw_scores(bundle, matrix_of_rows(bundle, [row]))
    calibration = {
        "raw": float(raw[0]),
        "slope": bundle.calibrator["slope"],
        "intercept": bundle.calibrator["intercept"],
    }
    return ScoreRow(
        "a1", as_of, bundle.target, bundle.horizon_days, bundle.lead_days,
        float(probabilities(bundle, raw)[0]), "medium", "ok", [], "leave_alone", 250.0, "USD",
        bundle.model_version, as_of, {"low": None}, calibration if kept else {},
    )  # fmt: skip


def without_score(score: ScoreRow) -> ScoreRow:
    return replace(
        score,
        probability=None,
        tier="unknown",
        status="too_little_data",
        outlook={},
        calibration={},
    )


def a_book(score: ScoreRow | None, as_of: datetime, row: dict[str, Any]) -> AccountBook:
    run = ScoringRun(f"run-{as_of:%m}", as_of, as_of, as_of, "champion", {})
    account = AccountRow("a1", as_of, "smb", None, None, 250.0, "USD", dict(row))
    return AccountBook(run, account, (score,) if score else ())


def books(
    then: Bundle, now: Bundle, kept: bool = True, rows: Any = (ROW_THEN, ROW_NOW)
) -> tuple[AccountBook, AccountBook]:
    return (
        a_book(a_score(then, MARCH, rows[0], kept), MARCH, rows[0]),
        a_book(a_score(now, APRIL, rows[1], kept), APRIL, rows[1]),
    )


def compared(
    pair: tuple[AccountBook, AccountBook], *bundles: Bundle, lang: str = "en"
) -> ComparedScore:
    known = {(bundle.target, bundle.model_version): bundle for bundle in bundles}
    (found,) = compare_books(*pair, lambda target, version: known.get((target, version)), lang)
    return found


def check(found: ComparedScore, pair: tuple[AccountBook, AccountBook]) -> dict[str, float]:
    """The sums tie to what was told; returns the parts' log-odds by kind."""
    ledger = found.change.ledger
    assert ledger is not None, found.told.notes
    then, now = (book.scores[0].probability for book in pair)
    assert then is not None
    assert now is not None
    points = math.fsum(part.points for part in ledger.parts)
    assert points == pytest.approx(100 * (now - then), abs=1e-6)
    difference = math.log(now / (1 - now)) - math.log(then / (1 - then))
    assert math.fsum(part.log_odds for part in ledger.parts) == pytest.approx(difference, abs=1e-6)
    sums: dict[str, float] = {}
    for part in ledger.parts:
        sums[part.kind] = sums.get(part.kind, 0.0) + part.log_odds
    return sums


def test_one_model_between_two_dates_is_its_features_alone() -> None:
    bundle = a_bundle()
    pair = books(bundle, bundle)
    found = compared(pair, bundle)
    assert set(check(found, pair)) == {"driver"}
    assert found.change.ledger is not None
    moved = {move.feature for part in found.change.ledger.parts for move in part.moves}
    assert moved <= {"events_28d_per_week", "events_change_28d_share", "days_to_renewal"}
    assert any("Use fell" in line.text for line in found.told.lines)


def test_of_an_unkept_calibration_the_same_model_needs_nothing() -> None:
    bundle = a_bundle()
    pair = books(bundle, bundle, kept=False)
    assert set(check(compared(pair, bundle), pair)) == {"driver"}


def test_a_calibration_that_changed_alone() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", slope=0.7, intercept=0.4)
    pair = books(then, now, rows=(ROW_THEN, ROW_THEN))
    assert set(check(compared(pair, now), pair)) == {"calibration"}


def test_an_older_model_that_is_gone_is_not_missed_where_its_score_was_kept_in_parts() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", seed=2, slope=0.7)
    pair = books(then, now)
    gone, there = (check(compared(pair, *bundles), pair) for bundles in ((now,), (then, now)))
    assert set(gone) == {"driver", "model", "calibration"}
    assert gone == there


def test_a_score_of_before_parts_were_kept_asks_the_older_model() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", seed=2, slope=0.7)
    pair = books(then, now, kept=False)
    asked = check(compared(pair, then, now), pair)
    assert asked == pytest.approx(check(compared(books(then, now), now), books(then, now)))
    alone = check(compared(pair, now), pair)
    assert set(alone) == {"driver", "model_and_calibration"}
    assert alone["model_and_calibration"] == pytest.approx(asked["model"] + asked["calibration"])


def test_without_the_newer_model_it_says_what_cannot_be_told() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", seed=2)
    found = compared(books(then, now), then)
    assert (found.change.ledger, found.change.untold) == (None, "model_gone")
    assert found.told.notes == (
        "The model behind the newer score is not kept, so what moved it cannot be told.",
    )
    assert "points" in found.told.summary


@pytest.mark.parametrize("bound", [(True, False), (False, True), (True, True)])
def test_a_contract_that_binds_on_one_side_is_its_own_part(bound: tuple[bool, bool]) -> None:
    papers = {"contract_lock": {"log_odds": -5.0, "beyond_days": 180}}
    bundle = a_bundle(papers=papers)
    rows = [{**row, "days_to_renewal": 300.0 if held else 60.0}
            for row, held in zip((ROW_THEN, ROW_NOW), bound, strict=True)]  # fmt: skip
    pair = books(bundle, bundle, rows=rows)
    found = compared(pair, bundle)
    sums = check(found, pair)
    assert any("nothing that moved counts" in note for note in found.told.notes) == all(bound)
    expected = {(True, False): {"contract", "driver"}, (False, True): {"contract"},
                (True, True): set()}  # fmt: skip
    assert set(sums) == expected[bound]
    if sums:
        assert (sums["contract"] < 0) == bound[1]


def test_features_that_the_older_row_does_not_know_belong_to_the_model() -> None:
    then = a_bundle("v1", features=FEATURES[:2])
    now = a_bundle("v2", seed=2)
    old_row = {name: ROW_THEN[name] for name in ("events_28d_per_week", "events_change_28d_share")}
    pair = (
        a_book(a_score(then, MARCH, old_row), MARCH, old_row),
        a_book(a_score(now, APRIL, ROW_NOW), APRIL, ROW_NOW),
    )
    found = compared(pair, now)
    check(found, pair)
    assert found.change.held == ("days_to_renewal", "segment")
    assert found.change.ledger is not None
    moved = {move.feature for part in found.change.ledger.parts for move in part.moves}
    assert moved == {"events_28d_per_week", "events_change_28d_share"}
    assert any("not measured then" in note for note in found.told.notes)


@pytest.mark.parametrize(
    ("place", "why"), [(0, "too_little_data_then"), (1, "too_little_data_now")]
)
def test_too_little_data_on_either_side_is_said_and_nothing_compared(place: int, why: str) -> None:
    bundle = a_bundle()
    pair = list(books(bundle, bundle))
    pair[place] = replace(pair[place], scores=(without_score(pair[place].scores[0]),))
    found = compared((pair[0], pair[1]), bundle)
    assert (found.change.ledger, found.change.untold) == (None, why)
    assert found.told.lines == ()
    assert "no score" in found.told.summary
    assert plain_change(found)["points"] is None


def test_a_target_that_was_not_scored_then_is_said() -> None:
    bundle = a_bundle()
    then, now = books(bundle, bundle)
    found = compared((replace(then, scores=()), now), bundle)
    assert found.change.untold == "not_scored_then"
    assert plain_change(found)["before"] is None


def test_another_horizon_is_stated_and_the_sum_still_ties() -> None:
    then, now = a_bundle("v1", horizon_days=60), a_bundle("v2", seed=2)
    pair = books(then, now)
    found = compared(pair, now)
    check(found, pair)
    assert any("within 60 days" in note for note in found.told.notes)


def test_rows_that_no_longer_give_the_score_are_not_explained() -> None:
    bundle = a_bundle()
    then, now = books(bundle, bundle)
    torn = replace(now, account=replace(now.account, features=dict(ROW_THEN)))
    assert compared((then, torn), bundle).change.untold == "row_differs"
    less = replace(now, account=replace(now.account, features={"mrr": 1.0}))
    assert compared((then, less), bundle).change.untold == "row_differs"


def test_equal_rows_and_models_change_nothing() -> None:
    bundle = a_bundle()
    pair = books(bundle, bundle, rows=(ROW_NOW, ROW_NOW))
    found = compared(pair, bundle)
    assert check(found, pair) == {}
    assert found.told.summary.endswith("±0.0 points")


def test_two_models_on_one_row_sum_to_their_difference() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", seed=2, slope=0.7)
    row = a_score(then, APRIL, ROW_NOW)
    book = a_book(row, APRIL, ROW_NOW)
    found = compare_models(book, row, then, now, "en")
    sums = check(found, (book, a_book(a_score(now, APRIL, ROW_NOW), APRIL, ROW_NOW)))
    assert set(sums) <= {"weight", "base", "calibration"}
    silent = compare_models(book, without_score(row), then, now, "en")
    assert silent.change.untold == "too_little_data_now"


def test_a_model_that_wants_other_numbers_is_refused_in_words() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", seed=2)
    row = a_score(then, APRIL, ROW_NOW)
    less = {name: ROW_NOW[name] for name in FEATURES[:2]}
    with pytest.raises(ChurnmlError, match="days_to_renewal, segment absent"):
        compare_models(a_book(row, APRIL, less), row, then, now, "en")


def test_a_change_is_plain_json() -> None:
    then, now = a_bundle("v1"), a_bundle("v2", seed=2)
    plain = plain_change(compared(books(then, now), now))
    assert json.loads(json.dumps(plain)) is not None
    assert plain["before"]["as_of"] == "2024-03-04T00:00:00Z"
    assert math.fsum(part["points"] for part in plain["parts"]) == pytest.approx(plain["points"])


# With a store, and from the command line


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(sqlite_url(tmp_path / "store.db"))
    yield opened
    opened.close()


def write(store: Store, book: AccountBook) -> None:
    store.write_book(book.run, book.scores, [book.account])


def test_the_newest_book_up_to_a_date_is_the_older_one(store: Store) -> None:
    bundle = a_bundle()
    for book in books(bundle, bundle):
        write(store, book)
    then, now = two_books(store, "a1", datetime(2024, 3, 20))
    assert (then.run.as_of, now.run.as_of) == (MARCH, APRIL)
    assert then.scores[0].calibration == pytest.approx(a_score(bundle, MARCH, ROW_THEN).calibration)
    assert then.scores[0].outlook == {"low": None}
    with pytest.raises(NotFound, match="found books of 2024-03-04, 2024-04-01"):
        two_books(store, "a1", datetime(2024, 3, 3))
    with pytest.raises(NotFound, match="scored before it: 2024-03-04"):
        two_books(store, "a1", APRIL)
    with pytest.raises(NotFound, match="'a2': not in the book"):
        two_books(store, "a2", MARCH)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose champion changed between two books."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "churnml.toml").write_text('version = 1\nname = "acme"\n', encoding="utf-8")
    then, now = a_bundle("v1"), a_bundle("v2", seed=2, slope=0.7)
    export_champion(then, folder / "bundles")
    export_champion(now, folder / "bundles")
    opened = open_store(sqlite_url(folder / "store.db"))
    for book in books(then, now):
        write(opened, book)
    opened.close()
    return folder


@pytest.mark.parametrize(("lang", "word"), [("en", "points"), ("zh", "百分点"), ("ja", "ポイント")])
def test_explain_since_prints_a_ledger_that_ties(
    churnml: Any, project: Path, lang: str, word: str
) -> None:
    said = churnml("explain", "a1", "--since", "2024-03-10", "--lang", lang, cwd=project)
    assert "2024-03-04 → 2024-04-01" in said
    assert word in said
    assert "models: v1 → v2" in said
    assert max(map(len, said.splitlines())) <= 80
    plain = json.loads(
        churnml("explain", "a1", "--since", "2024-03-10", "--lang", lang, "--json", cwd=project)
    )
    (change,) = plain["changes"]
    assert (plain["before"], plain["after"]) == ("2024-03-04T00:00:00Z", "2024-04-01T00:00:00Z")
    assert change["target"] == "churn"
    points = 100 * (change["after"]["probability"] - change["before"]["probability"])
    assert math.fsum(part["points"] for part in change["parts"]) == pytest.approx(points, abs=1e-9)
    assert change["summary"] in said.replace("\n", " ")


def test_explain_against_holds_another_model_against_the_one_that_scored(
    churnml: Any, project: Path
) -> None:
    said = churnml("explain", "a1", "--against", "v1", cwd=project)
    assert "models: v2 → v1" in said
    assert "weighed otherwise" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--since", "2024-03-01"], "found books of 2024-03-04, 2024-04-01"),
        (["--since", "2024-05-01"], "nothing to compare with since 2024-05-01"),
        (["--since", "lately"], "--since: found 'lately'"),
        (["--since", "2024-03-10", "--against", "v1"], "found both"),
        (["--against", "v9"], "no one model of churn is called 'v9'"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_words(
    churnml: Any, project: Path, options: list[str], words: str
) -> None:
    said = churnml.try_("explain", "a1", *options, cwd=project)
    assert said.code in (1, 2)
    assert words in said.err
    assert "Traceback" not in said.err
