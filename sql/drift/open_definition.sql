-- A version that is new.
insert into public.field_definitions_dimension (
    endpoint_kind, name, path, deprecated, prior_names, feeds_column, first_seen_at, last_seen_at, build_time,
    location_code, document_id
)
values (
    %(endpoint_kind)s, %(name)s, %(path)s, %(deprecated)s, %(prior_names)s, %(feeds_column)s, %(seen_at)s, %(seen_at)s,
    %(build_time)s, %(location_code)s, %(document_id)s
);
