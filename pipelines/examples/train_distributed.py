"""Fit on rows that no memory holds: `python pipelines/examples/train_distributed.py ROWS --target churn …`.

ROWS: what `churnml features --labels --out ROWS` wrote, a Parquet file or a folder of them. LightGBM's own
distributed engine (Dask) fits on the snapshots before --until; the model's text lands in --out."""

from argparse import ArgumentParser
from pathlib import Path

import dask.dataframe as dd
import lightgbm
from distributed import Client

from churnml.features.catalog import BY_NAME
from churnml.training.params import FitParams


def fit(rows: Path, target: str, until: str, trees: int, client: Client) -> str:
    """The text of a LightGBM model of the catalogue's numbers, with the default parameters."""
    frame = dd.read_parquet(rows)
    frame = frame[(frame["as_of"] < until) & frame[f"label_{target}"].notnull()]
    names = [n for n in frame.columns if n in BY_NAME and not BY_NAME[n].categorical]
    x = frame[names].astype("float64").to_dask_array(lengths=True)
    y = frame[f"label_{target}"].astype("float64").to_dask_array(lengths=True)
    keep = ("learning_rate", "num_leaves", "max_depth", "extra_trees", "feature_fraction", "lambda_l2",
            "max_bin", "min_data_in_leaf")  # fmt: skip
    params = {name: getattr(FitParams(), name) for name in keep}
    model = lightgbm.DaskLGBMClassifier(client=client, n_estimators=trees, verbosity=-1, **params)
    return model.fit(x, y).to_local().booster_.model_to_string()


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    for name in ("target", "until", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--trees", type=int, default=150)
    parser.add_argument("--scheduler", help="address of a Dask scheduler; default: workers here")
    a = parser.parse_args()
    with Client(
        a.scheduler or None, **({} if a.scheduler else {"dashboard_address": None})
    ) as dask:
        Path(a.out).write_text(fit(a.rows, a.target, a.until, a.trees, dask))
