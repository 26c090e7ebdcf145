-- The grants on some views and functions, each as the statement that makes it again.
with object as (
    select
        unnest.described,
        to_regclass(substr(unnest.described, 6)) as view,
        null::regprocedure as function
    from unnest(%(objects)s::text[]) as unnest (described)
    where starts_with(unnest.described, 'view ')
    union all
    select
        unnest.described,
        null,
        to_regprocedure(substr(unnest.described, 10))
    from unnest(%(objects)s::text[]) as unnest (described)
    where starts_with(unnest.described, 'function ')
)

select
    object.described,
    format(
        'grant %%s on %%s to %%s%%s',
        access.privilege_type,
        coalesce(object.view::text, object.described),
        case access.grantee when 0 then 'public' else access.grantee::regrole::text end,
        case when access.is_grantable then ' with grant option' else '' end
    ) as statement
from object
left join pg_class as class on object.view = class.oid
left join pg_proc as proc on object.function = proc.oid
cross join lateral aclexplode(coalesce(class.relacl, proc.proacl)) as access
where access.grantee <> coalesce(class.relowner, proc.proowner);
