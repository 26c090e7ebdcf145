-- The last runs, newest first, with their times as text in UTC.
select
    run_id,
    command,
    to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as started_at,
    to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ended_at,
    status,
    exit_code,
    source,
    first_day,
    last_day,
    locations
from ops.run
order by run_id desc
limit %(limit)s;
