-- How many days ago the last load went well, and how many days before now the newest report of the nation is.
select
    extract(epoch from clock_timestamp() - max(ended_at)) / 86400 as days_since_success,
    to_char(max(ended_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_success,
    (select max(report_date) from cases_dimension)::text as newest_day,
    (clock_timestamp() at time zone 'UTC')::date - (select max(report_date) from cases_dimension) as newest_day_age
from ops.run
where exit_code = 0;
