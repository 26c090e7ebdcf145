-- The warehouse as a whole, in one row: the last load that went well and the newest report, each with its age in days;
-- sizes on disk in bytes; the number of applied files, the set of views as one, and the last file of tables.
-- A load goes well also if people were told of all that was rejected in it: the rejections have an alarm of their own.
-- A replay reads stored bytes, and so does not count as a load.
with newest as (
    select max(report_date) as day
    from public.cases_dimension
),

success as (
    select max(ended_at) as at
    from ops.run
    where (exit_code in (0, 4) or summary @> '{"exit_code": 5, "told": true}') and command = 'load'
),

size as (
    select
        sum(pg_total_relation_size(oid)) filter (where relnamespace = 'public'::regnamespace) as star,
        sum(pg_total_relation_size(oid)) filter (where relnamespace = 'history'::regnamespace) as history
    from pg_class
    where relkind = 'r'
),

applied as (
    select
        count(*) as files,
        max(file) filter (where file <> 'views') as version
    from ops.migration
)

select
    to_char(success.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_success,
    round(extract(epoch from clock_timestamp() - success.at) / 86400, 3)::double precision as days_since_success,
    newest.day::text as newest_day,
    (clock_timestamp() at time zone 'UTC')::date - newest.day as newest_day_age,
    pg_database_size(current_database()) as database_bytes,
    size.star::bigint as star_bytes,
    size.history::bigint as history_bytes,
    pg_total_relation_size('ops.document') as documents_bytes,
    applied.files as schema_files,
    applied.version as schema_version
from newest
cross join success
cross join size
cross join applied;
