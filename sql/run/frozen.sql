-- The stale locations of a run that have been stale for two days: in each earlier run with the same days and locations
-- since the last one in which they were not, the first of which is as old as that. Runs that did not end by themselves,
-- or could not read the document, say nothing.
with stale as (
    select
        location,
        jsonb_build_array(jsonb_build_object('location', location)) as document
    from unnest(%(stale)s::text[]) as stale_location (location)
),

earlier as (
    select
        stale.location,
        run.started_at,
        run.summary -> 'stale' @> stale.document as is_stale
    from stale
    cross join ops.run as run
    where
        run.command = 'load'
        and run.status in ('ok', 'partial')
        and run.run_id < %(run_id)s
        and run.locations = %(locations)s
        and (run.first_day, run.last_day) = (%(first_day)s, %(last_day)s)
        and not run.summary -> 'failed' @> stale.document
),

last_moved as (
    select
        location,
        max(started_at) as at
    from earlier
    where not is_stale
    group by location
)

select earlier.location
from earlier
left join last_moved on earlier.location = last_moved.location
where earlier.is_stale and (last_moved.at is null or earlier.started_at > last_moved.at)
group by earlier.location
having min(earlier.started_at) < clock_timestamp() - interval '48 hours'
order by earlier.location;
