-- Somebody has seen the change and takes it as it is.
update ops.drift
set acknowledged_at = coalesce(acknowledged_at, clock_timestamp())
where drift_id = %(drift_id)s;
