-- Closes what was rejected of a location on days of which more is known now.
update ops.document_load
set closed_at = clock_timestamp()
where
    outcome = 'rejected'
    and closed_at is null
    and location_id = %(location_id)s
    and first_day >= %(first_day)s
    and last_day <= %(last_day)s;
