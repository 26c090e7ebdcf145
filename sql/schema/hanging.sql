-- The views and functions of other people that depend on some objects of ours, each with the statement that makes it.
-- The statement is on one line, except where the text of a function may hold comments.
with recursive ours as (
    select
        'pg_class'::regclass::oid as class,
        to_regclass(substr(unnest.described, 6))::oid as object
    from unnest(%(objects)s::text[]) as unnest (described)
    where starts_with(unnest.described, 'view ')
    union all
    select
        'pg_proc'::regclass::oid,
        to_regprocedure(substr(unnest.described, 10))::oid
    from unnest(%(objects)s::text[]) as unnest (described)
    where starts_with(unnest.described, 'function ')
),

hanging as (
    select
        ours.class,
        ours.object
    from ours
    union
    select
        case when rule.oid is null then depend.classid else 'pg_class'::regclass::oid end,
        coalesce(rule.ev_class, depend.objid)
    from hanging
    inner join pg_depend as depend on hanging.class = depend.refclassid and hanging.object = depend.refobjid
    left join pg_rewrite as rule on depend.objid = rule.oid and depend.classid = 'pg_rewrite'::regclass
    where depend.deptype in ('n', 'a', 'i')
)

select
    pg_describe_object(hanging.class, hanging.object, 0) as name,
    case
        when class.relkind = 'v' then format('create view %%s as %%s', class.oid::regclass, body.text)
        when class.relkind = 'm' then format('create materialized view %%s as %%s', class.oid::regclass, body.text)
        when proc.prosqlbody is not null then replace(pg_get_functiondef(proc.oid), chr(10), ' ') || ';'
        else pg_get_functiondef(proc.oid) || ';'
    end as statement
from hanging
left join pg_class as class
    on hanging.object = class.oid and hanging.class = 'pg_class'::regclass and class.relkind in ('v', 'm')
left join pg_proc as proc on hanging.object = proc.oid and hanging.class = 'pg_proc'::regclass
cross join lateral replace(pg_get_viewdef(class.oid), chr(10), ' ') as body (text)
where
    (class.oid is not null or proc.oid is not null)
    and (hanging.class, hanging.object) not in (select ours.* from ours)
order by hanging.object;
