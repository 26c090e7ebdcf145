-- The curves of each location as JSON arrays, from its first to its last report; a day without a report is null.
-- What is counted anew each day has its mean behind it, the levels have none.
with span as (
    select
        location_code,
        min(report_date) as first_day,
        max(report_date) as last_day
    from mart.rolling_7d
    group by location_code
),

day as (
    select
        span.location_code,
        calendar.day::date as report_date
    from span
    cross join lateral generate_series(span.first_day, span.last_day, interval '1 day') as calendar (day)
)

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
order by day.location_code;
