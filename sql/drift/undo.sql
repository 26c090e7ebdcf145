-- Takes back that a change was accepted: its aliases end, and it is open again.
with aliases as (
    update ops.alias
    set undone_at = clock_timestamp()
    where drift_id = %(drift_id)s and undone_at is null
)

update ops.drift
set accepted_at = null
where drift_id = %(drift_id)s and accepted_at is not null
returning drift_id;
