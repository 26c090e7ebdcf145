-- Changes of shape that last: what documents are expected to depart in.
select
    drift_id,
    endpoint_kind,
    change,
    path,
    after,
    locations,
    last_location,
    build_time,
    last_run_id,
    acknowledged_at is not null as is_acknowledged
from ops.drift
where signal = 'shape' and ended_at is null;
