-- Figures per day from the running totals, and their means over a week: as believed now, and as of an instant.

create view mart.new_per_day as
with
difference as (
    select
        location_code,
        name,
        location_type,
        report_date,
        population,
        -- The frame is the one day before: empty, and so null, where that day has no report.
        total_cases - first_value(total_cases) over day_before as new_cases,
        total_tests - first_value(total_tests) over day_before as new_tests,
        total_deaths - first_value(total_deaths) over day_before as new_deaths
    -- The function below puts another relation in this place, under the same name.
    from mart.daily_summary as summary -- noqa: aliasing.unused
    window day_before as (
        partition by location_code order by report_date
        range between interval '1 day' preceding and interval '1 day' preceding
    )
)

select
    location_code,
    name,
    location_type,
    report_date,
    population,
    new_cases,
    new_tests,
    new_deaths,
    new_cases < 0 as cases_fell,
    new_tests < 0 as tests_fell,
    new_deaths < 0 as deaths_fell
from difference;
comment on view mart.new_per_day is 'One row per report: the growth of the running totals since the calendar day before, by our own subtraction. Negative after corrections, and kept so; null where the day before has no report or no figure, as on the first day. Additive over days (to the total, less the first day''s) and over states; not the nation and its parts together.';
comment on column mart.new_per_day.location_code is 'Postal code; the nation is US.';
comment on column mart.new_per_day.name is 'Name of the location.';
comment on column mart.new_per_day.location_type is 'nation, state or territory: do not add up the nation and its parts.';
comment on column mart.new_per_day.report_date is 'Reporting day, as labelled by the source: when a figure was published, not when people fell ill, were tested or died.';
comment on column mart.new_per_day.population is 'Inhabitants.';
comment on column mart.new_per_day.new_cases is 'New cases, people: total_cases minus its value of the calendar day before. Additive. A backlog published at once shows as one high day.';
comment on column mart.new_per_day.new_tests is 'New test results: total_tests minus its value of the calendar day before. Additive over days; the unit differs between states (cases_dimension.total_tests_source), so over states with care.';
comment on column mart.new_per_day.new_deaths is 'New deaths, people: total_deaths minus its value of the calendar day before. Additive.';
comment on column mart.new_per_day.cases_fell is 'Whether new_cases is negative: a correction of earlier days. Null with new_cases.';
comment on column mart.new_per_day.tests_fell is 'Whether new_tests is negative: a correction, or a change of the unit. Null with new_tests.';
comment on column mart.new_per_day.deaths_fell is 'Whether new_deaths is negative: a correction of earlier days. Null with new_deaths.';

create view mart.rolling_7d as
with
report as (
    select
        location_code,
        report_date,
        per_day.name,
        per_day.location_type,
        per_day.population,
        per_day.new_cases,
        per_day.new_tests,
        per_day.new_deaths,
        summary.currently_hospitalized,
        summary.currently_in_icu,
        summary.currently_on_ventilator
    from mart.new_per_day as per_day
    inner join mart.daily_summary as summary using (location_code, report_date)
),

week as (
    select
        *,
        case when count(new_cases) over week = 7 then avg(new_cases) over week end as new_cases_mean,
        case when count(new_tests) over week = 7 then avg(new_tests) over week end as new_tests_mean,
        case when count(new_deaths) over week = 7 then avg(new_deaths) over week end as new_deaths_mean,
        case when count(currently_hospitalized) over week = 7 then avg(currently_hospitalized) over week end as hospitalized_mean,
        case when count(currently_in_icu) over week = 7 then avg(currently_in_icu) over week end as in_icu_mean,
        case when count(currently_on_ventilator) over week = 7 then avg(currently_on_ventilator) over week end as on_ventilator_mean
    from report
    window week as (
        partition by location_code order by report_date range between interval '6 days' preceding and current row
    )
)

select
    location_code,
    name,
    location_type,
    report_date,
    population,
    new_cases,
    round(new_cases_mean, 3) as new_cases_7d_mean,
    round(new_cases_mean * 100000 / population, 3) as new_cases_7d_mean_per_100k,
    new_tests,
    round(new_tests_mean, 3) as new_tests_7d_mean,
    round(new_tests_mean * 100000 / population, 3) as new_tests_7d_mean_per_100k,
    new_deaths,
    round(new_deaths_mean, 3) as new_deaths_7d_mean,
    round(new_deaths_mean * 100000 / population, 3) as new_deaths_7d_mean_per_100k,
    currently_hospitalized,
    round(hospitalized_mean, 3) as currently_hospitalized_7d_mean,
    round(hospitalized_mean * 100000 / population, 3) as currently_hospitalized_7d_mean_per_100k,
    currently_in_icu,
    round(in_icu_mean, 3) as currently_in_icu_7d_mean,
    round(in_icu_mean * 100000 / population, 3) as currently_in_icu_7d_mean_per_100k,
    currently_on_ventilator,
    round(on_ventilator_mean, 3) as currently_on_ventilator_7d_mean,
    round(on_ventilator_mean * 100000 / population, 3) as currently_on_ventilator_7d_mean_per_100k
from week;
comment on view mart.rolling_7d is 'One row per report: figures per day and their true 7-day means, also per 100,000 people. A mean is over the 7 calendar days that end on the day, and null unless all 7 are known. Not the source''s seven_day_average, which averages running totals. Means are not additive.';
comment on column mart.rolling_7d.location_code is 'Postal code; the nation is US.';
comment on column mart.rolling_7d.name is 'Name of the location.';
comment on column mart.rolling_7d.location_type is 'nation, state or territory: do not add up the nation and its parts.';
comment on column mart.rolling_7d.report_date is 'Reporting day, as labelled by the source; the last of the 7.';
comment on column mart.rolling_7d.population is 'Inhabitants.';
comment on column mart.rolling_7d.new_cases is 'New cases (people); additive, negative after corrections.';
comment on column mart.rolling_7d.new_cases_7d_mean is 'Mean of new_cases over the 7 calendar days that end on the day, people per day, to 3 decimals; null unless all 7 are known. Not additive over days.';
comment on column mart.rolling_7d.new_cases_7d_mean_per_100k is 'The mean before rounding, per 100,000 inhabitants, to 3 decimals. Not additive; for comparing locations.';
comment on column mart.rolling_7d.new_tests is 'New test results (the unit differs between states); additive, negative after corrections.';
comment on column mart.rolling_7d.new_tests_7d_mean is 'Mean of new_tests over the 7 calendar days that end on the day, tests per day, to 3 decimals; null unless all 7 are known. Not additive over days.';
comment on column mart.rolling_7d.new_tests_7d_mean_per_100k is 'The mean before rounding, per 100,000 inhabitants, to 3 decimals. Not additive; for comparing locations that count tests in the same unit.';
comment on column mart.rolling_7d.new_deaths is 'New deaths (people); additive, negative after corrections.';
comment on column mart.rolling_7d.new_deaths_7d_mean is 'Mean of new_deaths over the 7 calendar days that end on the day, people per day, to 3 decimals; null unless all 7 are known. Not additive over days.';
comment on column mart.rolling_7d.new_deaths_7d_mean_per_100k is 'The mean before rounding, per 100,000 inhabitants, to 3 decimals. Not additive; for comparing locations.';
comment on column mart.rolling_7d.currently_hospitalized is 'People in hospital on the day; additive over locations, not over days.';
comment on column mart.rolling_7d.currently_hospitalized_7d_mean is 'Mean of currently_hospitalized over the 7 calendar days that end on the day, people, to 3 decimals; null unless all 7 are known. Not additive over days.';
comment on column mart.rolling_7d.currently_hospitalized_7d_mean_per_100k is 'The mean before rounding, per 100,000 inhabitants, to 3 decimals. Not additive; for comparing locations.';
comment on column mart.rolling_7d.currently_in_icu is 'People in intensive care on the day; additive over locations, not over days.';
comment on column mart.rolling_7d.currently_in_icu_7d_mean is 'Mean of currently_in_icu over the 7 calendar days that end on the day, people, to 3 decimals; null unless all 7 are known. Not additive over days.';
comment on column mart.rolling_7d.currently_in_icu_7d_mean_per_100k is 'The mean before rounding, per 100,000 inhabitants, to 3 decimals. Not additive; for comparing locations.';
comment on column mart.rolling_7d.currently_on_ventilator is 'People on a ventilator on the day; additive over locations, not over days.';
comment on column mart.rolling_7d.currently_on_ventilator_7d_mean is 'Mean of currently_on_ventilator over the 7 calendar days that end on the day, people, to 3 decimals; null unless all 7 are known. Not additive over days.';
comment on column mart.rolling_7d.currently_on_ventilator_7d_mean_per_100k is 'The mean before rounding, per 100,000 inhabitants, to 3 decimals. Not additive; for comparing locations.';

-- The functions are made from the text of the views, so that these cannot differ. How many rows an as-of function returns is
-- unknown beforehand: a nested loop of two of them would ask the second one again for each row of the first.
do $$
declare
    shown text;
begin
    foreach shown in array array['new_per_day', 'rolling_7d'] loop
        execute format(
            'create function mart.%1$I(at timestamptz) returns setof mart.%2$I language sql stable set enable_nestloop = off'
            ' begin atomic %3$s end',
            shown || '_as_of', shown,
            regexp_replace(
                pg_get_viewdef(format('mart.%I', shown)::regclass),
                'mart[.](daily_summary|new_per_day) ', format(E'mart.\\1_as_of(%I.at) ', shown || '_as_of'), 'g'
            )
        );
        execute format(
            'comment on function mart.%I(timestamptz) is %L',
            shown || '_as_of', format('Rows of mart.%s as they were believed at an instant; the shipped past included.', shown)
        );
    end loop;
end
$$;
