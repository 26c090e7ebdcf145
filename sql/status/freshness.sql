-- How many days ago the last load from the source went well (not of what is stored), and how many days before now the newest report is.
with newest as (
    select max(report_date) as day
    from cases_dimension
),

success as (
    select max(ended_at) as at
    from ops.run
    where exit_code = 0 and source <> 'stored'
)

select
    extract(epoch from clock_timestamp() - success.at) / 86400 as days_since_success,
    to_char(success.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_success,
    newest.day::text as newest_day,
    (clock_timestamp() at time zone 'UTC')::date - newest.day as newest_day_age
from newest
cross join success;
