"""Books and queries drawn at random, and what a page of them must be by a plain sort in Python."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from churnml.store.listing import BookQuery, Listed
from churnml.store.rows import AccountRow, ScoreRow, ScoringRun
from churnml.store.store import Store

DAY = datetime(2024, 1, 1)
# Ids that a language, a case or a space would put elsewhere than their letters' numbers do.
IDS = ["a", "A", "a-b", "ab", "a b", "a_c", "B", "ä", "z", "日", "10", "9", "é", "𝔸"]
TIERS = ["low", "medium", "high", "critical", "unknown"]
TARGETS = ["churn", "expansion"]
_number = itertools.count(1)

_score = st.fixed_dictionaries(
    {
        "probability": st.sampled_from([None, 0.0, 0.1, 0.1 + 1e-12, 0.3, 1 / 3, 1.0]),
        "change": st.sampled_from([None, -0.2, -1e-9, 0.0, 0.1]),
        "mrr": st.sampled_from([0.0, 1.0, 10.01, 99.99, 30.03, 1e7]),
        "tier": st.sampled_from(TIERS),
    }
)
_account = st.fixed_dictionaries(
    {
        "segment": st.sampled_from([None, "smb", "ent"]),
        "csm_id": st.sampled_from([None, "c1", "c2"]),
        "renews_at": st.sampled_from([None, *(DAY + timedelta(days=n) for n in range(4))]),
        "scores": st.dictionaries(
            st.tuples(st.sampled_from(TARGETS), st.sampled_from([30, 90])), _score, max_size=4
        ),
    }
)
books = st.dictionaries(st.sampled_from(IDS), _account, max_size=len(IDS))


def _some(values: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.just(()) | st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple)


def _query(target: str | None) -> st.SearchStrategy[BookQuery]:
    sorts = ["account_id"] + (["probability", "mrr_at_risk", "change"] if target else [])
    when = st.none() | st.sampled_from([DAY + timedelta(days=n) for n in range(4)])
    return st.builds(
        BookQuery,
        target=st.just(target),
        horizon_days=st.sampled_from([None, None, 30, 90]) if target else st.none(),
        tiers=_some(TIERS),
        segments=_some(["smb", "ent", "none\0such"]),
        csm_ids=_some(["c1", "c2", "c3"]),
        renews_from=when,
        renews_before=when,
        sort=st.sampled_from(sorts),
        descending=st.booleans(),
        limit=st.integers(1, 6),
    )


queries = st.sampled_from([None, *TARGETS, *TARGETS]).flatmap(_query)


def write(store: Store, book: dict[str, Any]) -> dict[str, Listed]:
    """Write a book that becomes the one that is shown, and return it by account."""
    number = next(_number)
    as_of = DAY + timedelta(days=number)
    found = {
        account_id: Listed(
            AccountRow(
                account_id, as_of, drawn["segment"], None, drawn["csm_id"], 5.0, "EUR", {"a": 1.0},
                {"b": 1}, drawn["renews_at"],
            ),
            tuple(
                ScoreRow(
                    account_id, as_of, target, horizon, 0, score["probability"], score["tier"], "ok",
                    [{"driver": "d"}], "call", score["mrr"], "EUR", "v1", as_of, {"low": 0.1}, {},
                    score["change"],
                )
                for (target, horizon), score in sorted(drawn["scores"].items())
            ),
        )
        for account_id, drawn in book.items()
    }  # fmt: skip
    run = ScoringRun(f"run-{number}", as_of, as_of, as_of, "champion", {})
    scores = [score for listed in found.values() for score in listed.scores]
    store.write_book(run, scores, [listed.account for listed in found.values()])
    return {
        id_: replace(listed, account=replace(listed.account, features={}, evidence={}))
        for id_, listed in found.items()
    }


def expected(book: dict[str, Listed], query: BookQuery) -> list[str]:
    """The ids that the query asks for, in its order."""
    rows = []
    for account_id, listed in book.items():
        account = listed.account
        asked = [score for score in listed.scores if score.target == query.target]
        if query.horizon_days is not None:
            asked = [score for score in asked if score.horizon_days == query.horizon_days]
        score = min(asked, key=lambda score: score.horizon_days) if asked else None
        tiers = {score.tier} if score else set()
        if query.target is None:
            tiers = {score.tier for score in listed.scores}
        renews = account.renews_at
        if (
            (query.target is None or score)
            and (not query.tiers or tiers & set(query.tiers))
            and (not query.segments or account.segment in query.segments)
            and (not query.csm_ids or account.csm_id in query.csm_ids)
            and (query.renews_from is None or (renews and renews >= query.renews_from))
            and (query.renews_before is None or (renews and renews < query.renews_before))
        ):
            rows.append((_value(score, query.sort), account_id))
    if query.sort == "account_id":
        return sorted((id_ for _, id_ in rows), reverse=query.descending)
    known = sorted((value, id_) for value, id_ in rows if value is not None)
    if query.descending:
        known.sort(key=lambda row: -row[0])  # a stable sort: equal ones stay in the order of id
    return [id_ for _, id_ in known] + sorted(id_ for value, id_ in rows if value is None)


def _value(score: ScoreRow | None, sort: str) -> float | None:
    if score is None:
        return None
    if sort == "mrr_at_risk":
        return None if score.probability is None else score.probability * round(score.mrr * 100)
    return score.change if sort == "change" else score.probability


def assert_pages_are_a_plain_sort(store: Store, drawn: dict[str, Any], query: BookQuery) -> None:
    """Walk all pages, while another book is written after the first, and compare."""
    book = write(store, drawn)
    rows: list[Listed] = []
    run = store.latest_run()
    after = None
    for number in itertools.count():
        page = store.page(replace(query, after=after))
        assert page is not None
        assert page.run == run
        assert len(page.rows) == query.limit or page.after is None
        rows += page.rows
        after = page.after
        if after is None:
            break
        if number == 0:
            write(store, {"zz": {"segment": None, "csm_id": None, "renews_at": None, "scores": {}}})
    ids = expected(book, query)
    assert [row.account.account_id for row in rows] == ids
    assert rows == [book[id_] for id_ in ids]
