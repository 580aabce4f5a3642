"""The contract as the billing system wrote it down. Owns the rows of the table subscriptions.

Reads how every week left the accounts; decides nothing but what a record adds: late entries, and
renewals that were signed some days late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churnml.simulate.arrow import days, numbers, texts
from churnml.simulate.history import History
from churnml.simulate.settings import Flags, Floats, Ints
from churnml.simulate.state import ADD_ONS, MONTH_STARTS, NEVER, PAYING, PROSPECT, REASONS, TIERS

PRODUCTS = ("core", *ADD_ONS)
CURRENCY = "USD"
TERMS_OF_CORE = ("seats", "tier", "seat_price", "discount", "term", "renew_month")
LATE_SHARE = 0.08  # changes that are entered days after they happened
SIGNED_LATE_SHARE = 0.015  # renewals that are signed days after the period ended
NO_REASON = -1


@dataclass
class _Rows:
    """Subscription rows, one entry each. Days are NEVER, reasons NO_REASON, seats and renewals -1
    where there are none."""

    account: Ints
    product: Ints
    started: Ints
    ended: Ints
    list_mrr: Floats
    discount: Floats
    seats: Ints
    term: Ints
    renews: Ints
    end_known: Ints
    reason: Ints
    known: Ints


def starts_of_lives(history: History) -> Ints:
    """Day on which each account began to pay (or came back) if it did so in the week, else NEVER.

    Shape (weeks, accounts).
    """
    status = history.of("status", first=True)
    begins = (status[:-1] != PAYING) & (status[1:] == PAYING)
    day = np.where(status[:-1] == PROSPECT, history.traits.signup_day, history.moved)
    return np.where(begins, day, NEVER)


def subscriptions_table(
    history: History, account_ids: pa.Array, rng: np.random.Generator
) -> pa.Table:
    """All rows, by account, product and start."""
    core = _core_rows(history, rng)
    parts = [core, *(_add_on_rows(history, product, rng) for product in range(len(ADD_ONS)))]
    rows = _Rows(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in _Rows.__dataclass_fields__
        )
    )
    order = np.lexsort((rows.started, rows.product, rows.account))
    list_mrr = np.round(rows.list_mrr, 2)
    columns = {
        "account_id": account_ids.take(pa.array(rows.account)),
        "started_at": days(rows.started),
        "ended_at": days(rows.ended, rows.ended < NEVER),
        "product": texts(rows.product, PRODUCTS),
        "mrr": numbers(np.round(list_mrr * (1 - rows.discount), 2)),
        "list_mrr": numbers(list_mrr),
        "currency": texts(np.zeros(len(order), dtype=np.int64), (CURRENCY,)),
        "seats": numbers(rows.seats, rows.seats >= 0),
        "billing_months": numbers(rows.term),
        "renews_at": days(rows.renews, rows.renews >= 0),
        "end_known_at": days(rows.end_known, rows.end_known < NEVER),
        "end_reason": texts(rows.reason, REASONS, rows.reason != NO_REASON),
        "known_at": days(rows.known, rows.known < NEVER),
    }
    return pa.table(columns).take(pa.array(order))


def _core_rows(history: History, rng: np.random.Generator) -> _Rows:
    """A row for every period and every change of terms of the base product."""
    before, traits, first_day = history.before, history.traits, history.settings.day(0)
    status = history.of("status", first=True)
    terms = {name: history.of(name, first=True) for name in TERMS_OF_CORE}
    moves = {name: values[1:] != values[:-1] for name, values in terms.items()}
    paid = status[:-1] == PAYING
    changes = paid & np.stack(list(moves.values())).any(axis=0)
    begins = starts_of_lives(history)

    # Entry 0 of the first axis is the period that week 0 finds running.
    opens = np.concatenate([(before.status == PAYING)[None], changes | (begins < NEVER)])
    period = MONTH_STARTS[before.renew_month - before.term] + traits.anchor
    period = np.clip(period, traits.signup_day, first_day - 1)
    day = np.concatenate([period[None], np.where(begins < NEVER, begins, history.moved)])
    account, week = np.nonzero(opens.T)
    started = day[week, account]

    last = np.append(account[1:] != account[:-1], True)
    next_week = np.where(last, status.shape[0] - 1, np.append(week[1:] - 1, 0))
    final, known, reason, shown = _ends(history, next_week, account)
    follows = ~last & ~shown
    successor = np.append(started[1:], 0)
    ended = np.where(shown, final, np.where(follows, successor, NEVER))

    value = {name: terms[name][week, account] for name in TERMS_OF_CORE}
    late, delay = _entered_late(history, moves, week, account, rng)
    row_known = np.where(late, started + delay, NEVER)
    # The row before a late one ended when the late one became known.
    ends_late = follows & np.append(late[1:], False)
    rows = _Rows(
        account=account,
        product=np.zeros_like(account),
        started=started,
        ended=ended,
        list_mrr=value["seats"] * value["seat_price"] * np.array(TIERS)[value["tier"]],
        discount=value["discount"],
        seats=value["seats"],
        term=value["term"],
        renews=MONTH_STARTS[value["renew_month"]] + traits.anchor[account],
        end_known=np.where(
            shown, known, np.where(ends_late, np.append(row_known[1:], NEVER), NEVER)
        ),
        reason=np.where(shown, reason, NO_REASON),
        known=row_known,
    )
    _sign_late(history, rows, moves, week, rng)
    return _with_past(history, rows, week == 0)


def _ends(history: History, at: Ints, account: Ints) -> tuple[Ints, Ints, Ints, Flags]:
    """(day, day known, reason, whether known) of the end that stands booked at the start of a week."""
    end = history.of("end_day", first=True)[at, account]
    known = history.of("end_known", first=True)[at, account]
    reason = history.of("end_reason", first=True)[at, account]
    return end, known, reason, (end < NEVER) & (known < history.settings.end_day)


def _entered_late(
    history: History,
    moves: dict[str, Flags],
    week: Ints,
    account: Ints,
    rng: np.random.Generator,
) -> tuple[Flags, Ints]:
    moved = np.concatenate([np.zeros((1, history.accounts), bool), moves["seats"] | moves["tier"]])
    delay = rng.integers(2, 6, len(week))
    in_time = history.settings.day(0) + 7 * week + delay < history.settings.end_day
    return (rng.random(len(week)) < LATE_SHARE) & moved[week, account] & in_time, delay


def _sign_late(
    history: History,
    rows: _Rows,
    moves: dict[str, Flags],
    week: Ints,
    rng: np.random.Generator,
) -> None:
    """Now and then a renewal begins days after the old period ended: a gap that is no churn."""
    renewed = np.concatenate([np.zeros((1, history.accounts), bool), moves["renew_month"]])
    held = history.of("add_on", first=True).sum(axis=1) > 0
    delay = rng.integers(3, 21, len(week))
    calm = renewed[week, rows.account] & ~held[week, rows.account] & (rows.known == NEVER)
    # Not where anything else would happen before the signature, or right after it.
    quiet = (rows.ended - rows.started > 26) & (rows.end_known - rows.started > 26)
    signed = rows.started + delay < history.settings.end_day
    rows.started += delay * (calm & quiet & signed & (rng.random(len(week)) < SIGNED_LATE_SHARE))


def _with_past(history: History, rows: _Rows, running: Flags) -> _Rows:
    """The years before the record, as one row per account up to the period that week 0 finds."""
    past = np.flatnonzero(running & (rows.started > history.traits.signup_day[rows.account]))
    taken = {name: getattr(rows, name)[past] for name in _Rows.__dataclass_fields__}
    taken["ended"] = taken["renews"] = taken["started"]
    taken["started"] = history.traits.signup_day[taken["account"]]
    nothing = np.full(len(past), NEVER)
    taken["end_known"] = taken["known"] = nothing
    taken["reason"] = np.full(len(past), NO_REASON)
    return _Rows(
        *(np.concatenate([taken[name], getattr(rows, name)]) for name in _Rows.__dataclass_fields__)
    )


def _add_on_rows(history: History, product: int, rng: np.random.Generator) -> _Rows:
    """A row for every time that an add-on was held, from its start to its end."""
    price = history.of("add_on", first=True)[:, product]
    paying = history.of("status", first=True) == PAYING
    held = paying & (price > 0)
    edge = np.zeros((1, history.accounts), dtype=np.bool_)
    starts = held & ~np.concatenate([edge, held[:-1]])
    stops = np.concatenate([held[:-1] & ~held[1:], held[-1:]])
    account, week = np.nonzero(starts.T)
    account_too, last_week = np.nonzero(stops.T)
    assert np.array_equal(account, account_too), "a spell that starts also stops"

    begins = np.concatenate([np.full((1, history.accounts), NEVER), starts_of_lives(history)])
    moved = np.concatenate([history.traits.signup_day[None], history.moved])
    started = np.where(begins < NEVER, begins, moved)[week, account]

    weeks = history.settings.weeks
    after = np.minimum(last_week + 1, weeks)
    dropped = (last_week < weeks) & paying[after, account]
    end, known, reason, shown = _ends(history, after, account)
    drop_day = history.moved[np.minimum(last_week, weeks - 1), account]
    delay = rng.integers(1, 5, len(account))
    late = (rng.random(len(account)) < LATE_SHARE) & (drop_day + delay < history.settings.end_day)
    told = rng.choice([REASONS.index(r) for r in ("budget", "product_fit", "price")], len(account))
    shown &= ~dropped
    return _Rows(
        account=account,
        product=np.full_like(account, product + 1),
        started=started,
        ended=np.where(dropped, drop_day, np.where(shown, end, NEVER)),
        list_mrr=price[week, account],
        discount=history.of("discount", first=True)[week, account],
        seats=np.full_like(account, -1),
        term=history.of("term", first=True)[week, account],
        renews=np.full_like(account, -1),
        end_known=np.where(dropped, drop_day + delay * late, np.where(shown, known, NEVER)),
        reason=np.where(dropped, told, np.where(shown, reason, NO_REASON)),
        known=np.full_like(account, NEVER),
    )
