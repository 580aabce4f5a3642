-- What was done, from the store's own tables and the raw subscriptions.
create macro as_of() as cast(getvariable('as_of') as timestamp);
create view known as select * from actions where opened_at < as_of();
create view happened as select e.*, k.arm, k.opened_at from action_events e join known k using (action_id)
where e."at" < as_of() and k.arm = 'treated';
create view by_hand as select * from happened
where kind = 'closed' and detail not in ('left_book', 'occasion_passed', 'lapsed', 'observed');
create view first_taken as select action_id, any_value(opened_at) as opened_at, min("at") as "at"
from (select * from by_hand union all select * from happened where kind = 'judged') group by action_id;

create macro counts(since, until) as table
select (select count(*) from known where arm = 'treated' and opened_at >= since and opened_at < until) as opened,
    (select count(*) from first_taken where "at" >= since and "at" < until) as taken,
    (select count(*) from by_hand where "at" >= since and "at" < until) as done,
    (select count(*) from happened where kind = 'dismissed' and "at" >= since and "at" < until) as dismissed,
    (select count(distinct action_id) from happened where kind = 'escalated' and "at" >= since and "at" < until)
        as escalated,
    (select count(*) from happened where kind = 'recovered' and "at" >= since and "at" < until) as recovered;

create view plays as
select k.play,
    count(*) filter (where k.arm = 'treated') as opened,
    count(t.action_id) as taken,
    median(date_diff('second', t.opened_at, t."at")) / 86400 as median_days,
    count(*) filter (where exists (from happened h where h.action_id = k.action_id and h.kind = 'dismissed'))
        as dismissed,
    count(*) filter (where k.arm = 'treated' and (k.closed_at is null or k.closed_at >= as_of())) as open,
    count(*) filter (where k.arm = 'treated' and (k.closed_at is null or k.closed_at >= as_of())
        and k.due_at < as_of()) as overdue,
    count(distinct k.account_id) filter (where k.arm = 'held_out') as held_out
from known k left join first_taken t using (action_id)
where k.opened_at >= as_of() - interval 365 day group by k.play;

create view ended as
select account_id, max(case when coalesce(end_known_at, ended_at) <= as_of() then ended_at end) as ended_at
from raw_subscriptions where started_at <= as_of() group by account_id
having count(*) = count(*) filter (where coalesce(end_known_at, ended_at) <= as_of() and ended_at <= as_of());
create view first_drawn as
select * from known where propensity > 0 and propensity < 1 and target <> 'expansion'
qualify row_number() over (partition by account_id order by opened_at, play) = 1;
create view arms as
select f.arm, count(*) as accounts,
    count(*) filter (where e.ended_at > f.opened_at and e.ended_at <= f.opened_at + interval 90 day) as happened
from first_drawn f left join ended e using (account_id)
where f.opened_at <= as_of() - interval 120 day group by f.arm;
create view arms_recovered as
select arm, count(*) as accounts,
    count(*) filter (where recovery = 'recovered' and recovered_at < as_of()) as happened
from first_drawn where recover_by < as_of() group by arm;
