-- Every change seen, those that wait for somebody first.
select
    drift_id,
    endpoint_kind,
    change,
    path,
    before,
    after,
    severity,
    to_char(first_seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as first_seen,
    to_char(last_seen_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as last_seen,
    first_run_id,
    to_char(acknowledged_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as acknowledged,
    to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as ended,
    case
        when acknowledged_at is not null then 'acknowledged'
        when ended_at is not null then 'over'
        else 'open'
    end as state
from ops.drift
order by acknowledged_at is not null or ended_at is not null, severity, drift_id;
