"""The BentoML service: the shell around the app. Owns the process's settings; answers nothing itself.

Start it with `churnml serve` (launch.py), or as a bento with CHURNML_PROJECT naming the project."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# Read when BentoML is imported. Its spans are kept for an exporter that is not there (4 kB a request),
# and it reports use to its makers unless this is the very word true.
os.environ.setdefault("OTEL_SDK_DISABLED", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")

import anyio.to_thread
import bentoml
from starlette.exceptions import HTTPException

from churnml.serve import logs
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.resources import rows_answer
from churnml.serve.schema import FeatureRow, FeatureValue

PROJECT = "CHURNML_PROJECT"
# Every worker of a bento has them too, whoever starts it. One thread: see DESIGN, LightGBM.
ENVIRONMENT = {
    "OTEL_SDK_DISABLED": "true",
    "BENTOML_DO_NOT_TRACK": "true",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
}

# Nothing is read yet: `bentoml build` imports this file where there is no project.
desk = Desk(Path(os.environ.get(PROJECT) or "."))


@bentoml.service(
    name="churnml",
    workers=1,
    traffic={"timeout": 60},
    http={"port": 3000},
    # Its labels are raw paths; ours are in metrics.py, under the same /metrics.
    metrics={"enabled": False},
    logging={"access": {"enabled": True, "skip_paths": ["/livez", "/readyz", "/metrics"]}},
    envs=[{"name": name, "value": value} for name, value in ENVIRONMENT.items()],
)
@bentoml.asgi_app(build_app(desk), path="/", name="v1")
class ChurnService:
    """Scores, reasons and actions of the accounts of one project."""

    def __init__(self) -> None:
        logs.set_up()
        held = desk.held(at_once=True)
        if held.bundles:
            # Fills the caches of words and numbers, so that the first request is like the others.
            for lang in ("en", "zh", "ja"):
                features: dict[str, FeatureValue] = dict.fromkeys(sorted(held.numbers), 1.0)
                rows_answer(held, [FeatureRow(account_id="warm-up", features=features)], None, lang)
        gc.collect()
        # What lives until the end need not be looked through again: it cost pauses of 200 ms.
        gc.freeze()

    async def __is_alive__(self) -> bool:
        return True

    async def __is_ready__(self) -> bool:
        # In a thread: a champion that was promoted meanwhile is read here too.
        held = await anyio.to_thread.run_sync(desk.held)
        if held.why_not:
            raise HTTPException(503, held.why_not)
        return True
