-- Stores a content if it is new, and returns its number. A known content that was rejected before gets its data hash.
with known as (
    update ops.document
    set data_hash = coalesce(%(data_hash)s, data_hash)
    where sha256 = %(sha256)s
    returning document_id
),

added as (
    insert into ops.document (sha256, data_hash, body, size_bytes)
    select
        %(sha256)s,
        %(data_hash)s,
        %(body)s,
        %(size_bytes)s
    where not exists (select from known)
    returning document_id
)

select document_id from known
union all
select document_id from added;
