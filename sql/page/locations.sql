-- The loaded locations, the nation first: the totals of their newest report, and their curves as JSON arrays from the
-- first to the last report; a day without a report is null. A count of new things has its 7-day mean beside it; a level
-- has no mean.
with span as (
    select
        location_code,
        min(report_date) as first_day,
        max(report_date) as last_day
    from mart.daily_summary
    group by location_code
),

day as (
    select
        span.location_code,
        calendar.day::date as report_date
    from span
    cross join lateral generate_series(span.first_day, span.last_day, interval '1 day') as calendar (day)
),

curve as (
    select
        day.location_code,
        json_agg(rolling.new_cases order by day.report_date) as new_cases,
        json_agg(trim_scale(rolling.new_cases_7d_mean) order by day.report_date) as new_cases_7d_mean,
        json_agg(rolling.new_tests order by day.report_date) as new_tests,
        json_agg(trim_scale(rolling.new_tests_7d_mean) order by day.report_date) as new_tests_7d_mean,
        json_agg(rolling.currently_hospitalized order by day.report_date) as currently_hospitalized,
        json_agg(rolling.currently_in_icu order by day.report_date) as currently_in_icu,
        json_agg(rolling.currently_on_ventilator order by day.report_date) as currently_on_ventilator,
        json_agg(rolling.new_deaths order by day.report_date) as new_deaths,
        json_agg(trim_scale(rolling.new_deaths_7d_mean) order by day.report_date) as new_deaths_7d_mean
    from day
    left join mart.rolling_7d as rolling
        on day.location_code = rolling.location_code and day.report_date = rolling.report_date
    group by day.location_code
)

select
    newest.location_code as code,
    newest.name,
    newest.population,
    span.first_day,
    span.last_day,
    newest.total_cases,
    newest.total_deaths,
    newest.data_quality_grade as grade,
    curve.new_cases,
    curve.new_cases_7d_mean,
    curve.new_tests,
    curve.new_tests_7d_mean,
    curve.currently_hospitalized,
    curve.currently_in_icu,
    curve.currently_on_ventilator,
    curve.new_deaths,
    curve.new_deaths_7d_mean
from span
inner join mart.daily_summary as newest
    on span.location_code = newest.location_code and span.last_day = newest.report_date
inner join curve on span.location_code = curve.location_code
order by newest.location_type <> 'nation', newest.name;
