-- Each quarter's first payers at the end of each quarter since, or yesterday where that quarter is not over.
with firsts as (
    select p.account_id, p.day, p.mrr from paid p
    where p.mrr > 0 and not exists (select 1 from paid e where e.account_id = p.account_id and e.day < p.day and e.mrr > 0)
), looks as (
    select distinct date_trunc('quarter', day) as quarter from days
), cells as (
    select date_trunc('quarter', f.day) as cohort, q.quarter, f.account_id, f.mrr as first_mrr,
        (select p.mrr from paid p where p.account_id = f.account_id
            and p.day = least(q.quarter + interval 3 month, getvariable('as_of')) - interval 1 day) as mrr,
        (select m.kind from moves m where m.account_id = f.account_id and m.kind in ('churn', 'ended_otherwise')
            and m.day < least(q.quarter + interval 3 month, getvariable('as_of')) order by m.day desc limit 1) as how
    from firsts f join looks q on q.quarter >= date_trunc('quarter', f.day)
)
select cast(cohort as date) as cohort, (year(quarter) - year(cohort)) * 4 + quarter(quarter) - quarter(cohort) as quarters,
    count(*) as accounts, count(*) filter (where mrr > 0) as kept, sum(first_mrr) as mrr, sum(mrr) as kept_mrr
from cells where mrr > 0 or how is distinct from 'ended_otherwise'
group by all order by all
