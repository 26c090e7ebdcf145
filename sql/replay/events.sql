-- The open events of some outcomes in their order, for some locations, or for all if location_ids is null. A rejected
-- document is overtaken if a later document was loaded for any of its days.
select
    load.document_load_id,
    load.run_id,
    load.document_id,
    load.source,
    load.address,
    load.location_id,
    location.location_code,
    load.first_day,
    load.last_day,
    load.known_at,
    load.build_time,
    load.processing_key,
    load.outcome,
    load.reason,
    document.body is null as is_pruned,
    load.outcome = 'rejected' and exists (
        select from ops.document_load as later
        where
            later.location_id = load.location_id
            and later.document_load_id > load.document_load_id
            and later.outcome = 'loaded'
            and later.first_day <= load.last_day
            and later.last_day >= load.first_day
    ) as is_overtaken
from ops.document_load as load
inner join ops.document using (document_id)
inner join public.location_dimension as location using (location_id)
where
    load.outcome = any(%(outcomes)s)
    and load.closed_at is null
    and (%(location_ids)s::smallint[] is null or load.location_id = any(%(location_ids)s::smallint[]))
order by load.document_load_id;
