-- For each document that is asked for, the last load that speaks of one of its days, and that changed rows or is of the
-- same address.
--
-- is_no_news: the load was of the same address, under the same rules, and of all days asked for; a document with the same
-- data then has no news.
-- own_build_time: the build time of the last load of the same address and source that was not built in the future; a
-- document that was built earlier is stale.
-- location_source: the source of the last load of the location.
select
    asked.address,
    latest.source,
    latest.data_hash,
    latest.sha256,
    latest.document_load_id,
    latest.etag,
    latest.last_modified,
    latest.address = asked.address
    and latest.processing_key = asked.processing_key
    and latest.first_day <= asked.first_day
    and latest.last_day >= asked.last_day as is_no_news,
    (
        select load.build_time
        from ops.document_load as load
        where
            load.location_id = asked.location_id
            and load.address = asked.address
            and load.source = asked.source
            and load.outcome = 'loaded'
            and load.build_time <= load.known_at
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
    unnest(
        %(addresses)s::text[],
        %(sources)s::text[],
        %(location_ids)s::smallint[],
        %(first_days)s::date[],
        %(last_days)s::date[],
        %(processing_keys)s::text[]
    ) as asked (address, source, location_id, first_day, last_day, processing_key)
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
