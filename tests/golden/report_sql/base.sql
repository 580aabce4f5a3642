-- The base counted row by row from the raw tables: no day numbers, no cells, no ledger.
create macro as_of() as cast(getvariable('as_of') as timestamp);
create view human as
select * from raw_events
where not is_automated and occurred_at <= as_of() and coalesce(known_at, occurred_at) <= as_of();

create view subscribed as
select *, case when coalesce(end_known_at, ended_at) <= as_of() then ended_at end as over_at
from raw_subscriptions where started_at <= as_of();
create macro paying(moment) as table
select account_id, sum(seats) as seats from subscribed
where started_at <= moment and (over_at is null or over_at > moment) group by account_id having sum(mrr) > 0;

create macro used(moment) as table
select h.* from human h where h.occurred_at > moment - interval 28 day and h.occurred_at <= moment
and h.account_id in (select account_id from paying(moment));

create macro four_weeks(moment) as table
select (select count(*) from paying(moment)) as accounts,
    (select count(distinct account_id) from used(moment)) as active,
    (select count(distinct account_id) from used(moment) where stage = 'complete') as completing,
    (select count(distinct (account_id, user_id)) from used(moment) where user_id is not null) as people,
    (select count(distinct (u.account_id, u.user_id)) from used(moment) u join paying(moment) p using (account_id)
        where u.user_id is not null and p.seats is not null) as seated,
    (select count(*) from used(moment)) as events,
    (select cast(sum(seats) as bigint) from paying(moment)) as seats,
    (select count(distinct (account_id, session_id)) from used(moment) where session_id is not null) as visits;

create view lately as
select *, occurred_at > as_of() - interval 28 day as in_28 from human
where occurred_at > as_of() - interval 90 day and module <> ''
and account_id in (select account_id from paying(as_of()));
create view modules as
select module,
    count(distinct account_id) filter (where stage is not null) as viewed,
    count(distinct account_id) filter (where stage in ('start', 'complete')) as started,
    count(distinct account_id) filter (where stage = 'complete') as completed,
    count(distinct account_id) filter (where stage = 'complete' and in_28) as lately,
    count(*) as events
from lately group by module;

create view roles as
select *, case when coalesce(end_known_at, valid_to) <= as_of() then valid_to end as over_at
from raw_users where valid_from <= as_of() and account_id in (select account_id from paying(as_of()));
create view held as
select account_id, user_id, role, min(valid_from) as since from roles
where over_at is null or over_at > as_of() group by all;
create view key_users as
select r.role,
    (select count(*) from held h where h.role = r.role) as people,
    (select count(*) from held h where h.role = r.role and exists (from human e where
        e.account_id = h.account_id and e.user_id = h.user_id
        and e.occurred_at > as_of() - interval 28 day)) as active,
    (select count(distinct account_id) from held h where h.role = r.role) as accounts,
    (select count(distinct account_id) from roles g where g.role = r.role and g.over_at <= as_of()
        and g.over_at > as_of() - interval 90 day and not exists (
        from held h where h.account_id = g.account_id and h.user_id = g.user_id)) as "left",
    (select count(distinct account_id) from held h where h.role = r.role
        and h.since <= as_of() - interval 28 day and exists (from human e where
            e.account_id = h.account_id and e.user_id = h.user_id
            and e.occurred_at > as_of() - interval 84 day)
        and not exists (from human e where e.account_id = h.account_id and e.user_id = h.user_id
            and e.occurred_at > as_of() - interval 28 day)) as silent
from (values ('admin'), ('executive'), ('champion'), ('contact')) r(role);

create macro midnight(moment) as case when moment = date_trunc('day', moment) then moment
    else date_trunc('day', moment) + interval 1 day end;
create macro age(since, until) as date_diff('day', midnight(since), midnight(until));
create view by_milestones as
with reached as (select account_id, max(reached_at) as moment from raw_milestones group by account_id
    having count(*) = count(*) filter (where reached_at <= as_of()))
select cast(date_trunc('quarter', a.created_at) as date) as quarter, count(*) as accounts,
    count(*) filter (where age(a.created_at, r.moment) <= 30) as d30,
    count(*) filter (where age(a.created_at, r.moment) <= 60) as d60,
    count(*) filter (where age(a.created_at, r.moment) <= 90) as d90
from raw_accounts a left join reached r using (account_id)
where a.created_at <= as_of() and a.account_id in (select account_id from raw_milestones) group by quarter;
create view by_completed as
with firsts as (select account_id, min(occurred_at) as moment from human where stage = 'complete' group by all)
select cast(date_trunc('quarter', a.created_at) as date) as quarter, count(*) as accounts,
    count(*) filter (where age(a.created_at, f.moment) <= 30) as d30,
    count(*) filter (where age(a.created_at, f.moment) <= 60) as d60,
    count(*) filter (where age(a.created_at, f.moment) <= 90) as d90
from raw_accounts a left join firsts f using (account_id)
where a.created_at <= as_of()
and midnight(a.created_at) >= (select midnight(min(occurred_at)) from raw_events) group by quarter;

create macro nps(until) as table
with answers as (select *, row_number() over (
        partition by account_id, coalesce(user_id, cast(answered_at as varchar))
        order by answered_at desc, score) as back from raw_surveys
    where kind = 'nps' and answered_at <= until and answered_at > until - interval 90 day)
select count(*) as respondents, count(distinct account_id) as accounts,
    count(*) filter (where score > 8) as promoters, count(*) filter (where score < 7) as detractors
from answers where back = 1;

create macro referrals(until) as table
select count(*) as made, count(distinct account_id) as accounts,
    count(*) filter (where converted_at <= as_of()) as converted
from raw_referrals where referred_at <= until and referred_at > until - interval 365 day;

create view trials as
with begun as (select trial_started_at as moment, case when converted_at <= as_of() then converted_at end as paid
    from raw_accounts where created_at <= as_of() and trial_started_at <= as_of()
    and trial_started_at > as_of() - interval 365 day)
select count(*) as started, count(paid) as converted,
    median(date_diff('second', moment, paid)) / 86400 as median_days,
    count(*) filter (where paid is null and moment > as_of() - interval 30 day) as fresh from begun;
