-- A figure of the star with the event that brought its row, and the document of that event. {table} stands for the table;
-- a kind of test has a row of its own.
select
    location.location_code as location,
    fact.report_date::text as date,
    to_jsonb(fact) ->> %(column_name)s as value,
    load.document_id,
    document.sha256,
    load.source,
    load.address,
    load.run_id,
    to_char(load.known_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as known_from,
    document.body is null as is_pruned
from public.{table} as fact
inner join public.location_dimension as location using (location_id)
inner join ops.document_load as load on fact.location_id = load.location_id and fact.known_from = load.known_at
inner join ops.document as document on load.document_id = document.document_id
where
    fact.location_id = %(location_id)s
    and fact.report_date = %(day)s
    and (to_jsonb(fact) ->> 'test_id')::integer is not distinct from %(test_id)s;
