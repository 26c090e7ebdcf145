-- Versions that a document has confirmed.
update public.field_definitions_dimension
set last_seen_at = %(seen_at)s, build_time = %(build_time)s
where is_current and endpoint_kind = %(endpoint_kind)s;
