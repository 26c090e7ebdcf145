-- The session that holds the run lock, and whether its role may load: the owner of the schema and covid_loader may;
-- without a schema, everybody.
select
    activity.pid,
    activity.usename as role,
    activity.application_name as application,
    coalesce(pg_has_role(activity.usesysid, to_regrole('covid_loader')::oid, 'member'), false)
    or coalesce(pg_has_role(activity.usesysid, place.nspowner, 'member'), true) as may_load,
    clock_timestamp() as now
from pg_locks as held
inner join pg_stat_activity as activity on held.pid = activity.pid
left join pg_namespace as place on place.nspname = 'ops'
where
    held.locktype = 'advisory' and held.granted and held.objsubid = 1
    and (held.classid::bigint << 32 | held.objid::bigint) = %(lock)s
    and activity.datname = current_database();
