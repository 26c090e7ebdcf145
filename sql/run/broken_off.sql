-- The trouble with the database before a load, in words, of which ops.alert could not remember that it was told: the last
-- load before it broke off; or the server was started since, and by the pauses of the last loads one is missing. An
-- embedded server, which listens to no address, is started for each run.
with load as (
    select
        run_id,
        started_at,
        coalesce(exit_code, 6) = 6 and not coalesce(summary ? 'told', false) as broke_off,
        started_at - lag(started_at) over (order by run_id) as pause
    from ops.run
    where command = 'load' and run_id < %(run_id)s
    order by run_id desc
    limit 10
)

select
    case when broke_off then 'run ' || run_id || ' broke off' else 'the database could not be reached' end
    || to_char(started_at at time zone 'UTC', '" (last run at "YYYY-MM-DD"T"HH24:MI:SS"Z)"')
from load
where
    load.run_id = (select max(earlier.run_id) from load as earlier)
    and (
        broke_off
        or (
            current_setting('listen_addresses') <> '' and pg_postmaster_start_time() > started_at
            and coalesce(clock_timestamp() - started_at > 1.5 * (select max(earlier.pause) from load as earlier), false)
        )
    );
