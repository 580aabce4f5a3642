-- Written apart from the code under test: from `book` (a stored run as the file has it) and the raw
-- `subscriptions`. Variables: as_of, through, grace. The window is 14 days ahead and 90 long.
create table times as select getvariable('as_of') + interval 14 day as opens,
    getvariable('as_of') + interval 104 day as closes;
create table months as
    select cast(unnest(generate_series(date_trunc('month', opens), date_trunc('month', closes - interval 1 second),
        interval 1 month)) as timestamp) as month from times;
-- Every renewal inside the window: the next one, and on by period.
create table renewals as
    select distinct account_id, greatest(date_trunc('month', day_of), date_trunc('month', opens)) as month
    from (select b.account_id, b.renews_at + to_months(cast(coalesce(b.period, 1000) * step.n as integer)) as day_of
          from book b, (select unnest(range(0, 6)) as n) step where b.renews_at is not null), times
    where day_of <= closes;
create macro curve(day, c, by_30, by_60) as case
    when day <= 14 then 0 when day <= 44 then by_30 * (day - 14) / 30
    when day <= 74 then by_30 + (by_60 - by_30) * (day - 44) / 30
    when day <= 104 then by_60 + (c - by_60) * (day - 74) / 30 else c end;
-- At each renewal: what was left by the month's end (all of it at the last), less what was at the one before.
create table risks as
    select account_id, month, mrr, left_by - coalesce(lag(left_by) over (partition by account_id order by month), 0)
        as chance
    from (select r.account_id, r.month, b.mrr,
            case when r.month = max(r.month) over (partition by r.account_id) then b.chance
            else curve(date_diff('day', getvariable('as_of'), r.month + interval 1 month), b.chance, b.by_30, b.by_60)
            end as left_by
          from renewals r join book b using (account_id));
create table by_month as
    select m.month, count(r.account_id) as accounts, coalesce(sum(r.mrr), 0) as mrr,
        coalesce(sum(r.mrr * r.chance), 0) as expected
    from months m left join risks r using (month) group by m.month;
create table apart as
    select case when renews_at is null then 'unknown' else 'later' end as part, count(*) as accounts,
        sum(mrr) as mrr, sum(mrr * chance) as expected
    from book where account_id not in (select account_id from renewals) group by 1;
create table named as
    select account_id from (select account_id, mrr * chance as risk, sum(mrr * chance) over () as all_risk,
        sum(mrr * chance) over (order by mrr * chance desc, account_id) - mrr * chance as before from book)
    where before < 0.8 * all_risk order by risk desc, account_id limit 25;
-- Who left: the end of all rows, with no row that pays within the grace after it, for no neutral reason.
create table paying as
    select account_id, cast(started_at as timestamp) as a, cast(ended_at as timestamp) as z, end_reason
    from subscriptions where mrr > 0 and started_at <= getvariable('through');
create table gone as
    select e.account_id, e.z as day_of, bool_and(coalesce(e.end_reason in ('merged', 'completed'), false)) as neutral
    from paying e
    where e.z <= getvariable('through') and not exists (
        select 1 from paying p where p.account_id = e.account_id and p.a < e.z + to_days(getvariable('grace'))
        and coalesce(p.z, timestamp '9999-01-01') > e.z)
    group by e.account_id, e.z;
create table lost as
    select b.account_id, b.mrr, b.renews_at, min(g.day_of) as day_of
    from book b join gone g using (account_id), times
    where not g.neutral and g.day_of > opens and g.day_of <= closes group by all;
create table came as
    select 'quarter' as span, coalesce(sum(mrr) filter (where day_of <=
        least((select date_trunc('quarter', opens) + interval 3 month from times), (select closes from times))), 0)
        as came from lost
    union all select 'window', coalesce(sum(mrr), 0) from lost;
create table came_by_month as
    select m.month, coalesce(sum(l.mrr), 0) as came
    from months m left join lost l on date_trunc('month', l.day_of) = m.month
        and l.renews_at <= (select closes from times)
    group by m.month;
