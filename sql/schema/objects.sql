-- The views and functions in the schemas of sql/views, in the order in which they were made, as `drop` names them.
select made.described
from (
    select
        oid,
        'view ' || oid::regclass as described
    from pg_class
    where relkind = 'v' and relnamespace in (to_regnamespace('mart'), to_regnamespace('history'))
    union all
    select
        oid,
        'function ' || oid::regprocedure as described
    from pg_proc
    where prokind = 'f' and pronamespace in (to_regnamespace('mart'), to_regnamespace('history'))
) as made
order by made.oid;
