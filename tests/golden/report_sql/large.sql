-- What all accounts pay on one day, and who pays, looked up in the raw subscriptions without a calendar of days,
-- so that it counts 10,000 accounts too. Needs the view raw_subscriptions and the variables as_of and grace_days.

create or replace macro paid_on(moment) as table
with rows as (  -- a row ends where the next one of its product takes its place
    select account_id, cast(round(mrr * 100) as bigint) as mrr, started_at,
        least(coalesce(ended_at, timestamp '9999-01-01'), coalesce(lead(started_at) over (
            partition by account_id, product order by started_at), timestamp '9999-01-01')) as ended_at
    from raw_subscriptions where started_at <= getvariable('as_of')
), sums as (
    select account_id, count(*) filter (where started_at <= moment and ended_at > moment) as n,
        coalesce(sum(mrr) filter (where started_at <= moment and ended_at > moment), 0) as mrr,
        -- The last midnight in force before, and the first one after.
        cast(max(ended_at) filter (where ended_at <= moment) - interval 1 microsecond as date) as last_day,
        cast(min(started_at) filter (where started_at > moment) + interval 1 day - interval 1 microsecond as date) as next_day
    from rows group by account_id
)
select s.account_id, case when s.n > 0 then s.mrr
    -- A gap shorter than the grace pays what was paid before.
    when s.last_day is not null and s.next_day <= getvariable('as_of')
        and s.next_day - s.last_day - 1 < getvariable('grace_days')
        and (select sum(r.mrr) from rows r where r.account_id = s.account_id
            and r.started_at <= s.next_day and r.ended_at > s.next_day) > 0
        then (select sum(r.mrr) from rows r where r.account_id = s.account_id
            and r.started_at <= s.last_day and r.ended_at > s.last_day)
    else 0 end as mrr
from sums s;
