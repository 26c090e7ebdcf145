-- What is loaded and since when, and the newest run that loaded something of it; no row while nothing is loaded.
with loaded as (
    select
        count(*) as reports,
        count(distinct location_id) as locations,
        min(report_date) as first_day,
        max(report_date) as last_day
    from cases_dimension
    having count(*) > 0
),

event as (
    select run_id
    from ops.document_load
    where outcome = 'loaded'
    order by document_load_id desc
    limit 1
),

first_load as (
    select min(known_at) as known_at
    from ops.document_load
    where outcome = 'loaded'
)

select
    loaded.reports,
    loaded.locations,
    loaded.first_day,
    loaded.last_day,
    run.run_id,
    run.source,
    run.started_at,
    run.program_version,
    first_load.known_at as first_loaded_at
from loaded
cross join event
cross join first_load
inner join ops.run as run on event.run_id = run.run_id;
