-- The rejected documents that are open, and whether a later one was loaded for any of their days.
select
    load.document_load_id,
    load.document_id,
    load.source,
    load.address,
    load.location_id,
    load.first_day,
    load.last_day,
    load.reason,
    to_char(load.known_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as known_at,
    exists(
        select from ops.document_load as later
        where
            later.location_id = load.location_id
            and later.document_load_id > load.document_load_id
            and later.outcome = 'loaded'
            and later.first_day <= load.last_day
            and later.last_day >= load.first_day
    ) as is_overtaken,
    document.body is null as is_pruned,
    location.location_code
from ops.document_load as load
inner join ops.document using (document_id)
inner join public.location_dimension as location using (location_id)
where load.outcome = 'rejected' and load.closed_at is null
order by load.document_load_id;
