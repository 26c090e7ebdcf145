-- Every tombstone, with its times as text in UTC.
select
    tombstone.tombstone_id,
    location.location_code,
    tombstone.report_date::text as report_date,
    tombstone.reason,
    to_char(tombstone.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since,
    to_char(tombstone.undone_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as until
from ops.tombstone as tombstone
inner join public.location_dimension as location using (location_id)
order by tombstone.tombstone_id;
