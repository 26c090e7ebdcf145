-- How many values the columns of one metric hold, of some locations; etl/load/drift_record.py fills in the names.
select {counts}
from public.{table}
inner join public.location_dimension using (location_id)
where location_dimension.location_code = any(%(locations)s::text[]) and {test};
