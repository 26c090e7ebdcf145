-- How many of the days of a document are known, and how many of these it is silent about.
select
    count(*) as known_days,
    count(*) filter (where staged.report_date is null) as missing_days
from public.cases_dimension as known
left join {stage} as staged on known.report_date = staged.report_date
where
    known.location_id = %(location_id)s
    and known.report_date between %(first_day)s and %(last_day)s
    and known.report_date <> all(%(skipped_days)s::date[]);
