-- How many values of each of some measures a load has taken away; etl/load/findings.py fills in the names.
select {counts}
from history.{revision} as old
where old.location_id = %(location_id)s and old.known_to = %(known_at)s;
