-- For each document that is asked for: the days that the warehouse has of those it speaks of, each with the digest of its
-- report, packed. Zeros stand for the digest of a report that has none.
select
    asked.address,
    string_agg(
        date_send(report.report_date) || coalesce(digest.digest, decode(repeat('00', 16), 'hex')), ''::bytea
    ) as packed
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
left join
    ops.report_digest as digest
    on
        report.location_id = digest.location_id
        and report.report_date = digest.report_date
group by asked.address;
