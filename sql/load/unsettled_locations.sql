-- The locations whose next document may end something: a rejected document, a finding, or a change of shape.
select location.location_code
from public.location_dimension as location
inner join ops.document_load as load using (location_id)
where load.outcome = 'rejected' and load.closed_at is null
union
select location.location_code
from public.location_dimension as location
inner join ops.finding as finding using (location_id)
where finding.ended_at is null
union
select drift.last_location as location_code
from ops.drift as drift
where drift.signal = 'shape' and drift.ended_at is null and drift.accepted_at is null;
