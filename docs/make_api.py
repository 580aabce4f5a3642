"""Writes docs/api.md: `python docs/make_api.py PROJECT`, the project that `churnml demo` left.

Copies the project, scores the copy at two dates, opens its actions, makes two keys, and asks the app that
the service answers by. What an endpoint is and takes comes from the OpenAPI document, the answers from the
app; the words between them lie in api_words.py. Long lists and texts are cut, and say so with an ellipsis."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))
from api_words import BESIDE, HEALTH, MORE, STATUSES, WORDS

from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.serve.openapi import COMMON, REFUSALS, document
from churnml.serve.routes import ENDPOINTS
from churnml.stages.keys import create
from churnml.stages.project import Project, open_project
from churnml.stages.score import score
from churnml.stages.tick import run_tick
from churnml.store.store import Store, open_store, sqlite_url

PAGE = Path(__file__).with_name("api.md")
EARLIER_DAYS = 56
MOST_LOOKED_AT = 60  # accounts whose ways are tried: enough for one that moves
MOST_ITEMS, MOST_LETTERS, WIDTH = 2, 150, 112
JSON = "application/json"
Document = Mapping[str, Any]


# --- What the OpenAPI document says ---------------------------------------------------------------


def route_table(told: Document) -> str:
    """All routes with what they are for, in the document's order; health is BentoML's."""
    rows = [
        f"| `{method.upper()} {path}` | {_scope(operation)} | {operation['summary']} |"
        for path, method, operation in operations(told)
    ]
    rows += [f"| `GET {path}` | none | {what} |" for path, (what, _) in HEALTH.items()]
    return "\n".join(["| route | scope | answers |", "|---|---|---|", *rows])


def operations(told: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(path, method, operation) of every endpoint."""
    for path, by_method in told["paths"].items():
        for method, operation in by_method.items():
            yield path, method, operation


def endpoint_words(told: Document, path: str, method: str) -> str:
    """The part of the page that says what an endpoint is, takes and answers."""
    operation = told["paths"][path][method]
    parts = [f"## {method.upper()} {path}", operation["summary"] + ".", operation["description"]]
    if operation["operationId"] in BESIDE:
        parts.append(BESIDE[operation["operationId"]].strip())
    parameters = operation.get("parameters", ())
    if parameters:
        rows = [
            f"| `{one['name']}` | {_kind(told, one['schema'].get('items', one['schema']))} "
            f"| {_cell(one.get('description', ''))} |"
            for one in parameters
        ]
        parts.append("\n".join(["| parameter | is | says |", "|---|---|---|", *rows]))
    if "requestBody" in operation:
        parts.append(_body(told, operation["requestBody"]["content"][JSON]["schema"]))
    own = [status for status in operation["responses"] if int(status) not in COMMON]
    common = [status for status in operation["responses"] if int(status) in COMMON]
    parts.append(f"Answers {', '.join(own)}; like others {', '.join(common)}.")
    return "\n\n".join(parts)


def _scope(operation: Mapping[str, Any]) -> str:
    found = re.search(r"Needs the scope `(\w+)`", operation["description"])
    return found[1] if found else "none"


def _resolved(told: Document, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return told["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _variants(told: Document, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    schema = _resolved(told, schema)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not choices:
        return [schema]
    return [found for choice in choices for found in _variants(told, choice)]


def _body(told: Document, schema: Mapping[str, Any]) -> str:
    """A table of a body's fields; where it may be one of several things, a table of those."""
    variants = _variants(told, schema)
    if len(variants) == 1:
        rows = [
            f"| {_field(name, one)} | {_kind(told, one)}{_needed(variants[0], name)} "
            f"| {_cell(one.get('description', ''))} |"
            for name, one in variants[0].get("properties", {}).items()
        ]
        return "\n".join(["| body | is | says |", "|---|---|---|", *rows])
    rows = []
    for variant in variants:
        fields = [
            _field(name, one)
            + ("" if "const" in one else f" ({_kind(told, one)}{_needed(variant, name)})")
            for name, one in sorted(
                variant.get("properties", {}).items(),
                key=lambda field: field[0] not in variant.get("required", ()),
            )
        ]
        rows.append(f"| {', '.join(fields)} | {_cell(variant.get('description', ''))} |")
    return "\n".join(["| body, one of | says |", "|---|---|", *rows])


def _field(name: str, schema: Mapping[str, Any]) -> str:
    return f'`"{name}": "{schema["const"]}"`' if "const" in schema else f"`{name}`"


def _needed(variant: Mapping[str, Any], name: str) -> str:
    return "" if name in variant.get("required", ()) else "; may be left out"


def _kind(told: Document, schema: Mapping[str, Any]) -> str:
    """What a value may be, in a few words."""
    schema = _resolved(told, schema)
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if "anyOf" in schema:
        named = [_kind(told, one) for one in kinds if one]
        return " or ".join(dict.fromkeys(named)) or "anything"
    if "const" in schema:
        return "as it stands"
    if "enum" in schema:
        said = ", ".join(f"`{value}`" for value in schema["enum"])
    elif schema.get("type") == "array":
        said = "list, each " + _kind(told, schema["items"])
    elif schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        names = ", ".join(f"`{name}`" for name in schema.get("properties", ()))
        said = "numbers by name" if inner == {"type": "number"} else f"an object of {names}"
    else:
        words = {
            "string": "text",
            "integer": "whole number",
            "number": "number",
            "boolean": "`true`, `false`",
        }
        dates = {"date": "day, `2024-03-31`", "date-time": "moment, `2024-03-31T12:00:00Z`"}
        said = dates.get(schema.get("format", "")) or words.get(schema.get("type", ""), "anything")
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        said += f", {low:,} to {high:,}"
    if "exclusiveMinimum" in schema and "exclusiveMaximum" in schema:
        said += f" above {schema['exclusiveMinimum']} and below {schema['exclusiveMaximum']}"
    if schema.get("default") not in (None, [], ()):
        said += f"; default `{json.dumps(schema['default']).strip(chr(34))}`"
    return said


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# --- What the app answers -------------------------------------------------------------------------


class Asker:
    """Asks the app and writes down how. keys: by the name of the variable that a reader has them in."""

    def __init__(self, client: TestClient, keys: Mapping[str, str]):
        self._client = client
        self._keys = keys

    def get(
        self, method: str, path: str, body: Any = None, key: str | None = "KEY", **headers: str
    ) -> Any:
        """The answer itself."""
        data = body if isinstance(body, str) else json.dumps(body) if body is not None else None
        given = {name.replace("_", "-"): text for name, text in headers.items()}
        if data is not None:
            given.setdefault("Content-Type", JSON)
        if key is not None:
            given["Authorization"] = f"Bearer {self._keys.get(key, key)}"
        # The trace of a request is chance; the page is to be the same when it is made again.
        trace = hashlib.sha256(f"{method} {path} {data}".encode()).hexdigest()
        given["traceparent"] = f"00-{trace[:32]}-{trace[:16]}-01"
        return self._client.request(method, path, content=data, headers=given)

    def shown(
        self, method: str, path: str, body: Any = None, key: str | None = "KEY", show: Sequence[str] = (),
        only: Sequence[str] = (), part: Callable[[Any], Any] | None = None, **headers: str,
    ) -> str:  # fmt: skip
        """One request and its answer as Markdown. show: headers to show. only, part: less than the answer."""
        answer = self.get(method, path, body, key, **headers)
        kind = answer.headers.get("content-type", "")
        said = [f"`{answer.status_code}`", *([f"`{kind}`"] if kind else [])]
        said += [f"`{name}: {_short(answer.headers[name])}`" for name in show]
        lines = [
            "```console",
            f"$ {_curl(method, path, body, key, headers)}",
            "```",
            "",
            " ".join(said),
        ]
        if "json" in kind:
            value = part(answer.json()) if part else answer.json()
            chosen = {name: value[name] for name in only or value}
            if len(chosen) < len(value):
                chosen["…"] = "…"
            lines += ["", "```json", dump(cut(chosen)), "```"]
        elif answer.content and kind.startswith("text/"):
            rows = answer.text.splitlines()
            wanted = [row for row in rows if "churnml_requests_total{" in row] or rows
            lines += ["", "```", *(_short(row, WIDTH) for row in wanted[:3]), "…", "```"]
        return "\n".join(lines)


def _curl(method: str, path: str, body: Any, key: str | None, headers: Mapping[str, str]) -> str:
    parts = ["curl -s", *(["-X " + method] if method not in ("GET", "POST") else [])]
    if key is not None:
        parts.append(
            f'-H "Authorization: Bearer ${key}"'
            if key.isupper()
            else f"-H 'Authorization: Bearer {key}'"
        )
    parts += [f"-H '{name.replace('_', '-')}: {text}'" for name, text in headers.items()]
    parts.append(f'"$URL{path}"')
    if body is not None:
        data = body if isinstance(body, str) else json.dumps(body)
        kind = "" if "Content_Type" in headers else f"-H 'Content-Type: {JSON}' "
        parts.append(f"\\\n    {kind}-d '{data}'")
    return " ".join(parts)


def cut(value: Any, depth: int = 0) -> Any:
    """The value with long lists and texts shortened."""
    if isinstance(value, dict):
        return {key: cut(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        most = MOST_ITEMS if depth < 3 else 1
        flat = [item for item in value if isinstance(item, str | int | float)]
        most = 6 if len(flat) == len(value) and len(str(flat)) < WIDTH else most
        kept = [cut(item, depth + 1) for item in value[:most]]
        return [*kept, "…"] if len(value) > most else kept
    if isinstance(value, str):
        return _short(value)
    return round(value, 4) if isinstance(value, float) else value


def _short(text: str, most: int = MOST_LETTERS) -> str:
    return text if len(text) <= most else text[:most].rstrip() + " …"


def dump(value: Any, indent: int = 0) -> str:
    """JSON that breaks only what is too long for a line."""
    whole = json.dumps(value, ensure_ascii=False)
    if len(whole) + indent <= WIDTH or not isinstance(value, dict | list) or not value:
        return whole
    inner = " " * (indent + 1)
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(key, ensure_ascii=False)}: {dump(item, indent + 1)}"
            for key, item in value.items()
        ]
        return (
            "{\n"
            + ",\n".join(inner + part for part in _filled(parts, WIDTH - indent))
            + "\n"
            + " " * indent
            + "}"
        )
    parts = [dump(item, indent + 1) for item in value]
    return "[\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + "]"


def _filled(parts: Sequence[str], width: int) -> Iterator[str]:
    """Short members share a line."""
    line = ""
    for part in parts:
        if line and ("\n" in part or "\n" in line or len(line) + len(part) + 2 > width):
            yield line
            line = ""
        line = f"{line}, {part}" if line else part
    if line:
        yield line


# --- The page -------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path) -> Iterator[tuple[Asker, Store, datetime]]:
    """The app over a copy of a project, scored at two dates, and the clock at the day after."""
    os.environ.pop("CHURNML_STORE_URL", None)  # else the copy would write to somebody's store
    given = open_project(folder)
    if given.config.store.url:
        sys.exit(f"{folder}: it has a store of its own. Expected what `churnml demo` makes.")
    store = open_store(given.store_url)
    dates = store.dates()
    store.close()
    if not dates:
        sys.exit(f"{folder}: nothing was scored. Expected what `churnml demo` makes. Run it.")
    newest = dates[-1]
    now = newest + timedelta(days=1, hours=9)
    with TemporaryDirectory() as scratch:
        copy = Path(scratch) / "demo"
        shutil.copytree(
            folder, copy, ignore=shutil.ignore_patterns("store.db*", "mlflow.db", "mlartifacts")
        )
        project: Project = replace(open_project(copy), now=now)
        score(project, as_of=newest - timedelta(days=EARLIER_DAYS))
        score(project, as_of=newest)
        run_tick(project, at=now)
        keys = {
            name: create(project, name, scope).text
            for name, scope in (("KEY", "read"), ("ACT", "act"))
        }
        desk = Desk(copy, now=lambda: now + timedelta(hours=1))
        desk.held(at_once=True)
        store = open_store(sqlite_url(copy / "store.db"))
        try:
            client = TestClient(build_app(desk), raise_server_exceptions=False)  # type: ignore[arg-type]
            yield Asker(client, keys), store, newest
        finally:
            store.close()
            desk.close()


def answers(ask: Asker, store: Store, newest: datetime) -> dict[str, str]:
    """The real answers, by the name of their place in the page."""
    listed = ask.get("GET", "/v1/accounts?limit=200").json()["accounts"]
    ids = [one["account_id"] for one in listed]
    live = ask.get("GET", "/v1/actions?limit=1000").json()["actions"]
    # The most MRR at risk, of those about whom something is to be done.
    action = next(one for name in ids for one in live if one["account_id"] == name)
    account, own = f"/v1/accounts/{action['account_id']}", f"/v1/actions/{action['action_id']}"
    changed = max(listed, key=lambda one: one["scores"][0]["change"] or 0)["account_id"]
    since = f"{newest - timedelta(days=EARLIER_DAYS):%Y-%m-%d}"
    cursor = ask.get("GET", "/v1/accounts?limit=2").json()["next_cursor"]
    tag = ask.get("GET", account).headers["etag"]
    known = store.account(action["account_id"]).account.features
    names = ("events_28d_per_week", "events_change_28d_share", "days_to_renewal", "mrr", "segment")
    row = {name: known[name] for name in names if known.get(name) is not None}
    rows = [
        {"account_id": "x", "features": row},
        {"account_id": "y", "features": {"mrr": "much", "luck": 1}},
    ]
    way = way_of(ask, ids[:MOST_LOOKED_AT])
    note = {"kind": "wish", "topic": "reporting", "text": "a weekly export for their board"}
    done = {"do": "done", "outcome": "they are content again"}
    before = f"{newest + timedelta(days=120):%Y-%m-%d}"
    told = {
        "unnamed": ask.shown("GET", "/v1/models", key=None),
        "parameter": ask.shown("GET", "/v1/accounts?colour=red"),
        "body": ask.shown("POST", "/v1/score", {"accounts": "A1", "colour": 1}),
        "first": ask.shown(
            "GET", "/v1/accounts?limit=2", show=["link"], only=["total", "next_cursor"]
        ),
        "second": ask.shown("GET", f"/v1/accounts?limit=2&cursor={cursor}", only=["total"]),
        "again": ask.shown("GET", account, If_None_Match=tag),
        "csv": ask.shown(
            "GET",
            "/v1/accounts?tier=high&tier=critical",
            Accept="text/csv",
            show=["run-id", "created-at"],
        ),
        "score_rows": ask.shown("POST", "/v1/score", {"target": "churn", "rows": rows}),
        "since": ask.shown(
            "GET",
            f"/v1/accounts/{changed}?since={since}",
            part=lambda one: of_first_score(one, "change_since"),
        ),
        "goal": ask.shown("POST", way.path, {"target": "churn", "goal": way.goal}),
    }
    shown = {
        "listAccounts": ask.shown("GET", f"/v1/accounts?tier=high&renews_before={before}&limit=1"),
        "addNote": ask.shown("POST", f"{account}/notes", note, key="ACT"),
        "getAccount": ask.shown("GET", account, key="ACT"),
        "askWhatIf": ask.shown("POST", way.path, {"target": "churn", "levers": way.levers}),
        "getAccountHistory": ask.shown(
            "GET", f"/v1/accounts/{changed}/history?target=churn&limit=2"
        ),
        "getAccountUsage": ask.shown("GET", f"{account}/usage"),
        "score": ask.shown(
            "POST", "/v1/score?lang=ja", {"target": "churn", "accounts": [ids[1], "nobody"]}
        ),
        "listAccountActions": ask.shown("GET", f"{account}/actions?lang=zh"),
        "listActions": ask.shown("GET", f"/v1/actions?csm_id={action['csm_id']}&limit=1"),
        "changeAction": ask.shown("POST", own, done, key="ACT"),
        "again_done": ask.shown("POST", own, done, key="ACT"),
        "getAction": ask.shown("GET", own),
        "closeNote": ask.shown("POST", "/v1/notes/1/close", {"how": "shipped in March"}, key="ACT"),
        "listModels": ask.shown("GET", "/v1/models"),
        "getMetrics": ask.shown("GET", "/metrics"),
    }
    return {**told, **shown}


def of_first_score(answer: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One part of the first score: the rest of such an answer stands on the page already."""
    first = answer["scores"][0]
    return {"scores": [{"target": first["target"], name: first[name], "…": "…"}, "…"], "…": "…"}


@dataclass(frozen=True)
class Way:
    """An account for which there is a way to a better tier: levers that lead there, and how far alone."""

    path: str
    goal: float
    levers: dict[str, float]
    gain: float


def way_of(ask: Asker, accounts: Sequence[str]) -> Way:
    """Of these accounts' ways the one whose first levers move the score most; exits in words without one."""
    ways = []
    for account in accounts:
        scores = ask.get("GET", f"/v1/accounts/{account}?what_if=true").json()["scores"]
        told = next((one["what_if"] for one in scores if one["target"] == "churn"), None)
        if told is None or told["status"] != "reached":
            continue
        path = f"/v1/accounts/{account}/what-if"
        moves = told["alternatives"][0]["steps"][0]["moves"][:2]
        levers = {move["feature"]: round(move["after"], 2) for move in moves}
        answer = ask.get("POST", path, {"target": "churn", "levers": levers})
        if answer.status_code == 200:  # some levers are refused: what follows cannot be worked out
            one = answer.json()["supposed"][0]
            gain = one["before"]["probability"] - one["after"]["probability"]
            ways.append(Way(path, told["goal"], levers, gain))
    if not ways:
        sys.exit("what_if: no account of the book has a way to a better tier. Make the demo again.")
    return max(ways, key=lambda way: way.gain)


def page(told: Document, found: Mapping[str, str]) -> str:
    """The whole page, from the document and the answers. Exits where an answer or words have no place."""
    known = {operation["operationId"] for _, _, operation in operations(told)}
    placed = {
        *known,
        *re.findall(r"<<(\w+)>>", WORDS),
        *(name for more in MORE.values() for name in more),
    }
    lost = (set(found) - placed) | (({*BESIDE, *MORE}) - known)
    if lost:
        sys.exit(
            f"api_words.py, make_api.py: {sorted(lost)} stand nowhere. Expected names of endpoints."
        )
    sections = []
    for path, method, operation in operations(told):
        parts = [endpoint_words(told, path, method), found.get(operation["operationId"], "")]
        parts += [found[name] for name in MORE.get(operation["operationId"], ())]
        sections.append("\n\n".join(part for part in parts if part))
    sections += [f"## GET {path}\n\n{words}" for path, (_, words) in HEALTH.items()]
    filled = {
        "routes": route_table(told),
        "statuses": status_table(),
        "endpoints": "\n\n".join(sections),
    }
    text = re.sub(r"<<(\w+)>>", lambda place: {**found, **filled}[place[1]], WORDS)
    # The end of a run's id is chance; the page is to be the same when it is made again.
    text = re.sub(r"\b(\d{8})-[0-9a-f]{12}\b", lambda run: f"{run[1]}-{_digest(run[1])}", text)
    return text.rstrip() + "\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def status_table() -> str:
    """What each refusal means, in the document's words."""
    rows = [f"| {status} | {says} |" for status, says in sorted({**REFUSALS, **STATUSES}.items())]
    return "\n".join(["| status | when |", "|---|---|", *rows])


def make(folder: Path) -> str:
    """The page, over a copy of a demo's project."""
    with served(folder) as (ask, store, newest):
        return page(document(ENDPOINTS), answers(ask, store, newest))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PAGE.write_text(make(Path(sys.argv[1])), encoding="utf-8")
    print(f"Wrote {PAGE}")
