-- A change that is over.
update ops.drift
set ended_at = clock_timestamp()
where drift_id = %(drift_id)s;
