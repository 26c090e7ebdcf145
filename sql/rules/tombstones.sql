-- Every tombstone with the time for which it held; a replay passes over what its load passed over.
select
    location_id,
    report_date,
    created_at,
    undone_at
from ops.tombstone
order by tombstone_id;
