-- Records the changes that one document shows, and returns their numbers. A change of shape that is recorded and has
-- not ended gets no second row: its row says when a run saw it last, and which locations have shown it.
with shown as (
    select change.*
    from
        jsonb_to_recordset(%(changes)s::jsonb)
            as change (signal text, change text, path text, before text, after text, breaking boolean)
),

again as (
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
    from shown
    where
        drift.signal = 'shape'
        and drift.ended_at is null
        and drift.endpoint_kind = %(endpoint_kind)s
        and (drift.signal, drift.change, drift.path) = (shown.signal, shown.change, shown.path)
        and drift.after is not distinct from shown.after
    returning drift.drift_id, drift.signal, drift.change, drift.path, drift.after
),

added as (
    insert into ops.drift (
        endpoint_kind, signal, change, path, before, after, severity, locations, last_location, build_time,
        first_seen_at, first_run_id, last_seen_at, last_run_id
    )
    select
        %(endpoint_kind)s,
        shown.signal,
        shown.change,
        shown.path,
        shown.before,
        shown.after,
        case when shown.breaking then 'breaking' else 'notice' end,
        case when shown.signal = 'shape' then array[%(location_code)s] else array[]::text[] end,
        %(location_code)s,
        %(build_time)s::timestamptz,
        clock_timestamp(),
        %(run_id)s,
        clock_timestamp(),
        %(run_id)s
    from shown
    left join again
        on
            (shown.signal, shown.change, shown.path) = (again.signal, again.change, again.path)
            and shown.after is not distinct from again.after
    where again.drift_id is null
    returning drift_id
)

select drift_id from again
union all
select drift_id from added;
