-- For each document that is asked for: the days that the warehouse has of those it speaks of, and the digests of their
-- reports, one after the other. A report without a digest is compared with its rows.
select
    asked.address,
    array_agg(report.report_date) as days,
    string_agg(digest.digest, ''::bytea) as digests
from
    unnest(
        %(addresses)s::text[],
        %(location_ids)s::smallint[],
        %(first_days)s::date[],
        %(last_days)s::date[]
    ) as asked (address, location_id, first_day, last_day)
inner join
    public.cases_dimension as report
    on
        asked.location_id = report.location_id
        and report.report_date between asked.first_day and asked.last_day
left join ops.report_digest as digest on report.location_id = digest.location_id and report.report_date = digest.report_date
group by asked.address;
