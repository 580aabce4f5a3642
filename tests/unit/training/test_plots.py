from __future__ import annotations

import math
from dataclasses import replace

import pytest

from churnml.training.evaluate import Estimate, Segment
from churnml.training.plots import draw_plots


@pytest.fixture(scope="module")
def drawn(trained, catalog_features, tmp_path_factory):
    return draw_plots(trained, catalog_features, tmp_path_factory.mktemp("plots"), seed=1)


def test_every_picture_is_a_png(drawn):
    assert [path.name for path in drawn] == [
        "reliability.png",
        "curves.png",
        "gains.png",
        "drivers.png",
        "beeswarm.png",
        "dependence.png",
        "waterfall_1.png",
        "waterfall_2.png",
        "waterfall_3.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_without_its_pictures_shap_is_spared(trained, catalog_features, tmp_path):
    names = [
        path.name for path in draw_plots(trained, catalog_features, tmp_path, seed=1, by_shap=False)
    ]
    assert not [name for name in names if name.startswith(("beeswarm", "dependence", "waterfall"))]


def test_the_same_model_gives_the_same_pictures(trained, catalog_features, drawn, tmp_path):
    again = draw_plots(trained, catalog_features, tmp_path, seed=1)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in drawn]


def test_segments_that_could_be_judged_are_drawn_and_no_others(trained, catalog_features, tmp_path):
    bins = trained.evaluation.calibration
    slope = Estimate(1.0, math.nan, math.nan)
    judged = Segment("region", "north", 99, 90, 30, 60, {"calibration_slope": slope}, bins)
    few = Segment("region", "south", 9, 9, 3, 6, {}, ())
    for segments, drawn in (((judged, few), True), ((few,), False), ((judged,) * 30, True)):
        evaluation = replace(trained.evaluation, segments=segments)
        folder = tmp_path / str(len(segments))
        paths = draw_plots(
            replace(trained, evaluation=evaluation), catalog_features, folder, 1, by_shap=False
        )
        assert ("segments.png" in [path.name for path in paths]) == drawn
