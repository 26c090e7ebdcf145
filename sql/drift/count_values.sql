-- How many values the columns of one metric hold, of the nation or of the states; etl/accept.py fills in the names.
select {counts}
from public.{table}
where (location_id = 0) = %(of_nation)s and {test};
