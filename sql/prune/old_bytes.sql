-- Drops the bytes of documents that became known more than a number of days ago. These stay: for each address the last
-- document that spoke of most days, rejected documents that are open, and documents with field definitions that hold.
with latest as (
    select distinct on (address) document_id
    from ops.document_load
    where outcome = 'loaded'
    order by address asc, last_day - first_day desc, document_load_id desc
),

recent as (
    select document_id
    from ops.document_load
    where known_at >= clock_timestamp() - make_interval(days => %(days)s)
),

needed as (
    select document_id
    from ops.document_load
    where outcome = 'rejected' and closed_at is null
    union all
    select document_id
    from public.field_definitions_dimension
    where is_current
)

update ops.document
set body = null
where
    body is not null
    and document_id not in (select document_id from latest)
    and document_id not in (select document_id from recent)
    and document_id not in (select document_id from needed)
returning size_bytes;
