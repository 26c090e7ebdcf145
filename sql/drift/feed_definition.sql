-- The column that a known version feeds, where aliases have changed that.
update public.field_definitions_dimension
set feeds_column = %(feeds_column)s
where field_definition_id = %(field_definition_id)s;
