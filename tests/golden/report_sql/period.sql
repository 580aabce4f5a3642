-- One period, [first, until): all that the report says of it, in one row.
with starts as (
    select account_id, mrr from paid where day = getvariable('first') - interval 1 day and mrr > 0
), ends as (
    select account_id, mrr from paid where day = getvariable('until') - interval 1 day and mrr > 0
), gone as (
    select m.account_id, bool_or(m.kind = 'churn') as churned, bool_or(m.kind = 'ended_otherwise') as otherwise
    from moves m where m.day >= getvariable('first') and m.day < getvariable('until') group by m.account_id
), told as (
    select s.mrr as start, coalesce(e.mrr, 0) as now, coalesce(g.churned, false) as churned, coalesce(g.otherwise, false) as otherwise
    from starts s left join ends e using (account_id) left join gone g using (account_id)
)
select
    (select coalesce(sum(mrr), 0) from starts) as start,
    (select coalesce(sum(mrr), 0) from ends) as "end",
    (select count(*) from told) as accounts,
    (select count(*) from told where churned) as churned_accounts,
    (select coalesce(sum(start), 0) from told where churned) as churned_mrr,
    (select sum(least(start, now)) / sum(start) from told where not otherwise
        having 2 * sum(start) >= (select sum(start) from told)) as grr,
    (select sum(now) / sum(start) from told where not otherwise
        having 2 * sum(start) >= (select sum(start) from told)) as nrr,
    (select count(*) from moves m join stops t using (account_id, day) where m.kind = 'churn' and t.back is null
        and m.day >= getvariable('first') and m.day < getvariable('until')
        and m.day > getvariable('as_of') - getvariable('grace_days')) as grace_accounts,
    (select coalesce(sum(t.lost), 0) from moves m join stops t using (account_id, day) where m.kind = 'churn' and t.back is null
        and m.day >= getvariable('first') and m.day < getvariable('until')
        and m.day > getvariable('as_of') - getvariable('grace_days')) as grace_mrr
