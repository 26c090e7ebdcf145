-- Versions that the source does not publish any more.
update public.field_definitions_dimension
set is_current = false, last_seen_at = %(seen_at)s
where field_definition_id = any(%(ids)s);
