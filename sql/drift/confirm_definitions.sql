-- Versions that a document has confirmed.
update public.field_definitions_dimension
set last_seen_at = %(seen_at)s, build_time = %(build_time)s, location_code = %(location_code)s
where field_definition_id = any(%(ids)s);
