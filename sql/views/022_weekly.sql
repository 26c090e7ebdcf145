-- Figures per week, in the two calendars that epidemiologists and statisticians use.

create view mart.weekly as
with
day as (
    select
        per_day.location_code,
        per_day.report_date,
        week.week_type,
        week.week_year,
        week.week_number,
        week.first_day,
        per_day.new_cases,
        per_day.new_tests,
        per_day.new_deaths
    from mart.new_per_day as per_day
    inner join public.date_dimension as calendar on per_day.report_date = calendar.date
    cross join lateral (
        values
        ('mmwr', calendar.mmwr_year, calendar.mmwr_week, calendar.date - calendar.iso_weekday % 7),
        ('iso', calendar.iso_year, calendar.iso_week, calendar.date - calendar.iso_weekday + 1)
    ) as week (week_type, week_year, week_number, first_day)
),

week as (
    select
        location_code,
        week_type,
        week_year,
        week_number,
        first_day,
        count(*) as days_reported,
        max(report_date) as last_report_date,
        case when count(new_cases) = 7 then sum(new_cases)::bigint end as new_cases,
        case when count(new_tests) = 7 then sum(new_tests)::bigint end as new_tests,
        case when count(new_deaths) = 7 then sum(new_deaths)::bigint end as new_deaths
    from day
    group by location_code, week_type, week_year, week_number, first_day
)

select
    location_code,
    summary.name,
    summary.location_type,
    summary.population,
    week.week_type,
    week.week_year,
    week.week_number,
    week.first_day,
    week.first_day + 6 as last_day,
    week.days_reported,
    week.new_cases,
    round(week.new_cases * 100000.0 / summary.population, 3) as new_cases_per_100k,
    week.new_tests,
    round(week.new_tests * 100000.0 / summary.population, 3) as new_tests_per_100k,
    week.new_deaths,
    round(week.new_deaths * 100000.0 / summary.population, 3) as new_deaths_per_100k,
    week.last_report_date,
    summary.total_cases as last_total_cases,
    summary.total_tests as last_total_tests,
    summary.total_deaths as last_total_deaths,
    summary.currently_hospitalized as last_currently_hospitalized,
    summary.currently_in_icu as last_currently_in_icu,
    summary.currently_on_ventilator as last_currently_on_ventilator
from week
inner join mart.daily_summary as summary using (location_code)
where summary.report_date = week.last_report_date;
comment on view mart.weekly is 'One row per location, kind of week and week with a report. Every day is in two weeks, an MMWR one and an ISO one: choose with week_type. new_* are sums over the week, null unless all 7 days are known, so that an incomplete week never looks like a fall; last_* are the values of the last day reported, not additive over weeks.';
comment on column mart.weekly.location_code is 'Postal code; the nation is US.';
comment on column mart.weekly.name is 'Name of the location.';
comment on column mart.weekly.location_type is 'nation, state or territory: do not add up the nation and its parts.';
comment on column mart.weekly.population is 'Inhabitants.';
comment on column mart.weekly.week_type is 'mmwr: epidemiological week of the CDC, Sunday to Saturday; iso: ISO 8601, Monday to Sunday. Choose one: each day is in both.';
comment on column mart.weekly.week_year is 'Year of the week, which at the turn of the year may differ from that of its days.';
comment on column mart.weekly.week_number is 'Number of the week in its year, 1 to 53.';
comment on column mart.weekly.first_day is 'First day of the week; for ordering and for charts.';
comment on column mart.weekly.last_day is 'Last day of the week, reported or not.';
comment on column mart.weekly.days_reported is 'Days of the week with a report, 1 to 7; below 7 the week is incomplete.';
comment on column mart.weekly.new_cases is 'Sum: new cases of the 7 days, people; negative after corrections. Null unless all 7 are known. Additive over weeks and over states.';
comment on column mart.weekly.new_cases_per_100k is 'new_cases per 100,000 inhabitants, to 3 decimals. Additive over weeks, not over locations.';
comment on column mart.weekly.new_tests is 'Sum: new test results of the 7 days; the unit differs between states. Null unless all 7 are known. Additive over weeks.';
comment on column mart.weekly.new_tests_per_100k is 'new_tests per 100,000 inhabitants, to 3 decimals. Compare only locations that count in the same unit.';
comment on column mart.weekly.new_deaths is 'Sum: new deaths of the 7 days, people; negative after corrections. Null unless all 7 are known. Additive over weeks and over states.';
comment on column mart.weekly.new_deaths_per_100k is 'new_deaths per 100,000 inhabitants, to 3 decimals. Additive over weeks, not over locations.';
comment on column mart.weekly.last_report_date is 'Last reporting day of the week, which the last_* values are of.';
comment on column mart.weekly.last_total_cases is 'Last value: cases as of last_report_date, people, cumulative. Not additive over weeks.';
comment on column mart.weekly.last_total_tests is 'Last value: test results as of last_report_date, cumulative; the unit differs between states. Not additive over weeks.';
comment on column mart.weekly.last_total_deaths is 'Last value: deaths as of last_report_date, people, cumulative. Not additive over weeks.';
comment on column mart.weekly.last_currently_hospitalized is 'Last value: people in hospital on last_report_date. Not additive over weeks.';
comment on column mart.weekly.last_currently_in_icu is 'Last value: people in intensive care on last_report_date. Not additive over weeks.';
comment on column mart.weekly.last_currently_on_ventilator is 'Last value: people on a ventilator on last_report_date. Not additive over weeks.';
