-- Holds for loads known from now on: after the last one, whatever the clock says.
insert into ops.tombstone (location_id, report_date, reason, created_at)
select
    %(location_id)s,
    %(report_date)s,
    %(reason)s,
    greatest(clock_timestamp(), max(known_at) + interval '1 microsecond')
from ops.document_load
returning tombstone_id;
