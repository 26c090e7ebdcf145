-- What is loaded, and the newest run that loaded something of it; no row while nothing is loaded.
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
)

select
    loaded.reports,
    loaded.locations,
    loaded.first_day,
    loaded.last_day,
    run.run_id,
    run.source,
    run.started_at,
    run.program_version
from loaded
cross join event
inner join ops.run as run on event.run_id = run.run_id;
