"""Writes docs/api.md: `python docs/make_api.py PROJECT`, a project with champions and books of two dates.

Asks the app that the service mounts, over the project, and sets its real answers into the page. Owns
the page's words; the answers are the app's. Long lists and texts are cut, and say so with an ellipsis."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from churnml.serve.app import build_app
from churnml.serve.desk import Desk
from churnml.stages.project import open_project
from churnml.store.store import open_store

PAGE = Path(__file__).with_name("api.md")
MOST_ITEMS, MOST_LETTERS = 2, 160
JSON = {"Content-Type": "application/json"}


def ask(client: TestClient, method: str, path: str, body: Any = None) -> str:
    """One request and its answer as Markdown."""
    data = body if isinstance(body, str) else json.dumps(body) if body else None
    answer = client.request(method, path, content=data, headers=JSON if data else {})
    kind = answer.headers["content-type"]
    lines = ["```console", f"$ curl -s {_curl(method, path, data)}", "```", ""]
    lines.append(f"`{answer.status_code}` `{kind}`")
    if "json" in kind:
        lines += ["", "```json", json.dumps(cut(answer.json()), indent=1, ensure_ascii=False)]
    else:
        own = [line for line in answer.text.splitlines() if "churnml_requests_total{" in line]
        lines += ["", "```", *own[:MOST_ITEMS], "…"]
    return "\n".join([*lines, "```"])


def ask_for_change(client: TestClient, path: str) -> str:
    """The same for why a score changed: the rest of the answer stands on the page already."""
    answer = client.get(path)
    first = answer.json()["scores"][0]
    shown = {"…": "as without since", "scores": [{"target": first["target"], "…": "as without since",
             "change": cut(first["change"])}, "…"]}  # fmt: skip
    lines = ["```console", f"$ curl -s {_curl('GET', path, None)}", "```", ""]
    lines += [f"`{answer.status_code}` `{answer.headers['content-type']}`", "", "```json"]
    return "\n".join([*lines, json.dumps(shown, indent=1, ensure_ascii=False), "```"])


def _curl(method: str, path: str, data: str | None) -> str:
    told = f"'http://127.0.0.1:3000{path}'"
    if data:
        told += f" -H 'Content-Type: application/json' \\\n    -d '{data}'"
    return told if method in ("GET", "POST") else f"-X {method} {told}"


def cut(value: Any) -> Any:
    """The value with long lists and texts shortened."""
    if isinstance(value, dict):
        return {key: cut(item) for key, item in value.items()}
    if isinstance(value, list):
        kept = [cut(item) for item in value[:MOST_ITEMS]]
        return [*kept, "…"] if len(value) > MOST_ITEMS else kept
    if isinstance(value, str) and len(value) > MOST_LETTERS:
        return value[:MOST_LETTERS].rstrip() + " …"
    return round(value, 6) if isinstance(value, float) else value


def supposed(client: TestClient, accounts: list[str]) -> str:
    """What would have to be true of the first of these accounts for which there is a way."""
    for account in accounts:
        path = f"/v1/accounts/{account}?what_if=true"
        scores = client.get(path).json()["scores"]
        found = next(score["what_if"] for score in scores if score["target"] == "churn")
        if found["status"] == "reached":
            told = json.dumps({"what_if": cut(found)}, indent=1, ensure_ascii=False)
            return (
                f"```console\n$ curl -s {_curl('GET', path, None)} |\n"
                "    jq '.scores[] | select(.target == \"churn\") | {what_if}'\n```\n\n"
                f"```json\n{told}\n```"
            )
    sys.exit("what_if: no account of the book has a way to a better tier. Make the demo again.")


def page(
    client: TestClient, urgent: list[str], changed: str, row: dict[str, Any], since: str
) -> str:
    """The whole page, over a client of the app.

    urgent: accounts, the most urgent first. changed: one whose score changed since.
    """
    account, other = urgent[:2]
    return WORDS.format(
        account=ask(client, "GET", f"/v1/accounts/{account}"),
        change=ask_for_change(client, f"/v1/accounts/{changed}?since={since}"),
        supposed=supposed(client, urgent),
        accounts=ask(
            client, "POST", "/v1/score?lang=ja", {"target": "churn", "accounts": [other, "nobody"]}
        ),
        rows=ask(
            client, "POST", "/v1/score", {"target": "churn", "rows": [{"account_id": "x", **row}]}
        ),
        models=ask(client, "GET", "/v1/models"),
        metrics=ask(client, "GET", "/metrics"),
        refused=ask(
            client, "POST", "/v1/score",
            {"rows": [{"account_id": "x", "features": {"mrr": "much", "luck": 1}}], "colour": 1},
        ),
        torn=ask(client, "POST", "/v1/score", '{"accounts": ["a'),
        missing=ask(client, "GET", "/v1/accounts/nobody"),
        earlier=ask(client, "GET", f"/v1/accounts/{account}?since=2001-01-01"),
        method=ask(client, "DELETE", "/v1/models"),
    )  # fmt: skip


WORDS = """\
# The service over HTTP

Written by `python docs/make_api.py PROJECT` from the answers of the app that the service mounts, over the
project that `churnml demo` makes, scored at an earlier date too. Don't edit this page: change the words in
`docs/make_api.py` and run it again. In answers, `…` stands where a long list or text was cut.

`churnml serve --project PROJECT` listens on 127.0.0.1 alone and asks nobody who they are: put whatever
your company trusts in front of it. It reads the champions in `bundles/`, the score store and
`churnml.toml`, and neither MLflow nor the tables. A champion that is promoted meanwhile is taken up
within seconds.

| route | answers |
|---|---|
| `POST /v1/score` | scores, reasons and actions of accounts in the book, or of feature rows |
| `GET /v1/accounts/{{account_id}}` | all that the last book says about one account, and why it changed |
| `GET /v1/models` | the champions: versions, metrics, features, cards |
| `GET /metrics` | counts and durations of requests, for Prometheus |
| `GET /livez` | whether the process lives |
| `GET /readyz` | whether it can score: 503 without a champion |

Bodies are JSON in UTF-8. Moments are UTC. `?lang=en`, `zh` or `ja` chooses the language of reasons and
actions; the default is `language` in `churnml.toml`.

Every score carries its papers: the model's version, window (`lead_days`, `horizon_days`), the snapshot
(`as_of`), how far the data went (`data_through`), and whether they are older than
`serve.stale_after_days` (`stale`). Missing is never green: without enough data `probability` is null,
`tier` is `unknown` and `status` is `too_little_data`.

`outlook` stands beside a probability: its interval (`low`, `high`); shorter windows (`within_days`, in days
after the lead, never falling); `days_until` by which 10, 50 and 90 of 100 such accounts have the outcome,
null where that lies beyond the window; `contract_binds`: the contract cannot end inside the window, which
is what the probability says; `unlike_training`: more of its numbers lie outside what the model has seen
than is usual.

A reason's `contribution` is in log-odds of the outcome; `protective` says that it speaks against the
outcome. It explains the model and promises nothing about what an action would change.

## GET /v1/accounts/{{account_id}}

{account}

`?since=2024-03-31` adds to each score its `change`: a ledger from the newest book up to that date to this
one. `points` are percentage points; those of `parts` are exact and sum to the difference of the two
probabilities, as their `log_odds` sum to the difference of the log-odds. A part's `kind` is `driver` (its
features moved; `moves` say from what to what), `contract` (it binds now, or no longer does), `model`,
`calibration`, or both in one (`model_and_calibration`, where no more is known of the older score). `lines`
are the same in words, rounded so that what is shown adds up too. Where nothing can be told `untold` says
why (`too_little_data_then`, `too_little_data_now`, `not_scored_then`, `model_gone`, `row_differs`) and
`notes` say it in words; `notes` also state another window, and numbers that the older book lacks.

{change}

`?what_if=true` adds `what_if` to each score: what would have to be true of the account for a better tier.
`goal` is the probability to come below (to reach, for expansion). `alternatives` are at most three, the
fewest steps first: what each step's levers would be, what `follows` by arithmetic, the model's
probability of such an account, and the `share` of accounts that started alike and moved as far, in all
steps at once, within `days`. Nothing goes farther than accounts have moved. It is what the model would
say of such an account, and promises nothing.

`status` is `reached`; `infeasible`, with what comes `nearest`; `already` (in the best tier); or why
nothing can be said: `contract_binds`, `too_little_data`, `other_model` (the score is not the
champion's), `not_learned` (a model of before there were what-ifs), `no_pairs` (snapshots too far apart).
`stopped`: nobody has used the product for four weeks, so its use is not moved.

{supposed}

## POST /v1/score

At most 1,000 items and 1,000,000 bytes. Give either `accounts` or `rows`; `target` is optional. A wrong
request is refused whole. The answers keep the order of the request.

By `accounts` the book is read: what was told the CSM is told again, in any language. An account that the
book does not hold is no fault of the request: its `status` is `not_found`.

{accounts}

By `rows` features are scored now, by the names of [features.md](features.md); `GET /v1/models` lists
those that each model uses. Null says that there is none; one that is left out is
scored alike and never told as a reason. `as_of`, `data_through` and `stale` are null, since the caller
alone knows of when the row is.

{rows}

## GET /v1/models

{models}

## GET /livez

200 as long as the process lives.

## GET /readyz

200 when it can score; 503 while there is no champion.

## GET /metrics

Labels are routes, never raw paths: `churnml_requests_total` by method, route and status, and the
histogram `churnml_request_seconds`.

{metrics}

## What goes wrong

Every refusal is `application/problem+json` (RFC 9457): `title`, `status` and a `detail` in whole
sentences; 422 adds `errors`, each with where it is and what to do, 50 at most; faults of the shape
come first, those of targets and features once the shape is right. No answer holds a traceback or a path
of the server: those stand in its log.

| status | when |
|---|---|
| 400 | the body is no JSON |
| 404 | no such resource, no such account in the book, or no book of the date that `since` names |
| 405 | the resource does not answer to this method; `Allow` says to which |
| 413 | the body is too large |
| 415 | the body is not said to be JSON in UTF-8 |
| 422 | well-formed, and says something that cannot be: unknown fields or features, NaN, a text for a number |
| 500 | the service failed; its log says why |
| 503 | no champion, no configuration or no store yet; `Retry-After` says when to ask again |

{refused}

{torn}

{missing}

{earlier}

{method}
"""


def make(folder: Path) -> str:
    """The page, over a project with a scored book; exits in words without one."""
    store = open_store(open_project(folder).store_url)
    book = store.latest_book("churn")
    rows = [row for row in (book.scores if book else ()) if row.probability is not None]
    if len(rows) < 2:
        sys.exit(f"{folder}: no book with scores. Run: churnml score --project {folder}")
    dates = store.dates()
    if len(dates) < 2:
        sys.exit(
            f"{folder}: one book, of {dates[0]:%Y-%m-%d}. Expected an earlier one too. Run: churnml score "
            f"--project {folder} --as-of DATE"
        )
    told = store.accounts([row.account_id for row in rows], at=dates[-2])
    before = {
        name: score.probability
        for name, earlier in told.items()
        for score in earlier.scores
        if score.target == "churn" and score.probability is not None
    }
    moved = {
        row.account_id: (row.probability or 0) - before[row.account_id]
        for row in rows
        if row.account_id in before
    }
    urgent = sorted(rows, key=lambda row: -(row.probability or 0) * row.mrr)
    known = store.account(urgent[0].account_id).account.features
    store.close()
    names = ("events_28d_per_week", "events_change_28d_share", "days_to_renewal", "mrr", "segment")
    row = {"features": {name: known[name] for name in names if known.get(name) is not None}}
    desk = Desk(folder)
    desk.held(at_once=True)
    try:
        client = TestClient(build_app(desk), raise_server_exceptions=False)  # type: ignore[arg-type]
        accounts = [score.account_id for score in urgent]
        changed = max(moved, key=lambda name: moved[name])
        return page(client, accounts, changed, row, f"{dates[-2]:%Y-%m-%d}")
    finally:
        desk.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PAGE.write_text(make(Path(sys.argv[1])), encoding="utf-8")
    print(f"Wrote {PAGE}")
