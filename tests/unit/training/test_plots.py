from __future__ import annotations

import pytest

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
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_without_the_beeswarm_shap_is_spared(trained, catalog_features, tmp_path):
    names = [
        path.name
        for path in draw_plots(trained, catalog_features, tmp_path, seed=1, beeswarm=False)
    ]
    assert "beeswarm.png" not in names


def test_the_same_model_gives_the_same_pictures(trained, catalog_features, drawn, tmp_path):
    again = draw_plots(trained, catalog_features, tmp_path, seed=1)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in drawn]
