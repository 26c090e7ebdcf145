-- Each location with its first and last reporting day, its number of reports, and its gaps. A gap is its first and its
-- last missing day.
with reported as (
    select
        location_id,
        report_date,
        lag(report_date) over (partition by location_id order by report_date) as day_before
    from public.cases_dimension
),

reports as (
    select
        location_id,
        jsonb_agg(
            jsonb_build_array(day_before + 1, report_date - 1) order by report_date
        ) filter (where report_date - day_before > 1) as gaps,
        min(report_date) as first_day,
        max(report_date) as last_day,
        count(*) as reports
    from reported
    group by location_id
)

select
    location.location_code as location,
    reports.first_day::text as first_day,
    reports.last_day::text as last_day,
    coalesce(reports.reports, 0) as reports,
    coalesce(reports.last_day - reports.first_day + 1 - reports.reports, 0) as missing_days,
    coalesce(reports.gaps, '[]'::jsonb) as gaps
from public.location_dimension as location
left join reports using (location_id)
order by location.location_id;
