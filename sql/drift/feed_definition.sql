-- The column that a known version feeds, where aliases have changed that.
update public.field_definitions_dimension
set feeds_column = %(feeds_column)s
where
    is_current
    and endpoint_kind = %(endpoint_kind)s
    and coalesce(path, name) = coalesce(%(path)s::text, %(name)s)
    and feeds_column is distinct from %(feeds_column)s::text;
