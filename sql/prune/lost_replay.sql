-- The locations that can no longer be replayed, each with the time before which a replay would lose its revisions.
select
    location.location_code,
    to_char(max(load.known_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as revisions_before
from ops.document_load as load
inner join ops.document using (document_id)
inner join public.location_dimension as location using (location_id)
where load.outcome = 'loaded' and document.body is null
group by location.location_code
order by location.location_code;
