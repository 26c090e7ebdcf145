-- Stores a content if it is new, and returns its number. A known content gets its data hash if it was rejected before,
-- and its bytes if they were pruned; a known content that lacks neither is not written. Each value is bound once, since
-- the bytes are many.
with given as (
    select
        %(sha256)s as sha256,
        %(data_hash)s::text as data_hash,
        %(body)s as body,
        %(size_bytes)s as size_bytes
),

known as (
    select
        document.document_id,
        document.body is null or (document.data_hash is null and given.data_hash is not null) as lacks_something
    from ops.document inner join given using (sha256)
),

completed as (
    update ops.document
    set data_hash = coalesce(document.data_hash, given.data_hash), body = coalesce(document.body, given.body)
    from given
    cross join known
    where
        document.document_id = known.document_id
        and known.lacks_something
),

added as (
    insert into ops.document (sha256, data_hash, body, size_bytes)
    select *
    from given
    where not exists (select from known)
    returning document_id
)

select document_id from known
union all
select document_id from added;
