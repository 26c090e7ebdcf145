-- First and last reporting day of each location, its reports, and the days between that have none.
select
    location.location_code,
    min(report.report_date)::text as first_day,
    max(report.report_date)::text as last_day,
    count(report.report_date) as reports,
    coalesce(max(report.report_date) - min(report.report_date) + 1 - count(report.report_date), 0) as missing_days
from location_dimension as location
left join cases_dimension as report using (location_id)
group by location.location_id
order by location.location_id;
