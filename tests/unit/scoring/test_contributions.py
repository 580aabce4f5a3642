from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churnml.errors import ChurnmlError
from churnml.scoring.contributions import explain_rows
from churnml.scoring.predict import predict

NUMBER = st.one_of(
    st.just(float("nan")), st.floats(-1e6, 1e6), st.sampled_from([0.0, np.inf, -np.inf])
)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(NUMBER, NUMBER, NUMBER, st.sampled_from(["small", "mid", "unseen", None])),
        min_size=1,
        max_size=5,
    )
)
def test_contributions_add_up_to_the_raw_score_with_missing_and_unseen_values(bundle, values):
    frame = pd.DataFrame(values, columns=list(bundle.features))
    explained = explain_rows(bundle, frame)
    total = explained.base + explained.contributions.sum(axis=1)
    assert total == pytest.approx(explained.raw, abs=1e-6)
    assert np.array_equal(explained.probability, predict(bundle, frame))


def test_there_is_one_contribution_per_row_and_feature(bundle, rows):
    explained = explain_rows(bundle, rows)
    assert explained.contributions.shape == (len(rows), len(bundle.features))
    assert np.abs(explained.contributions).max() > 0


def test_no_rows_give_no_contributions(bundle, rows):
    assert explain_rows(bundle, rows.head(0)).contributions.shape == (0, 4)


def test_contributions_that_do_not_add_up_are_refused(bundle, rows):
    class Wrong:
        def predict(self, matrix, raw_score=False, pred_contrib=False, num_threads=1):
            return bundle.booster.predict(matrix, raw_score=raw_score) * 1.01

    with pytest.raises(ChurnmlError, match="Expected the sum to be the score"):
        explain_rows(replace(bundle, loaded=Wrong()), rows)
