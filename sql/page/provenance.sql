-- The loaded reports, the time of the first load, and the newest run that loaded any; no row while nothing is loaded.
with loaded as (
    select
        count(*) as reports,
        min(report_date) as first_day,
        max(report_date) as last_day
    from public.cases_dimension
    having count(*) > 0
),

event as (
    select
        min(known_at) as first_loaded_at,
        (array_agg(run_id order by document_load_id desc))[1] as run_id
    from ops.document_load
    where outcome = 'loaded'
)

select
    loaded.reports,
    loaded.first_day,
    loaded.last_day,
    run.run_id,
    run.source,
    run.started_at,
    run.program_version,
    event.first_loaded_at
from loaded
cross join event
inner join ops.run as run on event.run_id = run.run_id;
