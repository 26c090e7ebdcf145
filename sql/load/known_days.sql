-- For each document that is asked for: the days that the warehouse has of those it speaks of, packed, and the digests of
-- all reports of its location. A join by days would cost a rerun more than all else, and few documents need them.
select
    asked.address,
    (
        select string_agg(date_send(report.report_date), ''::bytea)
        from public.cases_dimension as report
        where
            report.location_id = asked.location_id
            and report.report_date between asked.first_day and asked.last_day
    ) as days,
    known.digests
from
    unnest(
        %(addresses)s::text[],
        %(location_ids)s::smallint[],
        %(first_days)s::date[],
        %(last_days)s::date[]
    ) as asked (address, location_id, first_day, last_day)
left join ops.report_digest as known using (location_id);
