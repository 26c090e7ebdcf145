-- A change seen again: once for a run, and whenever another location shows it.
update ops.drift
set
    last_seen_at = case when last_run_id = %(run_id)s then last_seen_at else clock_timestamp() end,
    last_run_id = %(run_id)s,
    locations = case
        when %(location_code)s = any(locations) then locations
        else locations || %(location_code)s::text
    end,
    last_location = %(location_code)s,
    build_time = %(build_time)s
where drift_id = %(drift_id)s;
