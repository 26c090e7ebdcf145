-- One row for each document that is asked for: its known days, packed, which are the days of the request that the star
-- has; and the digests of all reports of its location. The days come from a scan for each document, since a join by days
-- would cost a rerun more than all else.
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
