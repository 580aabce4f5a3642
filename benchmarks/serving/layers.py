"""Where the time of a stored account and of a scored row goes: CPU of each layer, without a network.

`python -m benchmarks.serving.layers --project FOLDER` calls the layers one by one in this process and
prints the CPU milliseconds of a call, medians of rounds in turns. What uvicorn itself adds is what the
bare handler of run.py takes."""

from __future__ import annotations

import os

os.environ.setdefault("OTEL_SDK_DISABLED", "true")
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "true")

import argparse
import asyncio
import io
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import anyio.to_thread
import bentoml
from rich.console import Console
from rich.table import Table
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.serving.run import inputs
from churnml.serve.app import build_app
from churnml.serve.bodies import parse_json
from churnml.serve.desk import Desk
from churnml.serve.front import Front
from churnml.serve.items import batch_answer
from churnml.serve.resources import finished_account
from churnml.serve.score import batch_of
from churnml.stages.project import open_project
from churnml.store.store import open_store

Layer = Callable[[int], Awaitable[None]]


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers at once."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def asking(app: ASGIApp, paths: list[str], bodies: Sequence[bytes] = ()) -> Layer:
    """One request after the other, as uvicorn would pass it on; anything but 200 is a fault.

    bodies: posted in turn, where there are any."""

    async def send(message: Message) -> None:
        if message.get("status", 200) != 200:
            raise SystemExit(f"found status {message['status']}; expected 200.")

    async def ask(turn: int) -> None:
        path = paths[turn % len(paths)]
        body = bodies[turn % len(bodies)] if bodies else b""
        headers = [(b"host", b"localhost")]
        if bodies:
            headers += [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ]

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await app(
            {"type": "http", "http_version": "1.1", "method": "POST" if bodies else "GET",
             "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
             "scheme": "http", "server": ("127.0.0.1", 3000), "client": ("127.0.0.1", 1),
             "root_path": "", "asgi": {"version": "3.0"}},
            receive, send,
        )  # fmt: skip

    return ask


@asynccontextmanager
async def started(app: ASGIApp) -> Any:
    """The app between its startup and its shutdown."""
    inbox: asyncio.Queue[Message] = asyncio.Queue()
    outbox: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, outbox.put)
    )
    for word in ("startup", "shutdown"):
        await inbox.put({"type": f"lifespan.{word}"})
        said = await outbox.get()
        if said["type"] != f"lifespan.{word}.complete":
            raise SystemExit(f"{word}: {said}")
        if word == "startup":
            yield app
    await life


def in_bentoml(name: str, put: Callable[[Any], None], access_log: bool) -> ASGIApp:
    """A service of BentoML's into which `put` puts an app."""

    class Empty:
        pass

    service: Any = bentoml.service(
        name=name, metrics={"enabled": False}, logging={"access": {"enabled": access_log}}
    )(Empty)
    put(service)
    app: ASGIApp = service.to_asgi()
    return app


async def measure(layers: dict[str, Layer], rounds: int, calls: int) -> dict[str, list[float]]:
    """CPU milliseconds of a call of each layer, in each round."""
    took: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds + 1):
        for name, layer in layers.items():
            began = time.process_time()
            for call in range(calls):
                await layer(call)
            if turn:  # the first round warms up
                took[name].append((time.process_time() - began) / calls * 1e3)
    return took


async def compare(project: Path, rounds: int, calls: int) -> dict[str, list[float]]:
    """All layers in turns."""
    desk = Desk(project)
    held = desk.held(at_once=True)
    store = open_store(open_project(project).store_url)
    book = store.latest_book()
    if book is None:
        raise SystemExit(f"{project}: no scored book. Run churnml score first.")
    ids = sorted({row.account_id for row in book.scores})
    paths = [f"/v1/accounts/{account_id}" for account_id in ids]

    async def read(call: int) -> None:
        store.account(ids[call % len(ids)])

    async def tell(call: int) -> None:
        finished_account(desk, held, ids[call % len(ids)], "en", in_full=False)

    with tempfile.TemporaryDirectory() as folder:
        rows = inputs(open_project(project), Path(folder)).rows.read_bytes().splitlines()
    batches = [batch_of(held, parse_json(row)) for row in rows]

    async def check(call: int) -> None:
        batch_of(held, parse_json(rows[call % len(rows)]))

    async def score(call: int) -> None:
        batch_answer(desk, held, batches[call % len(rows)], "en")

    async def hop(_: int) -> None:
        await anyio.to_thread.run_sync(int)

    def mount(service: Any) -> None:
        service.mount_asgi_app(nothing, path="/", name="v1")

    async with AsyncExitStack() as stack:
        ways: dict[str, ASGIApp] = {
            "BentoML's layers, an empty app mounted, its access log": in_bentoml("a", mount, True),
            "BentoML's layers, an empty app mounted": in_bentoml("b", mount, False),
            "BentoML with our Front, an empty app": in_bentoml(
                "c", lambda service: service.add_asgi_middleware(Front, ours=nothing), False
            ),
        }
        # Written like BentoML's, but not between the lines of the table.
        log = logging.getLogger("bentoml.access")
        log.handlers = [logging.StreamHandler(io.StringIO())]
        log.setLevel(logging.INFO)
        log.propagate = False
        layers: dict[str, Layer] = {"an empty app alone": asking(nothing, paths)}
        for name, app in ways.items():
            layers[name] = asking(await stack.enter_async_context(started(app)), paths)
        layers["a hop to a thread and back"] = hop
        layers["our app, a stored account"] = asking(build_app(desk), paths)
        layers["… of it, reading and telling it"] = tell
        layers["… of it, reading it from the store"] = read
        layers["our app, a posted row"] = asking(build_app(desk), ["/v1/score"], rows)
        layers["… of it, parsing and checking it"] = check
        layers["… of it, score and reasons"] = score
        return await measure(layers, rounds, calls)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True, help="with a scored book")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=300, help="of each layer in each round")
    given = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        took = asyncio.run(compare(given.project, given.rounds, given.calls))
    else:
        took = uvloop.run(compare(given.project, given.rounds, given.calls))
    table = Table(title=f"medians of {given.rounds} rounds of {given.calls} calls")
    table.add_column("")
    table.add_column("CPU ms a request", justify="right")
    for name, figures in took.items():
        table.add_row(name, f"{median(figures):.3f}")
    Console(width=None if sys.stdout.isatty() else 110).print(table)


if __name__ == "__main__":
    main()
