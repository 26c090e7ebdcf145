-- Holds no more for loads known from now on.
update ops.tombstone
set
    undone_at = greatest(
        clock_timestamp(), created_at + interval '1 microsecond',
        (select max(known_at) + interval '1 microsecond' from ops.document_load)
    )
where tombstone_id = %(tombstone_id)s and undone_at is null
returning tombstone_id;
