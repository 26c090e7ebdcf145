-- The loaded locations, the nation first, with their newest report.
select
    summary.location_code,
    summary.name,
    summary.location_type,
    summary.population,
    first_report.report_date as first_day,
    summary.report_date as last_day,
    summary.total_cases,
    summary.total_deaths,
    summary.data_quality_grade
from (
    select
        location_code,
        min(report_date) as report_date,
        max(report_date) as last_day
    from mart.daily_summary
    group by location_code
) as first_report
inner join mart.daily_summary as summary
    on first_report.location_code = summary.location_code and first_report.last_day = summary.report_date
order by summary.location_type <> 'nation', summary.name;
