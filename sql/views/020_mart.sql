-- Views for analysts. Files in sql/views/ are applied again when they change: everything in them is `or replace`.

create schema if not exists mart;
comment on schema mart is 'Views for analysts.';

create or replace view mart.daily_summary as
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
from cases_dimension as report
inner join location_dimension as location using (location_id)
left join cases_fact as cases using (location_id, report_date)
left join testing_fact as tests using (location_id, report_date)
left join hospitalization_fact as hospital using (location_id, report_date)
left join death_fact as deaths using (location_id, report_date);
comment on view mart.daily_summary is 'One row per report: what is asked first of all facts. Totals are cumulative and not additive over days; new_* are the source''s change from the prior day, negative after corrections.';
comment on column mart.daily_summary.location_code is 'Postal code; the nation is US.';
comment on column mart.daily_summary.name is 'Name of the location.';
comment on column mart.daily_summary.location_type is 'nation, state or territory: do not add up the nation and its parts.';
comment on column mart.daily_summary.report_date is 'Reporting day, as labelled by the source.';
comment on column mart.daily_summary.total_cases is 'Confirmed plus probable cases, people, cumulative.';
comment on column mart.daily_summary.new_cases is 'total_cases minus its value of the day before.';
comment on column mart.daily_summary.total_tests is 'Test results, cumulative; the unit differs between states.';
comment on column mart.daily_summary.new_tests is 'total_tests minus its value of the day before.';
comment on column mart.daily_summary.currently_hospitalized is 'People in hospital on the day.';
comment on column mart.daily_summary.currently_in_icu is 'People in intensive care on the day.';
comment on column mart.daily_summary.currently_on_ventilator is 'People on a ventilator on the day.';
comment on column mart.daily_summary.total_deaths is 'Confirmed plus probable deaths, people, cumulative.';
comment on column mart.daily_summary.new_deaths is 'total_deaths minus its value of the day before.';
comment on column mart.daily_summary.states_reporting is 'States and territories with a row on the day; the nation only.';
comment on column mart.daily_summary.data_quality_grade is 'The source''s grade of the state''s reporting; states only.';
comment on column mart.daily_summary.population is 'Inhabitants.';
comment on column mart.daily_summary.cases_id is 'The report as one number: cases_dimension.cases_id.';
comment on column mart.daily_summary.known_from is 'When the warehouse learned the last change of the report (UTC instant).';

create or replace function mart.daily_summary_as_of(at timestamptz) returns setof mart.daily_summary
language sql stable parallel safe as $body$
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
    from history.cases_dimension_as_of(at) as report
    inner join location_dimension as location using (location_id)
    left join history.cases_fact_as_of(at) as cases using (location_id, report_date)
    left join history.testing_fact_as_of(at) as tests using (location_id, report_date)
    left join history.hospitalization_fact_as_of(at) as hospital using (location_id, report_date)
    left join history.death_fact_as_of(at) as deaths using (location_id, report_date)
$body$;
comment on function mart.daily_summary_as_of(timestamptz) is 'mart.daily_summary as it would have been at an instant.';

-- One arm per fact, made of the same text, so that they cannot differ.
do $$
declare
    arms text;
begin
    select string_agg(format(
        $arm$
            select
                old.location_id,
                old.report_date,
                %1$L as fact,
                %2$s as test_id,
                cell.measure,
                (to_jsonb(old) ->> cell.measure)::numeric as old_value,
                case
                    when old.change = 'withdrawn' then null
                    else (coalesce(to_jsonb(next), to_jsonb(current)) ->> cell.measure)::numeric
                end as new_value,
                old.known_from as believed_from,
                old.known_to as known_from,
                (old.known_to at time zone 'UTC')::date - old.report_date as lag_days,
                old.change as kind,
                old.superseded_by_run_id as run_id
            from history.%3$I as old
            left join public.%1$I as current on
                current.location_id = old.location_id and current.report_date = old.report_date
                and current.known_from = old.known_to %4$s
            left join history.%3$I as next on
                next.location_id = old.location_id and next.report_date = old.report_date
                and next.known_from = old.known_to %5$s
            cross join lateral (
                select unnest(old.changed_columns) as measure
                union all
                select item.key
                from jsonb_each(to_jsonb(old)) as item
                where
                    old.change = 'withdrawn' and item.value <> 'null'::jsonb
                    and item.key <> all(array[
                        'location_id', 'report_date', 'cases_id', 'test_id', 'known_from', 'known_to', 'change',
                        'changed_columns', 'superseded_by_run_id'
                    ])
            ) as cell
        $arm$,
        fact,
        case when detail then 'old.test_id' else 'null::smallint' end,
        fact || '_revision',
        case when detail then 'and current.test_id = old.test_id' else '' end,
        case when detail then 'and next.test_id = old.test_id' else '' end
    ), ' union all ') into strict arms
    from (
        values
        ('cases_fact', false), ('testing_fact', false), ('hospitalization_fact', false), ('death_fact', false),
        ('testing_detail_fact', true)
    ) as facts (fact, detail);

    execute format(
        $create$
            create or replace view mart.revision_history as
            select
                location.location_code, cell.report_date, cell.fact, test.test_type, test.unit, test.result,
                cell.measure, cell.old_value, cell.new_value, cell.believed_from, cell.known_from, cell.lag_days,
                cell.kind, cell.run_id
            from (%s) as cell
            inner join public.location_dimension as location using (location_id)
            left join public.test_dimension as test using (test_id)
        $create$, arms
    );
end
$$;
comment on view mart.revision_history is 'One row per number of a fact that was changed or withdrawn: what it was and what it became. Changed grades and the like are in history.cases_dimension_revision.';
comment on column mart.revision_history.location_code is 'Postal code; the nation is US.';
comment on column mart.revision_history.report_date is 'Reporting day of the number.';
comment on column mart.revision_history.fact is 'Table of the number.';
comment on column mart.revision_history.test_type is 'Test: pcr, antibody or antigen; testing_detail_fact only.';
comment on column mart.revision_history.unit is 'What is counted: encounters, specimens or people; testing_detail_fact only.';
comment on column mart.revision_history.result is 'Which results are counted; testing_detail_fact only.';
comment on column mart.revision_history.measure is 'Column of the number.';
comment on column mart.revision_history.old_value is 'What was believed; null: it was not published.';
comment on column mart.revision_history.new_value is 'What took its place; null: it is not published any more.';
comment on column mart.revision_history.believed_from is 'Since when the old value was believed (UTC instant).';
comment on column mart.revision_history.known_from is 'When the warehouse learned of the change (UTC instant).';
comment on column mart.revision_history.lag_days is 'Days from the reporting day to the change.';
comment on column mart.revision_history.kind is 'revised; withdrawn: the whole row is no longer published; source_changed: the next load read another source.';
comment on column mart.revision_history.run_id is 'The run that learned of the change: ops.run.run_id.';
