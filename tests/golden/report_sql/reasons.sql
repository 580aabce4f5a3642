-- Why MRR churned within [first, until): all of it by reason, and the accounts by where most of theirs went.
with lost as (
    select m.account_id, m.day, f.end_reason as reason, sum(f.mrr) as mrr
    from moves m join in_force f on f.account_id = m.account_id and f.day = m.day - 1 and f.mrr > 0
    where m.kind = 'churn' and m.day >= getvariable('first') and m.day < getvariable('until')
    group by m.account_id, m.day, f.end_reason
)
select reason, sum(mrr) as mrr,
    count(*) filter (where mrr = (select max(o.mrr) from lost o where o.account_id = l.account_id and o.day = l.day)) as accounts
from lost l group by reason
