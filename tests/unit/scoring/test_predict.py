from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from churnml.errors import ChurnmlError
from churnml.scoring.predict import design_matrix, matrix_of_rows, predict, sigmoid


def test_probabilities_are_the_sigmoid_of_the_calibrated_raw_score(bundle, rows):
    raw = bundle.booster.predict(design_matrix(bundle, rows), raw_score=True)
    assert predict(bundle, rows) == pytest.approx(1 / (1 + np.exp(-(0.8 * raw - 0.3))))


def test_the_order_of_columns_and_further_columns_change_nothing(bundle, rows):
    other = rows[rows.columns[::-1]].assign(unheard_of="x")
    assert np.array_equal(predict(bundle, other), predict(bundle, rows))


def test_unseen_and_missing_categories_both_read_as_missing(bundle, rows):
    place = bundle.features.index("segment")
    for value in ("never seen", None):
        codes = design_matrix(bundle, rows.assign(segment=value))[:, place]
        assert np.isnan(codes).all()


@pytest.mark.parametrize("dtype", ["object", "str", "category"])
def test_categories_read_the_same_from_every_kind_of_column(bundle, rows, dtype):
    known = rows[rows["segment"].notna()]
    typed = known.assign(segment=known["segment"].astype(dtype))
    assert np.array_equal(
        design_matrix(bundle, typed), design_matrix(bundle, known), equal_nan=True
    )


def test_plain_dicts_give_the_same_matrix_as_a_frame(bundle, rows):
    dicts = rows.astype(object).where(rows.notna(), None).to_dict("records")
    expected = design_matrix(bundle, rows)
    assert np.array_equal(matrix_of_rows(bundle, dicts), expected, equal_nan=True)


def test_no_rows_give_no_probabilities(bundle, rows):
    assert predict(bundle, rows.head(0)).shape == (0,)


def test_an_absent_feature_is_refused_by_name_and_not_taken_for_missing(bundle, rows):
    with pytest.raises(ChurnmlError, match="nps_last absent"):
        predict(bundle, rows.drop(columns="nps_last"))
    with pytest.raises(ChurnmlError, match="nps_last absent"):
        matrix_of_rows(
            bundle, [{"events_28d_per_week": 1.0, "days_since_last_event": 1.0, "segment": "mid"}]
        )


def test_text_in_a_number_is_refused_with_the_text(bundle, rows):
    broken = rows.assign(nps_last=rows["nps_last"].astype(object))
    broken.loc[broken.index[5], "nps_last"] = "nine"
    with pytest.raises(ChurnmlError, match=r"nps_last: found 'nine'"):
        predict(bundle, broken)
    with pytest.raises(ChurnmlError, match=r"nps_last: found 'nine'"):
        matrix_of_rows(bundle, [dict.fromkeys(bundle.features) | {"nps_last": "nine"}])


def test_integers_and_nullable_numbers_are_numbers(bundle, rows):
    whole = rows.assign(nps_last=pd.array([None, *range(1, len(rows))], dtype="Int64"))
    column = design_matrix(bundle, whole)[:, bundle.features.index("nps_last")]
    assert np.isnan(column[0])
    assert column[1:].tolist() == list(range(1, len(rows)))


def test_the_sigmoid_neither_overflows_nor_leaves_its_bounds():
    values = sigmoid(np.array([-1e4, -30.0, 0.0, 30.0, 1e4]))
    assert values[0] == 0.0
    assert values[2] == 0.5
    assert values[-1] == 1.0
    assert (np.diff(values) > 0).all()
