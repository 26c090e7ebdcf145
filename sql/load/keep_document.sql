-- Stores a content if it is new, and returns its number. A known content gets what it lacks: its data hash, if it was
-- rejected before, and its bytes, if they were pruned. One that lacks nothing is not written.
with known as (
    select
        document_id,
        body is null or (data_hash is null and %(data_hash)s::text is not null) as lacks_something
    from ops.document
    where sha256 = %(sha256)s
),

completed as (
    update ops.document
    set data_hash = coalesce(data_hash, %(data_hash)s), body = coalesce(body, %(body)s)
    where
        sha256 = %(sha256)s
        and (select lacks_something from known)
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
