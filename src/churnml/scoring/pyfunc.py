"""What MLflow calls to load a registered bundle. Owns that one door; imports no MLflow.

MLflow's `loader_module` names this file, so a registered model holds a bundle's plain files and no
pickle: `mlflow.pyfunc.load_model("models:/<name>-churn@challenger").predict(frame)` gives
calibrated probabilities."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from churnml.scoring.bundle import Bundle, load_bundle
from churnml.scoring.predict import FloatArray, predict


class BundleModel:
    """A bundle behind MLflow's `predict`."""

    def __init__(self, bundle: Bundle):
        self.bundle = bundle

    def predict(self, model_input: pd.DataFrame) -> FloatArray:
        """Calibrated probabilities of the rows, (rows,), in their order.

        model_input: one column per feature of the bundle; further columns are ignored.
        """
        return predict(self.bundle, model_input)


def _load_pyfunc(data_path: str) -> BundleModel:
    return BundleModel(load_bundle(Path(data_path)))
