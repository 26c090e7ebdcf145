-- For each document asked for: the last one loaded for any of its days that changed anything, or was this document
-- itself (which alone can make it unchanged), and of the last one loaded
-- from its own address the build time (which alone can make it stale), of its location the source.
select
    asked.address,
    latest.address as last_address,
    latest.source,
    latest.processing_key,
    latest.data_hash,
    latest.sha256,
    latest.document_load_id,
    latest.etag,
    latest.last_modified,
    latest.first_day <= asked.first_day and latest.last_day >= asked.last_day as covers,
    (
        select load.build_time
        from ops.document_load as load
        where load.location_id = asked.location_id and load.address = asked.address and load.outcome = 'loaded'
        order by load.document_load_id desc
        limit 1
    ) as own_build_time,
    (
        select load.source
        from ops.document_load as load
        where load.location_id = asked.location_id and load.outcome = 'loaded'
        order by load.document_load_id desc
        limit 1
    ) as location_source
from
    unnest(%(addresses)s::text[], %(location_ids)s::smallint[], %(first_days)s::date[], %(last_days)s::date[])
        as asked (address, location_id, first_day, last_day)
cross join lateral (
    select
        load.*,
        document.data_hash,
        document.sha256
    from ops.document_load as load
    inner join ops.document using (document_id)
    where
        load.location_id = asked.location_id
        and load.outcome = 'loaded'
        and load.first_day <= asked.last_day
        and load.last_day >= asked.first_day
        and (load.changed_rows > 0 or load.address = asked.address)
    order by load.document_load_id desc
    limit 1
) as latest;
