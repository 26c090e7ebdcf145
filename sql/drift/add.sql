-- A change seen for the first time.
insert into ops.drift (
    endpoint_kind, signal, change, path, before, after, severity, locations, last_location, build_time,
    first_seen_at, first_run_id, last_seen_at, last_run_id
)
values (
    %(endpoint_kind)s, %(signal)s, %(change)s, %(path)s, %(before)s, %(after)s, %(severity)s, %(locations)s,
    %(location_code)s, %(build_time)s, clock_timestamp(), %(run_id)s, clock_timestamp(), %(run_id)s
)
returning drift_id;
