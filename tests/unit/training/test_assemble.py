from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnml.errors import ChurnmlError, Refused
from churnml.training.assemble import assemble, missing_in_words


def frames():
    day = pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-08", "2024-01-08"]).as_unit("us")
    features = pd.DataFrame(
        {
            "account_id": ["b", "a", "a", "b"],
            "as_of": day,
            "mrr": [10.0, 20.0, np.nan, 40.0],
            "segment": ["mid", None, "small", "mid"],
        }
    )
    labels = pd.DataFrame(
        {
            "account_id": ["a", "b", "a", "b"],
            "as_of": day,
            "label": [1.0, 0.0, np.nan, 1.0],
            "missing_reason": [None, None, "unmatured", None],
            "treated_in_window": [False, True, False, False],
            "mrr": [21.0, 11.0, 22.0, 41.0],
        }
    )
    return features, labels


@pytest.fixture
def used(catalog_features):
    return tuple(feature for feature in catalog_features if feature.name in ("mrr", "segment"))


def test_rows_without_a_label_are_left_out_and_the_rest_stands_in_time_order(used):
    table = assemble(*frames(), used)
    assert table.accounts.tolist() == ["a", "b", "b"]
    assert table.as_of.astype("datetime64[D]").astype(str).tolist() == [
        "2024-01-01",
        "2024-01-01",
        "2024-01-08",
    ]
    assert table.y.tolist() == [1.0, 0.0, 1.0]
    assert table.mrr.tolist() == [21.0, 11.0, 41.0]  # the label's, as the feature may be absent
    assert table.treated.tolist() == [False, True, False]


def test_categories_become_codes_and_missing_ones_nan(used):
    table = assemble(*frames(), used)
    assert table.columns == ("mrr", "segment")
    assert table.categories == {"segment": ("mid",)}
    assert table.x[:, 1].tolist() == pytest.approx([np.nan, 0.0, 0.0], nan_ok=True)


def test_the_order_of_rows_and_columns_changes_nothing(used):
    features, labels = frames()
    plain = assemble(features, labels, used)
    other = assemble(features.iloc[::-1, ::-1], labels.iloc[[2, 0, 3, 1]], used)
    assert np.array_equal(other.x, plain.x, equal_nan=True)
    assert other.accounts.tolist() == plain.accounts.tolist()


def test_a_feature_whose_column_is_absent_is_absent(used):
    features, labels = frames()
    assert assemble(features.drop(columns="segment"), labels, used).columns == ("mrr",)


def test_no_feature_at_all_is_refused(used):
    features, labels = frames()
    with pytest.raises(Refused, match="--families"):
        assemble(features[["account_id", "as_of"]], labels, used)


def test_labels_that_are_all_missing_are_refused_with_the_reasons_counted(used):
    features, labels = frames()
    labels = labels.assign(label=np.nan, missing_reason=["unmatured", "churned", "unmatured", None])
    with pytest.raises(Refused, match=r"all 4 .*unmatured 2, churned 1, unknown 1"):
        assemble(features, labels, used)


def test_labels_of_other_accounts_are_refused(used):
    features, labels = frames()
    with pytest.raises(Refused, match="none belongs to a snapshot that has features"):
        assemble(features, labels.assign(account_id="z" + labels["account_id"]), used)


def test_a_snapshot_that_occurs_twice_is_refused_by_name(used):
    features, labels = frames()
    with pytest.raises(
        ChurnmlError, match=r"features: 1 snapshots occur twice.*account b, 2024-01-01"
    ):
        assemble(pd.concat([features, features.head(1)]), labels, used)


def test_missing_labels_are_told_with_the_commonest_reason_first():
    labels = frames()[1]
    assert missing_in_words(labels) == "unmatured 1"
    assert missing_in_words(labels.dropna(subset="label")) == "no label is missing"


def test_a_category_that_the_kept_ones_lack_becomes_missing(used):
    table = assemble(*frames(), used)
    assert table.seen_categories() == {"segment": ("mid",)}
    recoded = table.with_categories({"segment": ("large", "mid")})
    assert recoded.x[:, 1].tolist() == pytest.approx([np.nan, 1.0, 1.0], nan_ok=True)
    assert table.with_categories({"segment": ("small",)}).seen_categories() == {"segment": ()}
