"""The statistical leak checks: each planted leak is found by its check, and what is honest passes."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from churnml.config import AuditConfig, WaiverConfig
from churnml.training.assemble import TrainingTable
from churnml.training.audit import (
    Finding,
    audit_table,
    days_to_outcome,
    enough,
    finding_of,
    moved,
    moved_findings,
    standing,
    unmatched,
    waive,
)
from churnml.training.gate import no_leak
from churnml.training.measures import Voices, auc_of_numbers

START = datetime(2024, 1, 1)
LEAD, HORIZON, WEEKS, TERM = 7, 60, 26, 120
LIMITS = AuditConfig()


class Book:
    """Accounts on a term of 120 days; four in ten leave, each at the end of a term, as agreed.

    Per row: account, day (of as_of), ends (the day the account leaves; inf), y.
    """

    def __init__(self, accounts: int = 150, seed: int = 3):
        rng = np.random.default_rng(seed)
        first = rng.integers(-TERM, 0, accounts)
        leaves = np.where(
            rng.random(accounts) < 0.4, first + TERM * rng.integers(1, 3, accounts), np.inf
        )
        rows = [
            (account, day)
            for day in range(0, 7 * WEEKS, 7)
            for account in range(accounts)
            if leaves[account] > day + LEAD
        ]
        self.rng = rng
        self.account = np.array([row[0] for row in rows])
        self.day = np.array([row[1] for row in rows], dtype=float)
        self.ends = leaves[self.account]
        self.first = first[self.account].astype(float)
        self.y = (self.ends <= self.day + LEAD + HORIZON).astype(float)
        self.names = np.array([f"a{number:03d}" for number in self.account], dtype=object)
        self.as_of = np.array(
            [START + timedelta(days=int(day)) for day in self.day], "datetime64[us]"
        )

    def noise(self) -> np.ndarray:
        return self.rng.normal(size=len(self.y))

    @property
    def days_to_renewal(self) -> np.ndarray:
        return TERM - (self.day - self.first) % TERM

    def audit(
        self, limits: AuditConfig = LIMITS, **columns: np.ndarray | list[str]
    ) -> set[tuple[str, str]]:
        table = self.table(**columns)
        assert enough(table, limits) is None
        return {(f.feature, f.check) for f in audit_table(table, self.labels(), "churn", limits)}

    def table(self, **columns: np.ndarray | list[str]) -> TrainingTable:
        x, categories = [], {}
        for name, values in columns.items():
            if isinstance(values, list):
                categories[name] = tuple(sorted(set(values)))
                values = np.array([float(categories[name].index(value)) for value in values])
            x.append(values)
        return TrainingTable(
            x=np.column_stack(x), columns=tuple(columns), categories=categories, y=self.y,
            accounts=self.names, as_of=self.as_of, mrr=np.ones(len(self.y)),
            treated=np.zeros(len(self.y), dtype=bool), days=np.full(len(self.y), np.nan),
        )  # fmt: skip

    def labels(self) -> pd.DataFrame:
        moments = [
            START + timedelta(days=float(end)) if y else pd.NaT
            for end, y in zip(self.ends, self.y, strict=True)
        ]
        frame = pd.DataFrame(
            {"account_id": self.names, "as_of": self.as_of, "label": self.y, "outcome_at": moments}
        )
        return frame.sample(frac=1, random_state=1)  # the order of rows is no promise


@pytest.fixture(scope="module")
def book() -> Book:
    return Book()


def test_a_feature_that_is_nearly_the_label_is_too_good_to_be_true(book):
    found = book.audit(
        leak=book.y + 0.2 * book.noise(),
        turned_round=-book.y + 0.2 * book.noise(),
        telling=book.y + 0.7 * book.noise(),  # an AUC of about 0.85 is what a good feature has
    )
    assert found == {("leak", "single_feature_auc"), ("turned_round", "single_feature_auc")}


def test_missing_values_are_all_alike(book):
    voices = Voices.of(book.y, book.names)
    assert auc_of_numbers(np.full(len(book.y), np.nan), voices) == pytest.approx(0.5)


def test_a_category_that_is_the_label_is_found_and_one_that_names_the_account_is_not(book):
    lost = ["lost" if y > 0.5 else "kept" for y in book.y]
    assert book.audit(state=lost, name=list(book.names)) == {("state", "single_feature_auc")}


def test_an_account_counts_once_however_many_snapshots_it_has(book):
    # One account with the outcome and hundreds of rows would carry the AUC if rows were counted.
    loud = book.names[np.flatnonzero(book.y > 0.5)[0]]
    rows = np.flatnonzero((book.names == loud) & (book.y > 0.5))
    x = np.where(book.names == loud, 9.0, book.noise())
    many = book.table(x=x).where(np.ones(len(book.y), dtype=bool))
    repeated = np.concatenate([np.arange(len(book.y)), np.repeat(rows, 2000)])
    loud_table = TrainingTable(
        x=many.x[repeated], columns=("x",), categories={}, y=many.y[repeated],
        accounts=many.accounts[repeated], as_of=many.as_of[repeated], mrr=many.mrr[repeated],
        treated=many.treated[repeated], days=many.days[repeated],
    )  # fmt: skip
    labels = book.labels().drop(columns="outcome_at")
    assert audit_table(loud_table, labels, "churn", LIMITS) == ()


@pytest.mark.parametrize(
    "tell",
    [
        lambda book: book.ends - book.day,
        lambda book: np.ceil(book.ends - book.day) * 24,  # in hours
        lambda book: 19_000 + book.ends,  # the date itself
        lambda book: book.day - book.ends,  # "days since", not yet begun
    ],
    ids=["days until", "hours until", "date", "days since"],
)
def test_a_feature_that_tells_the_outcomes_day_is_found(book, tell):
    x = tell(book)
    x = np.where(np.isfinite(x), x, np.nan)
    assert ("leak", "knows_the_date") in book.audit(leak=x)


def test_features_that_merely_count_days_know_no_date(book):
    # Of each account they move one for one with the days to its outcome; over accounts they don't.
    found = book.audit(
        tenure_days=book.day - book.first, days_since_start=book.day, constant=np.ones(len(book.y))
    )
    assert found == set()


def test_a_renewal_at_which_every_churner_leaves_is_known_by_right(book):
    left = book.y > 0.5
    assert np.array_equal(book.days_to_renewal[left], (book.ends - book.day)[left])
    assert book.audit(days_to_renewal=book.days_to_renewal) == set()


def test_without_the_moments_of_outcomes_no_date_is_looked_for(book):
    table = book.table(leak=np.where(np.isfinite(book.ends), book.ends - book.day, 500.0))
    labels = book.labels().drop(columns="outcome_at")
    found = audit_table(table, labels, "churn", LIMITS)
    assert "knows_the_date" not in {finding.check for finding in found}


def test_days_to_the_outcome_are_those_of_the_row(book):
    table = book.table(x=book.noise())
    days = days_to_outcome(table, book.labels())
    left = book.y > 0.5
    assert np.array_equal(days[left], (book.ends - book.day)[left])
    assert np.isnan(days[~left]).all()


def test_a_feature_filled_only_for_churners_is_found_either_way_round(book):
    left = book.y > 0.5
    found = book.audit(
        filled=np.where(left, book.noise(), np.nan),
        emptied=np.where(left, np.nan, book.noise()),
        half=np.where(book.rng.random(len(left)) < np.where(left, 0.9, 0.4), book.noise(), np.nan),
    )
    assert {name for name, check in found if check == "filled_only_for_churners"} == {
        "filled",
        "emptied",
    }
    assert "half" not in {name for name, _ in found}


def test_too_few_outcomes_tell_nothing_and_say_so():
    few = Book(accounts=30)
    table = few.table(leak=few.y)
    limits = AuditConfig(min_outcomes=20)
    assert audit_table(table, few.labels(), "churn", limits) == ()
    assert "20 of each are needed" in str(enough(table, limits))


def test_limits_are_the_configurations(book):
    x = book.y + 0.7 * book.noise()
    assert book.audit(x=x) == set()
    assert book.audit(AuditConfig(max_auc=0.7), x=x) == {("x", "single_feature_auc")}


# ------------------------------------------------------------------------ built again, and waived


def frame(**columns: list[object]) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame(
        {"account_id": [f"a{i}" for i in range(count)], "as_of": pd.Timestamp(START), **columns}
    )


def test_whatever_moves_by_a_single_bit_is_named_and_what_is_equal_is_not():
    before = frame(x=[0.1, 0.2, np.nan], y=[1.0, np.nan, 0.0], z=["a", None, "b"])
    again = frame(x=[0.1, np.nextafter(0.2, 1), np.nan], y=[1.0, np.nan, -0.0], z=["a", None, "c"])
    assert moved(before, again, ["x", "y", "z"]) == {"x": 1, "y": 1, "z": 1}
    assert moved(before, before.iloc[::-1], ["x", "y", "z"]) == {}


def test_snapshots_that_only_one_side_has_are_told_of_the_cohort():
    before = frame(x=[0.1, 0.2, 0.3])
    assert moved(before, before.iloc[:1], ["x"]) == {"cohort": 2}


def test_a_feature_that_moved_is_one_finding_with_every_date():
    found = moved_findings(
        "late_arrival", {"2024-01-01": {"x": (2, 30)}, "2024-02-01": {"x": (1, 31), "y": (4, 31)}}
    )
    assert [finding.feature for finding in found] == ["x", "y"]
    assert "2 of 30 snapshots at 2024-01-01, 1 of 31 snapshots at 2024-02-01" in found[0].measured


def finding(feature: str = "mrr", check: str = "late_arrival") -> Finding:
    return Finding(feature, check, "churn", "measured so much", "at most less")  # type: ignore[arg-type]


def test_a_waiver_lets_its_own_finding_stand_and_no_other():
    waivers = [WaiverConfig(feature="mrr", check="late_arrival", reason="we saw the contract")]
    judged = waive([finding(), finding("seats"), finding(check="knows_the_date")], waivers)
    assert [f.waived for f in judged] == ["we saw the contract", None, None]
    assert standing(judged) == judged[1:]
    assert unmatched(judged, waivers) == ()
    assert unmatched(judged[1:], waivers) == tuple(waivers)


def test_a_finding_comes_back_from_json_without_its_waiver():
    judged = waive(
        [finding()], [WaiverConfig(feature="mrr", check="late_arrival", reason="as agreed")]
    )
    assert finding_of(judged[0].as_dict()) == finding()


def test_the_gate_says_what_was_found_what_is_waived_and_why():
    assert no_leak([]).result == "passed"
    found = no_leak([finding(f"f{number}") for number in range(8)])
    assert found.result == "failed"
    assert "f0: late arrival: measured so much (at most less)" in found.sentence
    assert "and 3 more" in found.sentence
    waived = no_leak(
        waive([finding()], [WaiverConfig(feature="mrr", check="late_arrival", reason="as agreed")])
    )
    assert waived.result == "passed"
    assert "because: as agreed" in waived.sentence
