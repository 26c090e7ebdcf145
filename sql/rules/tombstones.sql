-- Every tombstone with the time in which it held, since a replay passes over the same reports as the loads did.
select
    tombstone.tombstone_id,
    tombstone.location_id,
    location.location_code as location,
    tombstone.report_date as day,
    tombstone.reason,
    tombstone.created_at as since,
    tombstone.undone_at as until
from ops.tombstone as tombstone
inner join public.location_dimension as location using (location_id)
order by tombstone.tombstone_id;
