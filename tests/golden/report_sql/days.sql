-- What each account paid on each day, looked up day by day in the raw subscriptions: no spans, no deltas.
-- Needs the views raw_subscriptions and the variables as_of and grace_days.

create or replace table days as
select cast(unnest(generate_series(date '2023-01-01', getvariable('as_of') - interval 1 day, interval 1 day)) as date) as day;

create or replace table in_force as
select d.day, s.account_id, s.product, s.end_reason, cast(round(s.mrr * 100) as bigint) as mrr,
    cast(round(s.list_mrr * 100) as bigint) as list_mrr, s.ended_at
from days d
join raw_subscriptions s on s.started_at <= d.day
where not exists (  -- a later row of the product took its place
    select 1 from raw_subscriptions n where n.account_id = s.account_id and n.product = s.product
    and n.started_at > s.started_at and n.started_at <= d.day)
and (s.ended_at is null or s.ended_at > d.day);

create or replace table levels as
select a.account_id, d.day, count(f.product) as n, coalesce(sum(f.mrr), 0) as mrr, coalesce(sum(f.list_mrr), 0) as list_mrr
from (select distinct account_id from raw_subscriptions) a cross join days d
left join in_force f on f.account_id = a.account_id and f.day = d.day
group by a.account_id, d.day;

-- A day without any row, in a gap shorter than the grace before paying again, pays what was paid before.
create or replace table paid as
select l.account_id, l.day,
    case when g.carried then (select p.mrr from levels p where p.account_id = l.account_id and p.day = g.last_day) else l.mrr end as mrr,
    case when g.carried then (select p.list_mrr from levels p where p.account_id = l.account_id and p.day = g.last_day) else l.list_mrr end as list_mrr
from levels l
left join (
    select z.account_id, z.day, b.last_day,
        coalesce(a.next_day - b.last_day - 1 < getvariable('grace_days')
            and (select q.mrr > 0 from levels q where q.account_id = z.account_id and q.day = a.next_day), false) as carried
    from levels z,
        lateral (select max(p.day) as last_day from levels p where p.account_id = z.account_id and p.day < z.day and p.n > 0) b,
        lateral (select min(q.day) as next_day from levels q where q.account_id = z.account_id and q.day > z.day and q.n > 0) a
    where z.n = 0 and b.last_day is not null
) g on g.account_id = l.account_id and g.day = l.day;

-- Days on which paying stopped for the grace or longer, or until now; neutral where every row that ended was.
create or replace table stops as
select p.account_id, p.day, y.mrr as lost,
    (select coalesce(bool_and(coalesce(f.end_reason, '') in ('merged', 'completed')), false) from in_force f
     where f.account_id = p.account_id and f.day = p.day - 1 and f.mrr > 0) as neutral,
    (select min(q.day) from paid q where q.account_id = p.account_id and q.day > p.day and q.mrr > 0) as back
from paid p join paid y on y.account_id = p.account_id and y.day = p.day - 1
where p.mrr = 0 and y.mrr > 0;

create or replace table moves as
with steps as (
    select p.account_id, p.day, p.mrr, coalesce(y.mrr, 0) as before, p.list_mrr, coalesce(y.list_mrr, 0) as list_before,
        exists (select 1 from paid e where e.account_id = p.account_id and e.day < p.day and e.mrr > 0) as paid_ever
    from paid p left join paid y on y.account_id = p.account_id and y.day = p.day - 1
)
select s.account_id, s.day, s.mrr - s.before as amount, s.before, s.mrr, s.list_before, s.list_mrr, case
    when s.before = 0 and not s.paid_ever then 'new'
    when s.before = 0 and exists (select 1 from stops t where t.account_id = s.account_id and t.back = s.day
        and s.day - t.day < getvariable('grace_days')) then 'expansion'
    when s.before = 0 then 'reactivation'
    when s.mrr = 0 and t.back - t.day < getvariable('grace_days') then 'contraction'
    when s.mrr = 0 and t.neutral then 'ended_otherwise'
    when s.mrr = 0 then 'churn'
    when s.list_mrr = s.list_before or s.mrr = s.before then 'term_change'
    when s.mrr > s.before then 'expansion'
    else 'contraction' end as kind
from steps s left join stops t on t.account_id = s.account_id and t.day = s.day
where s.mrr <> s.before or (s.mrr > 0 and s.list_mrr <> s.list_before);
