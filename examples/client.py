"""The ten accounts with the most MRR at risk, with the reason and what to do. Needs Python alone.

    export CHURNML_URL=http://127.0.0.1:3000 CHURNML_KEY=churnml_…
    python client.py [--target churn] [--tier high --tier critical] [--lang ja] [--cache answers.json]

`Client` is what to take from here: it follows cursors, asks again when the service says when (429, 503) and
spares what it has already (ETag)."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

TRIES = 5
LONGEST_WAIT_S = 60.0


class Fault(Exception):
    """What the service refused, in its own words."""


class Client:
    """Asks a churnml service. cache: a file that keeps answers with their tags between runs."""

    def __init__(self, url: str, key: str | None = None, cache: Path | None = None):
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._cache = cache
        self._kept: dict[str, list[str]] = {}
        if cache is not None and cache.is_file():
            self._kept = json.loads(cache.read_text(encoding="utf-8"))
        self.spared = 0  # answers that were there already

    def accounts(self, **asked: Any) -> Iterator[dict[str, Any]]:
        """All accounts that the filters let through, page by page. asked: the endpoint's parameters."""
        cursor: str | None = None
        while True:
            page = self.json("/v1/accounts", {**asked, "cursor": cursor})
            yield from page["accounts"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def account(self, account_id: str, **asked: Any) -> dict[str, Any]:
        """All that the book says about one account."""
        # A slash inside an id is sent as %2F.
        return self.json(f"/v1/accounts/{quote(account_id, safe='')}", asked)

    def json(self, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One answer, or the one that is kept, where it still holds."""
        given = {name: value for name, value in (asked or {}).items() if value is not None}
        url = f"{path}?{urlencode(given, doseq=True)}"
        tag, body = self._kept.get(url, ["", ""])
        status, headers, fresh = self.ask(url, {"If-None-Match": tag} if tag else {})
        if status == 304:
            self.spared += 1
        else:
            body = fresh.decode("utf-8")
            if "ETag" in headers:
                self._keep(url, headers["ETag"], body)
        answer: dict[str, Any] = json.loads(body)
        return answer

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body. Waits where it is told to come again. Raises: Fault."""
        request = Request(self._url + path, headers={**self._headers, **(headers or {})})
        for tries in range(1, TRIES + 1):
            try:
                with urlopen(request, timeout=60) as answer:
                    return answer.status, answer.headers, answer.read()
            except HTTPError as error:
                if error.code == 304:
                    return 304, error.headers, b""
                if error.code not in (429, 503) or tries == TRIES:
                    raise Fault(_in_words(error)) from None
                wait = _wait_s(error.headers.get("Retry-After"), tries)
            except URLError as error:
                if tries == TRIES:
                    raise Fault(f"{self._url} cannot be reached: {error.reason}") from None
                wait = _wait_s(None, tries)
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _keep(self, url: str, tag: str, body: str) -> None:
        self._kept[url] = [tag, body]
        if self._cache is not None:
            # Whole or not at all: a run that is stopped leaves the last one's answers.
            part = self._cache.with_name(self._cache.name + ".part")
            part.write_text(json.dumps(self._kept), encoding="utf-8")
            os.replace(part, self._cache)


def _wait_s(retry_after: str | None, tries: int) -> float:
    """What the service says, else twice as long each time."""
    told = float(retry_after) if retry_after and retry_after.isdigit() else 0.5 * 2**tries
    return min(told, LONGEST_WAIT_S)


def _in_words(error: HTTPError) -> str:
    """A problem (RFC 9457) in lines: what is wrong, and where."""
    try:
        problem = json.loads(error.read())
    except ValueError:
        return f"{error.code} {error.reason}"
    faults = [f"  {fault['where']}: {fault['message']}" for fault in problem.get("errors", ())]
    return "\n".join([f"{error.code} {problem.get('detail', error.reason)}", *faults])


def from_environment(cache: Path | None = None) -> Client:
    """The client of CHURNML_URL, with the key of CHURNML_KEY."""
    url = os.environ.get("CHURNML_URL", "http://127.0.0.1:3000")
    return Client(url, os.environ.get("CHURNML_KEY"), cache)


def table(accounts: Sequence[Mapping[str, Any]], target: str) -> Iterator[str]:
    """The accounts in lines."""
    yield f"{'account':<12} {'MRR':>10} {'chance':>7} {'at risk':>10}  {'tier':<8} why, and what to do"
    for account in accounts:
        score = next(score for score in account["scores"] if score["target"] == target)
        # Missing is never green: without enough data there is no probability, and no 0 %.
        known = score["probability"] is not None
        chance = f"{score['probability']:.0%}" if known else "?"
        at_risk = f"{score['mrr_at_risk']:.2f}" if known else "?"
        why = score["reason"] or ("no reason stands out" if known else "too little data to judge")
        yield (
            f"{account['account_id']:<12} {account['mrr']:>10.2f} {chance:>7} {at_risk:>10}  "
            f"{score['tier']:<8} {why}"
        )
        yield f"{'':<53} → {score['action']['title']}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="The ten accounts with the most MRR at risk.")
    parser.add_argument("--target", default="churn")
    parser.add_argument("--tier", action="append")
    parser.add_argument("--csm-id", action="append")
    parser.add_argument("--lang")
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    client = from_environment(given.cache)
    asked = {"target": given.target, "tier": given.tier, "csm_id": given.csm_id, "lang": given.lang}
    try:
        found = client.json("/v1/accounts", {**asked, "sort": "mrr_at_risk", "limit": 10})
    except Fault as fault:
        print(fault, file=sys.stderr)
        return 1
    old = ": these data are old" if found["stale"] else ""
    print(f"{found['total']} accounts as of {found['as_of'][:10]}{old}")
    print("\n".join(table(found["accounts"], given.target)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
