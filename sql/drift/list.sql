-- Every recorded change, the open ones first. accepted_for: the locations for which it is accepted, or all.
select
    drift.drift_id,
    drift.endpoint_kind,
    drift.locations,
    drift.signal,
    drift.change,
    drift.path,
    drift.before,
    drift.after,
    drift.severity,
    to_char(drift.first_seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as first_seen,
    to_char(drift.last_seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_seen,
    drift.first_run_id,
    to_char(drift.accepted_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as accepted,
    to_char(drift.ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ended,
    case
        when drift.accepted_at is not null then 'accepted'
        when drift.ended_at is not null then 'over'
        else 'open'
    end as status,
    alias.accepted_for
from ops.drift as drift
left join lateral (
    select array_agg(coalesce(location_code, 'all') order by location_code) as accepted_for
    from ops.alias
    where alias.drift_id = drift.drift_id and undone_at is null
) as alias on true
order by drift.accepted_at is not null or drift.ended_at is not null, drift.severity, drift.drift_id;
