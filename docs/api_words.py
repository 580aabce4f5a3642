"""The words of docs/api.md that are of no endpoint's declaration. Owns words alone; make_api.py makes the page.

`<<name>>` stands where an answer, or a table made from the OpenAPI document, comes."""

from __future__ import annotations

# The routes of BentoML's own, which ask the service's hooks: what they are for, and what they say.
HEALTH = {
    "/livez": ("Whether the process lives", "200 as long as the process lives. Needs no key."),
    "/readyz": (
        "Whether it can answer",
        "200 once a champion is loaded and the store is open; 503 before, with the reason. A book that is old leaves it ready: "
        "its answers say `stale`. Needs no key.",
    ),
}

# Statuses that are no endpoint's own.
STATUSES = {
    304: "Nothing has changed since the answer whose `ETag` was sent; no body.",
    405: "The resource does not answer to this method; `Allow` says to which.",
    504: "The answer had not begun within 60 seconds. Ask for fewer items at a time.",
}

# More answers of an endpoint, after its first.
MORE = {
    "getAccount": ("since",),
    "askWhatIf": ("goal",),
    "score": ("score_rows",),
    "changeAction": ("again_done",),
}

# Answers of JSON that the page does not show: both are too large, and the report is no part of a demo's copy.
NOT_SHOWN = ("getOpenapi", "getReport")

# What is to be known of an answer, by the endpoint's name.
BESIDE = {
    "listAccounts": """
`change` is the probability less that of the newest book of an earlier date, `mrr_at_risk` is probability × MRR,
`reason` the strongest that speaks for the outcome.
""",
    "getAccount": """
`display_name` and `crm_url` are there for keys of the scope `act` alone. `health` (0 to 100, more is better, null
where too little is known) is worked out by hand-checkable rules, apart from the probability; `opens` is the play
that it asks for. Days of `milestones` are of the account's age.

`outlook` stands beside a probability: its interval (`low`, `high`); shorter windows (`within_days`, in days after
the lead, never falling); `days_until` by which 10, 50 and 90 of 100 such accounts have the outcome, null where
that lies beyond the window; `contract_binds`: the contract cannot end inside the window, which is what the
probability says; `unlike_training`: more of its numbers lie outside what the model has seen than is usual. A
reason's `contribution` is in log-odds of the outcome; `protective` says that it speaks against the outcome. It
explains the model and promises nothing about what an action would change.

`?since=2024-03-31` adds to each score its `change_since`: a ledger from the newest book up to that date to this
one. `points` are percentage points; those of `parts` are exact and sum to the difference of the two probabilities,
as their `log_odds` sum to the difference of the log-odds. A part's `kind` is `driver` (its features moved; `moves`
say from what to what), `contract` (it binds now, or no longer does), `model`, `calibration`, or both in one
(`model_and_calibration`, where no more is known of the older score). `lines` are the same in words, rounded so
that what is shown adds up too. Where nothing can be told `untold` says why (`too_little_data_then`,
`too_little_data_now`, `not_scored_then`, `model_gone`, `row_differs`) and `notes` say it in words.

`?what_if=true` adds `what_if` to each score: what would have to be true for a better tier, as `POST …/what-if`
tells it for a goal of your own.
""",
    "getAccountHistory": """
Books stand in order of their `as_of`, the newest last; `earlier` counts those of the range that `limit` left out.
`change` and `ledger` are against the book of the date before; the ledger reads as `change_since` of the account does.
Where the scores alone are wanted, `?ledger=false` spares the service working it out.
""",
    "askWhatIf": """
With `levers` (features that [features.md](features.md) marks as such; others are refused with 422) the answer is in
`supposed`: the model's word `before` and `after`; in `moves` what moved, the levers and what follows from them; in
`beyond` what goes farther than accounts have moved; in `unused` levers that the model does not look at. With a `goal` (a probability to come below; to reach, for expansion) it is in
`what_if`: at most three `alternatives`, the fewest steps first, each with what `follows` and the `share` of
accounts that started alike and moved as far, in all steps at once, within `days`. `status` is `reached`;
`infeasible`, with what comes `nearest`; `already` (it is there); or why nothing can be said: `contract_binds`,
`too_little_data`, `other_model` (the score is not the champion's), `not_learned` (a model of before there were
what-ifs), `no_pairs` (snapshots too far apart). `stopped`: nobody has used the product for four weeks, so its use
is not moved.
""",
    "score": """
By `accounts` the book is read: what was told the CSM is told again, in any
language; one that it does not hold is `not_found`. By `rows` features are scored now, by the names of
[features.md](features.md); `GET /v1/models` lists those that each model uses. Null says that there is none; one
that is left out is scored alike and never told as a reason. `as_of`, `data_through` and `stale` are null then,
since the caller alone knows of when the row is. BentoML's own client finds the same as `score`.
""",
    "getAccountUsage": """
Lists run the oldest week first; a week ends at its day in `weeks`. An event counts once, under the first role that
its user held when it occurred (of admin, executive, champion, contact, member). Sessions and users are distinct
counts: they don't add up over weeks or roles. Null: the tables have no such thing.
""",
    "changeAction": """
What people wrote (`outcome`, `dismissed_because`, the details of events) is shown to keys of the scope `act` alone;
others read null.
""",
    "addNote": """
Sent twice, a note is kept twice. The text of notes is shown to keys of the scope `act` alone.
""",
}

WORDS = """\
# The service over HTTP

Written by `python docs/make_api.py demo`, over a copy of the project that `make demo` leaves (a simulated company),
scored at two dates. Don't edit this page: what an endpoint is and takes is said where it is declared
(`src/churnml/serve/`), the rest in `docs/api_words.py`; then write it again. `…` stands where an answer was cut.
Every field of every answer: `GET /v1/openapi.json`. Running the service: [serving.md](serving.md). Programs to
start from: [examples/](../examples/README.md).

<<routes>>

## Start

```console
$ churnml serve --project acme &        # on 127.0.0.1:3000; it can answer once /readyz is 200
$ KEY=$(churnml keys create "our CRM" --scope read --project acme | tail -1)
$ ACT=$(churnml keys create "our CS tool" --scope act --project acme | tail -1)
$ URL=http://127.0.0.1:3000
$ curl -s -H "Authorization: Bearer $KEY" "$URL/v1/accounts?limit=10"
```

While the store holds no key, the service answers this machine without one, and nobody else. The first key ends
that: from then on every request needs one, but for those that the table marks `none`.

| scope | may |
|---|---|
| `read` | scores, reasons, usage, actions, models and metrics; scoring on request and what-ifs, which change nothing |
| `act` | all of `read`; names and CRM links; what people wrote; changing actions and notes |
| `admin` | everything; today that is the same as `act` |

Bodies are JSON in UTF-8, and so are answers where nothing else is said. Moments are UTC; money is in the account's currency; a slash inside
an id is sent as `%2F`. `?lang=en`, `zh` or `ja` chooses the language of texts; the default is `language` in
`churnml.toml`. Each answer has a header `trace-id`, by which the service's log knows the request; send a W3C
`traceparent` to choose it.

A score is of an account and a target: `probability` (0 to 1) is the chance that the outcome comes within
`horizon_days`, counted from `lead_days` after the snapshot (`as_of`); `tier` says how high that is in the company's
own steps. Without enough data `probability` is null, `tier` is `unknown` and `status` is `too_little_data`: missing
is never green. Each score carries its papers: the model's version, its window, the snapshot, how far the data went
(`data_through`), and whether that is longer ago than `serve.stale_after_days` (`stale`).

| to | ask |
|---|---|
| fill fields of a CRM or a warehouse, each time the book was scored | `GET /v1/accounts` as CSV or Parquet: write the rows whose `row_hash` changed |
| list a CSM's accounts, the most urgent first | `GET /v1/accounts?csm_id=…&sort=mrr_at_risk` |
| show one account beside its record | `GET /v1/accounts/{account_id}` with the `ETag` of last time |
| say why it is another than at the last talk | the same with `?since=`, or `…/history` |
| keep tasks in step | `GET /v1/actions`, and `POST /v1/actions/{action_id}` when one is done |
| score what is not in the book | `POST /v1/score` with `rows` |

## What goes wrong

A refusal is `application/problem+json` (RFC 9457): `title`, `status`, a `detail` in whole sentences and the
`trace_id`. 422 adds `errors`, 50 at most, each with where it is and what to do. Nothing is guessed: an unknown
parameter, a field too many, a number written as a text are refused. No answer holds a traceback or a path of the
server; its log tells under the `trace_id` where it failed. After 429 and 503 come again as `Retry-After` says.

<<statuses>>

<<unnamed>>

<<parameter>>

<<body>>

## Page by page

`next_cursor`, or the `Link` header, leads to the next page; null, or no such header, says that it was the last.
Repeat the filters and the order with it (`Link` does). Pages go on in the book that the first one was of, also
where a newer one was scored meanwhile: nothing is missed or told twice. `GET /v1/actions` calls its cursor `next`.

<<first>>

<<second>>

## Only what changed

An account, its history and usage, pages of the book and the report carry an `ETag`. Send it back in `If-None-Match`: 304
without a body says that nothing has changed, in the book, the models, the configuration, the language, actions and
notes. `Cache-Control` is `private, no-cache`: keep answers, and ask whether they hold.

<<again>>

## The book as a file

`Accept: text/csv` or `application/vnd.apache.parquet` turns `GET /v1/accounts` into one row for each account, for a
warehouse or a CRM (reverse ETL). Write only the rows whose `row_hash` is another than last time; delete what is no
longer there ([crm_import.py](../examples/crm_import.py) does both). To spare the download while nothing was
scored, give the `created-at` of the last file as `updated_since`: then the file has its header alone.

<<csv>>

## Limits

| what | at most | beyond |
|---|---|---|
| requests of a key (without keys: of an address) a minute | `serve.requests_per_minute`, 60,000 | 429 with `Retry-After` |
| keys that are not known, of an address, a minute | 20 for each worker | 429 with `Retry-After` |
| a body | 10,000,000 bytes, nested 64 levels deep | 413; 422 |
| items of `POST /v1/score` | 1,000 | 422 |
| accounts, or actions, of a page | 1,000 | 422 |
| until an answer begins | 60 seconds | 504 |

Each worker grants its share of the requests, so a client that keeps one connection, and so one worker, gets that
share. 503 has a `Retry-After` too. [client.py](../examples/client.py) waits as it is told.

<<endpoints>>
"""
