-- What stands behind each number of the newest book: by target the MRR that each row stands for, and how it is
-- shared out. Contraction and expansion are of those who stay, times {share}.
create or replace view weighed as
select own.*, own.mrr * own.chance * moves as weight, own.mrr * moves as moving, mean
from (
    select s.*, case when s.target = 'churn' then 1 else {share} * (1 - coalesce(c.chance, 0)) end as moves
    from scored s
    left join scored c on c.account_id = s.account_id and c.target = 'churn' and not c.older
    where not s.older
) own
join (select target, avg(chance) as mean from scored where not older group by target) using (target);

-- Above the book's mean, each driver that raises the score gets its part of the pull.
create or replace view behind_driver as
select w.target, r.driver as name, w.moving * (w.chance - w.mean) * r.pull / whole as part
from weighed w
join raised r on r.account_id = w.account_id and r.target = w.target and not r.older and r.pull > 0
join (
    select account_id, target, sum(pull) as whole from raised where not older and pull > 0 group by 1, 2
) p on p.account_id = w.account_id and p.target = w.target
where w.chance > w.mean;

create or replace view behind_play as
select target, play as name, weight as part from weighed where play not in ('leave_alone', 'get_data');
