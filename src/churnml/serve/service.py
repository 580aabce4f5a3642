"""The BentoML service: the shell around the app. Owns the process's settings; answers nothing itself.

Start it with `churnml serve` (launch.py), or as a bento with CHURNML_PROJECT naming the project."""

from __future__ import annotations

import gc
import os
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, cast

# Read when BentoML is imported. Its spans are kept for an exporter that is not there (4 kB a request),
# and it reports use to its makers unless this is the very word true.
os.environ.setdefault("OTEL_SDK_DISABLED", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")

import anyio.to_thread
import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.validators import ContentType
from starlette.exceptions import HTTPException

from churnml.serve import logs
from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.front import HEALTH, Front
from churnml.serve.items import batch_answer
from churnml.serve.launch import ENVIRONMENT, workers
from churnml.serve.problems import Problem
from churnml.serve.resources import rows_answer
from churnml.serve.schema import FeatureRow, FeatureValue
from churnml.serve.score import batch_of

PROJECT = "CHURNML_PROJECT"
# They only read the store and share one interpreter lock: more of them wait longer for it, and each
# keeps memory of its own (its malloc arena, the pages of its connection).
THREADS = 8

# Nothing is read yet: `bentoml build` imports this file where there is no project.
desk = Desk(Path(os.environ.get(PROJECT) or "."))


@bentoml.service(
    name="churnml",
    workers=workers(os.environ),
    traffic={"timeout": 60},
    http={"port": 3000},
    # Its labels are raw paths; ours are in metrics.py, under the same /metrics.
    metrics={"enabled": False},
    # It prints paths, and with them account ids.
    logging={"access": {"enabled": False}},
    # Every worker of a bento has them too, whoever starts it.
    envs=[{"name": name, "value": value} for name, value in ENVIRONMENT.items()],
)
class ChurnService:
    """Scores, reasons and actions of the accounts of one project."""

    # What it declares is answered by our app all the same: `Front` (below) hands it everything but health
    # and the schema that BentoML's clients read. So the gate, the limits and the strict shapes stand before
    # `score` whoever asks, and nobody meets BentoML's lenient reading of bodies.

    def __init__(self) -> None:
        logs.set_up()
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        held = desk.held(at_once=True)
        if held.bundles:
            # Fills the caches of words and numbers, so that the first request is like the others.
            for lang in ("en", "zh", "ja"):
                features: dict[str, FeatureValue] = dict.fromkeys(sorted(held.numbers), 1.0)
                rows_answer(held, [FeatureRow(account_id="warm-up", features=features)], None, lang)
        gc.collect()
        # What lives until the end need not be looked through again: it cost pauses of 200 ms.
        gc.freeze()

    @bentoml.api(route="/v1/score")
    def score(
        self,
        target: str | None = None,
        accounts: list[Any] | None = None,
        rows: list[Any] | None = None,
    ) -> Annotated[dict[str, Any], ContentType("application/json")]:
        """Scores, reasons and actions of up to 1,000 accounts or feature rows, item by item.

        For callers in this process; those over the wire are answered alike by POST /v1/score.
        """
        said = {"target": target, "accounts": accounts, "rows": rows}
        held = desk.held()
        try:
            batch = batch_of(
                held, {name: value for name, value in said.items() if value is not None}
            )
            return batch_answer(desk, held, batch, held.need_config().language)
        except Problem as problem:
            told = "; ".join(f"{error.where}: {error.message}" for error in problem.errors)
            raise BentoMLException(
                f"{problem.detail} {told}".strip(), error_code=HTTPStatus(problem.status)
            ) from None

    async def __is_alive__(self) -> bool:
        return True

    async def __is_ready__(self) -> bool:
        # In a thread: a champion that was promoted meanwhile is read here too.
        held = await anyio.to_thread.run_sync(desk.held)
        if held.why_not:
            raise HTTPException(503, held.why_not)
        return True


# By now a service of BentoML's; the type checker still sees the class.
cast(Any, ChurnService).add_asgi_middleware(
    Front,
    ours=build_app(desk, workers=workers(os.environ)),
    theirs=HEALTH | {"/schema.json"},  # what its clients read first; it tells no data
)
