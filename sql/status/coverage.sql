-- First and last reporting day of each location, its reports, and the days between that have none.
select
    location.location_code,
    min(report.report_date)::text,
    max(report.report_date)::text,
    count(report.report_date),
    coalesce(max(report.report_date) - min(report.report_date) + 1 - count(report.report_date), 0)
from location_dimension as location
left join cases_dimension as report using (location_id)
group by location.location_id
order by location.location_id;
