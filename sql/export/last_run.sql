-- The last run, of which the export shows the state (nulls where nothing was ever loaded), and the time of now.
select
    run.run_id,
    run.source,
    run.status,
    to_char(run.ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ended_at,
    to_char(clock.moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as exported_at
from (select now() as moment) as clock
left join ops.run as run on run.run_id = (select max(newest.run_id) from ops.run as newest);
