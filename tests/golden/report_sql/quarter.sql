-- The quarter from the stored scores and the days: views, one a number. Needs the table `scored` (older,
-- account_id, target, chance, mrr, driver, play: chance NULL where it was not judged) and those of days.sql.

create or replace view own_sizes as
select kind as target, count(*) as moves, abs(sum(amount)) as amount, sum(before) as mrr_before
from moves where kind in ('contraction', 'expansion') and mrr > 0 and before > 0
    and day >= getvariable('as_of') - interval 2 year
    and abs(list_mrr - list_before) >= 0.05 * list_before
group by kind;

create or replace view chances as
select c.older, c.account_id, c.mrr, c.chance as leaves, coalesce(k.chance, 0) as cuts, coalesce(g.chance, 0) as grows
from scored c
left join scored k on k.older = c.older and k.account_id = c.account_id and k.target = 'contraction'
left join scored g on g.older = c.older and g.account_id = c.account_id and g.target = 'expansion'
where c.target = 'churn' and c.chance is not null;

create or replace view expected as
select s.older, s.target, sum(s.chance * (1 - coalesce(c.leaves, 0))) as accounts,
    sum(s.chance * (1 - coalesce(c.leaves, 0)) * s.mrr) as mrr
from scored s left join chances c on c.older = s.older and c.account_id = s.account_id
where s.target <> 'churn' and s.chance is not null group by s.older, s.target;

create or replace view change_parts as
with pairs as (
    select coalesce(a.account_id, b.account_id) as account_id, b.leaves as p0, b.mrr as m0, a.leaves as p1, a.mrr as m1
    from (select * from chances where not older) a
    full join (select * from chances where older) b on b.account_id = a.account_id
)
select sum(coalesce(p1 * m1, 0)) as expected, sum(coalesce(p0 * m0, 0)) as expected_before,
    sum(case when p0 is null then p1 * m1 when p1 is null then -p0 * m0 else (m1 - m0) * (p0 + p1) / 2 end) as mix,
    sum(case when p0 is not null and p1 is not null then (p1 - p0) * (m0 + m1) / 2 else 0 end) as moved,
    count(*) filter (where p0 is null) as came, count(*) filter (where p1 is null) as gone,
    count(*) filter (where p0 is not null and p1 is not null) as stayed
from pairs;

-- Each account of the quarter's start, in each of the ways that it can go.
create or replace macro forecast(cut_share, grow_share) as table
with starts as (
    select p.account_id, p.mrr as start,
        (select n.mrr from paid n where n.account_id = p.account_id and n.day = getvariable('as_of') - interval 1 day) as now
    from paid p where p.day = getvariable('first') - interval 1 day and p.mrr > 0
    and not exists (select 1 from moves m where m.account_id = p.account_id and m.kind = 'ended_otherwise'
        and m.day >= getvariable('first'))
), told as (
    select s.*, coalesce(c.leaves, 0) as leaves, coalesce(c.cuts, 0) as cuts, coalesce(c.grows, 0) as grows,
        c.account_id is null and s.now > 0 as unscored
    from starts s left join chances c on c.account_id = s.account_id and not c.older
), ways as (
    select t.*, w.cut, w.grow,
        (1 - leaves) * (case when w.cut then cuts else 1 - cuts end) * (case when w.grow then grows else 1 - grows end) as chance
    from told t cross join (values (false, false), (true, false), (false, true), (true, true)) w(cut, grow)
)
select sum(start) / 4 as mrr, count(distinct account_id) as accounts,
    4 * sum(chance * (now - case when cut then now * cut_share else 0 end + case when grow then now * grow_share else 0 end)) / sum(start) as nrr,
    4 * sum(chance * least(start, now - case when cut then now * cut_share else 0 end)) / sum(start) as grr,
    count(*) filter (where unscored) / 4 as unscored_accounts, sum(case when unscored then now else 0 end) / 4 as unscored_mrr
from ways;
