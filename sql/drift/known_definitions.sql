-- What the source was last seen to say of the fields of one kind of endpoint.
select
    field_definition_id,
    name,
    path,
    deprecated,
    prior_names,
    feeds_column,
    build_time,
    location_code
from public.field_definitions_dimension
where is_current and endpoint_kind = %(endpoint_kind)s
order by field_definition_id;
