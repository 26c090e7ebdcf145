-- The newest report of each location, and the states' ranks by it.

create view mart.latest as
with
newest as (
    select
        location_code,
        max(report_date) as report_date
    from mart.daily_summary
    group by location_code
)

select
    location_code,
    summary.name,
    summary.location_type,
    summary.population,
    report_date,
    max(report_date) over () - report_date as days_behind,
    summary.total_cases,
    round(summary.total_cases * 100000.0 / summary.population, 3) as total_cases_per_100k,
    rolling.new_cases,
    rolling.new_cases_7d_mean,
    rolling.new_cases_7d_mean_per_100k,
    summary.total_tests,
    rolling.new_tests,
    rolling.new_tests_7d_mean,
    summary.total_deaths,
    round(summary.total_deaths * 100000.0 / summary.population, 3) as total_deaths_per_100k,
    rolling.new_deaths,
    rolling.new_deaths_7d_mean,
    rolling.new_deaths_7d_mean_per_100k,
    round(summary.total_deaths * 100.0 / nullif(summary.total_cases, 0), 3) as case_fatality_percent,
    summary.currently_hospitalized,
    round(summary.currently_hospitalized * 100000.0 / summary.population, 3) as currently_hospitalized_per_100k,
    summary.currently_in_icu,
    summary.currently_on_ventilator,
    summary.data_quality_grade,
    summary.cases_id,
    summary.known_from
from newest
inner join mart.daily_summary as summary using (location_code, report_date)
inner join mart.rolling_7d as rolling using (location_code, report_date);
comment on view mart.latest is 'One row per location: its newest report. Nothing in it is carried forward: a figure that the newest report lacks is null. Counts are additive over states of the same day; rates and means are not.';
comment on column mart.latest.location_code is 'Postal code; the nation is US.';
comment on column mart.latest.name is 'Name of the location.';
comment on column mart.latest.location_type is 'nation, state or territory: do not add up the nation and its parts.';
comment on column mart.latest.population is 'Inhabitants.';
comment on column mart.latest.report_date is 'Reporting day of the newest report.';
comment on column mart.latest.days_behind is 'Days by which the report is older than the newest one of any location; above 0, do not compare it with others.';
comment on column mart.latest.total_cases is 'Confirmed plus probable cases, people, cumulative.';
comment on column mart.latest.total_cases_per_100k is 'total_cases per 100,000 inhabitants, to 3 decimals.';
comment on column mart.latest.new_cases is 'New cases of the day, people, as in mart.new_per_day.';
comment on column mart.latest.new_cases_7d_mean is 'Mean of new_cases over the last 7 days, people per day, as in mart.rolling_7d.';
comment on column mart.latest.new_cases_7d_mean_per_100k is 'The mean per 100,000 inhabitants, as in mart.rolling_7d.';
comment on column mart.latest.total_tests is 'Test results, cumulative; the unit differs between states: do not compare without looking at cases_dimension.total_tests_source.';
comment on column mart.latest.new_tests is 'New test results of the day, as in mart.new_per_day; the unit differs between states.';
comment on column mart.latest.new_tests_7d_mean is 'Mean of new_tests over the last 7 days, tests per day, as in mart.rolling_7d; the unit differs between states.';
comment on column mart.latest.total_deaths is 'Confirmed plus probable deaths, people, cumulative.';
comment on column mart.latest.total_deaths_per_100k is 'total_deaths per 100,000 inhabitants, to 3 decimals.';
comment on column mart.latest.new_deaths is 'New deaths of the day, people, as in mart.new_per_day.';
comment on column mart.latest.new_deaths_7d_mean is 'Mean of new_deaths over the last 7 days, people per day, as in mart.rolling_7d.';
comment on column mart.latest.new_deaths_7d_mean_per_100k is 'The mean per 100,000 inhabitants, as in mart.rolling_7d.';
comment on column mart.latest.case_fatality_percent is 'total_deaths per 100 total_cases, to 3 decimals. Few cases were found in early 2020, so that this is no risk of dying.';
comment on column mart.latest.currently_hospitalized is 'People in hospital on the day.';
comment on column mart.latest.currently_hospitalized_per_100k is 'currently_hospitalized per 100,000 inhabitants, to 3 decimals.';
comment on column mart.latest.currently_in_icu is 'People in intensive care on the day.';
comment on column mart.latest.currently_on_ventilator is 'People on a ventilator on the day.';
comment on column mart.latest.data_quality_grade is 'The source''s grade of the state''s reporting; states only.';
comment on column mart.latest.cases_id is 'The report as one number: cases_dimension.cases_id.';
comment on column mart.latest.known_from is 'When the warehouse learned the last change of the report (UTC instant).';

create view mart.state_ranking as
select
    location_code,
    name,
    location_type,
    report_date,
    days_behind,
    total_cases_per_100k,
    case when total_cases_per_100k is not null then rank() over (order by total_cases_per_100k desc nulls last) end as total_cases_rank,
    new_cases_7d_mean_per_100k,
    case when new_cases_7d_mean_per_100k is not null then rank() over (order by new_cases_7d_mean_per_100k desc nulls last) end as new_cases_rank,
    total_deaths_per_100k,
    case when total_deaths_per_100k is not null then rank() over (order by total_deaths_per_100k desc nulls last) end as total_deaths_rank,
    new_deaths_7d_mean_per_100k,
    case when new_deaths_7d_mean_per_100k is not null then rank() over (order by new_deaths_7d_mean_per_100k desc nulls last) end as new_deaths_rank,
    currently_hospitalized_per_100k,
    case when currently_hospitalized_per_100k is not null then rank() over (order by currently_hospitalized_per_100k desc nulls last) end as currently_hospitalized_rank,
    case_fatality_percent,
    case when case_fatality_percent is not null then rank() over (order by case_fatality_percent desc nulls last) end as case_fatality_rank
from mart.latest
where location_type <> 'nation';
comment on view mart.state_ranking is 'One row per state or territory: its rates at its newest report, and its rank among all of them. Rank 1 is the highest rate; equals share a rank; no rate, no rank. Tests are left out: states count them in different units.';
comment on column mart.state_ranking.location_code is 'Postal code.';
comment on column mart.state_ranking.name is 'Name of the location.';
comment on column mart.state_ranking.location_type is 'state or territory; both are ranked together.';
comment on column mart.state_ranking.report_date is 'Reporting day of the newest report.';
comment on column mart.state_ranking.days_behind is 'Days by which the report is older than the newest one of any location; above 0, the rank is of another day.';
comment on column mart.state_ranking.total_cases_per_100k is 'Cases ever reported per 100,000 inhabitants. Not additive.';
comment on column mart.state_ranking.total_cases_rank is 'Rank by total_cases_per_100k.';
comment on column mart.state_ranking.new_cases_7d_mean_per_100k is 'New cases per day and 100,000 inhabitants, mean of the last 7 days. Not additive.';
comment on column mart.state_ranking.new_cases_rank is 'Rank by new_cases_7d_mean_per_100k.';
comment on column mart.state_ranking.total_deaths_per_100k is 'Deaths ever reported per 100,000 inhabitants. Not additive.';
comment on column mart.state_ranking.total_deaths_rank is 'Rank by total_deaths_per_100k.';
comment on column mart.state_ranking.new_deaths_7d_mean_per_100k is 'New deaths per day and 100,000 inhabitants, mean of the last 7 days. Not additive.';
comment on column mart.state_ranking.new_deaths_rank is 'Rank by new_deaths_7d_mean_per_100k.';
comment on column mart.state_ranking.currently_hospitalized_per_100k is 'People in hospital on the day per 100,000 inhabitants. Not additive.';
comment on column mart.state_ranking.currently_hospitalized_rank is 'Rank by currently_hospitalized_per_100k.';
comment on column mart.state_ranking.case_fatality_percent is 'Deaths per 100 cases found, cumulative; high where few people were tested. Not additive.';
comment on column mart.state_ranking.case_fatality_rank is 'Rank by case_fatality_percent.';
