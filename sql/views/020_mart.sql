-- Views for analysts. The files of sql/views are one set, which is dropped and made again as a whole when it changes.

create schema if not exists mart;
comment on schema mart is 'Views for analysts.';

create view mart.daily_summary as
select
    location.location_code,
    location.name,
    location.location_type,
    report.report_date,
    cases.total_cases,
    cases.total_cases_change_from_prior_day as new_cases,
    tests.total_tests,
    tests.total_tests_change_from_prior_day as new_tests,
    hospital.currently_hospitalized,
    hospital.currently_in_icu,
    hospital.currently_on_ventilator,
    deaths.total_deaths,
    deaths.total_deaths_change_from_prior_day as new_deaths,
    report.states_reporting,
    report.data_quality_grade,
    location.population,
    report.cases_id,
    report.known_from
from public.cases_dimension as report
inner join public.location_dimension as location using (location_id)
left join public.cases_fact as cases using (location_id, report_date)
left join public.testing_fact as tests using (location_id, report_date)
left join public.hospitalization_fact as hospital using (location_id, report_date)
left join public.death_fact as deaths using (location_id, report_date);
comment on view mart.daily_summary is 'One row per report: the main figures of all facts. Totals are cumulative and not additive over days; new_* are the source''s change from the prior day, negative after corrections.';
comment on column mart.daily_summary.location_code is 'Postal code; the nation is US.';
comment on column mart.daily_summary.name is 'Name of the location.';
comment on column mart.daily_summary.location_type is 'nation, state or territory: do not add up the nation and its parts.';
comment on column mart.daily_summary.report_date is 'Reporting day, as labelled by the source.';
comment on column mart.daily_summary.total_cases is 'Confirmed plus probable cases, people, cumulative.';
comment on column mart.daily_summary.new_cases is 'The source''s own change of total_cases from the prior day (cases_fact.total_cases_change_from_prior_day); mart.new_per_day.new_cases is our own subtraction.';
comment on column mart.daily_summary.total_tests is 'Test results, cumulative; the unit differs between states: cases_dimension.total_tests_source names it.';
comment on column mart.daily_summary.new_tests is 'The source''s own change of total_tests from the prior day (testing_fact.total_tests_change_from_prior_day); mart.new_per_day.new_tests is our own subtraction.';
comment on column mart.daily_summary.currently_hospitalized is 'People in hospital on the day.';
comment on column mart.daily_summary.currently_in_icu is 'People in intensive care on the day.';
comment on column mart.daily_summary.currently_on_ventilator is 'People on a ventilator on the day.';
comment on column mart.daily_summary.total_deaths is 'Confirmed plus probable deaths, people, cumulative.';
comment on column mart.daily_summary.new_deaths is 'The source''s own change of total_deaths from the prior day (death_fact.total_deaths_change_from_prior_day); mart.new_per_day.new_deaths is our own subtraction.';
comment on column mart.daily_summary.states_reporting is 'States and territories with a row on the day; the nation only.';
comment on column mart.daily_summary.data_quality_grade is 'The source''s grade of the state''s reporting; states only.';
comment on column mart.daily_summary.population is 'Inhabitants.';
comment on column mart.daily_summary.cases_id is 'The report as one number: cases_dimension.cases_id.';
comment on column mart.daily_summary.known_from is 'When the warehouse learned the last change of the report (UTC instant).';

-- noqa: disable=references.from
create function mart.daily_summary_as_of(at timestamptz) returns setof mart.daily_summary
language sql stable parallel safe
begin atomic
    select
        location.location_code,
        location.name,
        location.location_type,
        report.report_date,
        cases.total_cases,
        cases.total_cases_change_from_prior_day,
        tests.total_tests,
        tests.total_tests_change_from_prior_day,
        hospital.currently_hospitalized,
        hospital.currently_in_icu,
        hospital.currently_on_ventilator,
        deaths.total_deaths,
        deaths.total_deaths_change_from_prior_day,
        report.states_reporting,
        report.data_quality_grade,
        location.population,
        report.cases_id,
        report.known_from
    from history.cases_dimension_as_of(daily_summary_as_of.at) as report
    inner join public.location_dimension as location using (location_id)
    left join history.cases_fact_as_of(daily_summary_as_of.at) as cases using (location_id, report_date)
    left join history.testing_fact_as_of(daily_summary_as_of.at) as tests using (location_id, report_date)
    left join history.hospitalization_fact_as_of(daily_summary_as_of.at) as hospital using (location_id, report_date)
    left join history.death_fact_as_of(daily_summary_as_of.at) as deaths using (location_id, report_date);
end;
-- noqa: enable=references.from
comment on function mart.daily_summary_as_of(timestamptz) is 'Rows of mart.daily_summary as they were believed at an instant; the shipped past included, in which new_* are null: mart.new_per_day_as_of has them.';
