-- The other sessions that hold locks, harmless modes aside, on relations whose qualified name matches a pattern.
select distinct
    format(
        'pid %%s of role %%s (%%s)%%s, to end it: select pg_terminate_backend(%%s)',
        activity.pid, activity.usename, activity.application_name,
        to_char(activity.xact_start, '" since "YYYY-MM-DD"T"HH24:MI:SS"Z"'), activity.pid
    ) as holder
from pg_locks as held
inner join pg_class as class on held.relation = class.oid
inner join pg_stat_activity as activity on held.pid = activity.pid
where
    activity.datname = current_database()
    and held.granted
    and held.pid <> pg_backend_pid()
    and held.mode <> all(%(harmless)s)
    and format('%%s.%%s', class.relnamespace::regnamespace, class.relname) ~ %(relations)s
order by holder;
