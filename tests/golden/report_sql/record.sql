-- What became of each told account, looked up day by day. Needs days.sql's tables and `told`
-- (as_of date, account_id, segment, chance, tier, mrr, counted): the scores as the store's file has them.

create or replace table ends as
select account_id, day, lost, neutral from stops
where (back is null or back - day >= getvariable('grace_days')) and day < getvariable('as_of');

create or replace table known as
select t.*, e.day as left_on, coalesce(e.day is not null, false) as came
from told t
left join lateral (select day, neutral from ends x where x.account_id = t.account_id and x.day > t.as_of
    and x.day <= t.as_of + 104 order by day limit 1) e on true
where t.counted and t.chance is not null
and (e.day is null or (e.day > t.as_of + 14 and not e.neutral));

create or replace table ranked as
select *, row_number() over (partition by as_of order by chance desc, mrr desc, account_id) as place,
    count(*) over (partition by as_of) as book_size
from known;

create or replace table books as
select as_of, count(*) as accounts, sum(chance) as expected_accounts, count(*) filter (where came) as came_accounts,
    sum(chance * mrr) as expected_mrr, coalesce(sum(mrr) filter (where came), 0) as came_mrr,
    max(greatest(1, round_even(0.1 * book_size, 0))) as handled,
    count(*) filter (where came and place <= greatest(1, round_even(0.1 * book_size, 0))) as hits,
    count(*) filter (where tier in ('high', 'critical')) as flagged,
    count(*) filter (where came and tier in ('high', 'critical')) as flagged_came,
    coalesce(sum(mrr) filter (where came and tier in ('high', 'critical')), 0) as flagged_mrr,
    median(left_on - as_of) filter (where came and tier in ('high', 'critical')) as lead_days
from ranked group by as_of order by as_of;

-- Each churn once: what the books said whose window held its day.
create or replace table seen as
select e.account_id, e.day, e.lost, b.as_of, t.chance, t.tier,
    (select avg(m.chance) from told m where m.counted and m.as_of = b.as_of) as mean
from ends e
join (select distinct as_of from told where counted) b on e.day > b.as_of + 14 and e.day <= b.as_of + 104
left join told t on t.counted and t.as_of = b.as_of and t.account_id = e.account_id
where not e.neutral and exists (select 1 from paid p where p.account_id = e.account_id and p.day = b.as_of and p.mrr > 0);

create or replace table causes as
select account_id, any_value(day) as day, any_value(lost) as lost, case
    when bool_or(coalesce(tier in ('high', 'critical'), false)) then 'flagged'
    when arg_max(chance, as_of) is null or max(as_of) filter (where chance is null) = max(as_of) then 'no_data'
    when arg_max(tier, as_of) = 'low' and arg_max(chance, as_of) <= arg_max(mean, as_of) then 'no_signal'
    else 'below_threshold' end as cause
from seen group by account_id;
