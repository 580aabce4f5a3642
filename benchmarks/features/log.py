"""Make a company with a large event log, as Parquet files in order of time: quick, seeded, of any size.

Everything is a hash of a row's number, so the same arguments give the same rows on any machine. It
measures speed; nobody's behaviour is simulated here (that is `churnml simulate`)."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

START = date(2023, 1, 2)  # a Monday
WEEKS = 104
LATE_SHARE = 0.01
CALENDAR = f'every = "week"\nweekday = "monday"\nstart = {START + timedelta(days=7)}'

# u1 and u2 lie in [0, 1).
_EVENTS = """
with drawn as (
    select i,
        epoch_us(timestamp '{start}') + cast(i::hugeint * {span_us} // {events} as bigint) as at_us,
        (hash(i * 7 + 1) >> 11) / 9007199254740992.0 as u1,
        (hash(i * 7 + 2) >> 11) / 9007199254740992.0 as u2,
        hash(i * 7 + 3) % 1000 as kind,
        hash(i * 7 + 4) as spare,
        (hash(i * 7 + 5) % 10000)::bigint as late
    from range({first}, {last}) t(i)
), placed as (
    -- Large accounts do more, and in each some users do most.
    select *, cast(floor({accounts} * pow(u1, 1.4)) as bigint) as account from drawn
), whose as (
    select *, cast(floor((3 + hash(account * 31) % 35) * u2 * u2) as bigint) as member from placed
)
select 'a' || lpad(account::varchar, 6, '0') as account_id,
    make_timestamp(at_us) as occurred_at,
    case when kind < 120 then 'login' when kind < 560 then 'view_' || (spare % 12)
        when kind < 720 then 'start_' || (spare % 12) when kind < 930 then 'save_' || (spare % 12)
        else 'api_call' end as event,
    'a' || lpad(account::varchar, 6, '0') || '-u' || member as user_id,
    'module_' || cast(pow((spare >> 8) % 1000 / 1000.0, 2) * 18 as integer) as module,
    case when kind < 120 then null when kind < 560 then 'view' when kind < 720 then 'start'
        when kind < 930 then 'complete' end as stage,
    account || '-' || member || '-' || (at_us // 86400000000) || '-' || (spare >> 20) % 2
        as session_id,
    (spare >> 24) % 900000 / 1000.0 as duration_s,
    (spare >> 44) % 40 / 4.0 as quantity,
    kind >= 930 as is_automated,
    make_timestamp(at_us + case when late < {late} then (1 + late % 20)::bigint * 86400000000 else 0 end)
        as known_at
from whose
"""
_ACCOUNTS = """
select 'a' || lpad(i::varchar, 6, '0') as account_id, timestamp '{start}' - to_days(100 +
    (hash(i) % 700)::integer) as created_at,
    ['smb', 'mid', 'enterprise'][1 + (hash(i + 1) % 3)::integer] as segment,
    10 + hash(i + 2) % 2000 as employee_count
from range({accounts}) t(i)
"""
_USERS = """
select 'a' || lpad(i::varchar, 6, '0') || '-u' || u as user_id,
    'a' || lpad(i::varchar, 6, '0') as account_id,
    ['admin', 'executive', 'champion', 'contact'][u + 1] as role,
    timestamp '{start}' - to_days(90) as valid_from,
    case when hash(i, u) % 10 = 0 then timestamp '{start}' + to_days((hash(u, i) % 700)::integer) end
        as valid_to
from range({accounts}) t(i), range(3) s(u)
"""
_SUBSCRIPTIONS = """
select 'a' || lpad(i::varchar, 6, '0') as account_id, 'core' as product,
    timestamp '{start}' - to_days(90) + to_days(p * 250) as started_at,
    case when p < 2 then timestamp '{start}' - to_days(90) + to_days((p + 1) * 250) end as ended_at,
    100.0 + (hash(i, p) % 4) * 50 as mrr, 100.0 + (hash(i, p) % 4) * 50 as list_mrr,
    5 + hash(i) % 30 as seats, 12 as billing_months,
    timestamp '{start}' + to_days(275 + p * 250) as renews_at
from range({accounts}) t(i), range(3) s(p)
"""


def make(folder: Path, accounts: int, events: int) -> float:
    """Write the tables and a `churnml.toml` into a folder, unless they are there. Returns seconds."""
    done = folder / "churnml.toml"
    if done.is_file():
        return 0.0
    began = time.perf_counter()
    data = folder / "data"
    (data / "events").mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect()
    known = {"start": START, "accounts": accounts, "events": events,
             "span_us": WEEKS * 7 * 86_400_000_000, "late": int(LATE_SHARE * 10_000)}  # fmt: skip
    for name, sql in (
        ("accounts", _ACCOUNTS),
        ("users", _USERS),
        ("subscriptions", _SUBSCRIPTIONS),
    ):
        connection.execute(f"copy ({sql.format(**known)}) to '{data / name}.parquet'")
    parts = 24
    for part in range(parts):
        first, last = events * part // parts, events * (part + 1) // parts
        sql = _EVENTS.format(**known, first=first, last=last)
        connection.execute(f"copy ({sql}) to '{data}/events/part-{part:02d}.parquet'")
        print(f"\r  the log: {part + 1} of {parts} files", end="", flush=True)
    print()
    done.write_text(
        '[source]\npath = "data"\n[cohort]\nmin_age_days = 28\n'
        f"[calendar]\n{CALENDAR}\n[events.meaning]\nlogin = ['login']\n"
    )
    return time.perf_counter() - began
