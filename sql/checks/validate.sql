-- Checks of what is loaded: one row per check with its outcome and the number of findings. With findings a required check
-- has FAILED; those of an advisory one are NOTED. Without findings a check has PASSED, or is NOT CHECKED if something that
-- it needs is not loaded.
-- By hand: psql -f sql/checks/validate.sql; by the program: main.py check, which exits with 7 if a required check fails.
--
-- Required checks hold whatever the source publishes: a finding is a fault of the loader, or of somebody's own SQL.
-- Advisory checks find what the source published and a reader should know; docs/data-quality.md explains the findings of
-- the shipped history. mart.data_quality lists them, and mart.calculated_differences those of the last four checks.

with believed as (
    -- Every version of every row: its key as text, and the time for which it was believed.
    select
        'cases_dimension' as name,
        concat_ws(' ', location_id, report_date) as key,
        known_from,
        'infinity'::timestamptz as known_to,
        '' as change
    from public.cases_dimension
    union all
    select
        'cases_dimension',
        concat_ws(' ', location_id, report_date),
        known_from,
        known_to,
        change
    from history.cases_dimension_revision
    union all
    select
        'cases_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        'infinity',
        ''
    from public.cases_fact
    union all
    select
        'cases_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        known_to,
        change
    from history.cases_fact_revision
    union all
    select
        'testing_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        'infinity',
        ''
    from public.testing_fact
    union all
    select
        'testing_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        known_to,
        change
    from history.testing_fact_revision
    union all
    select
        'hospitalization_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        'infinity',
        ''
    from public.hospitalization_fact
    union all
    select
        'hospitalization_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        known_to,
        change
    from history.hospitalization_fact_revision
    union all
    select
        'death_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        'infinity',
        ''
    from public.death_fact
    union all
    select
        'death_fact',
        concat_ws(' ', location_id, report_date),
        known_from,
        known_to,
        change
    from history.death_fact_revision
    union all
    select
        'testing_detail_fact',
        concat_ws(' ', location_id, report_date, test_id),
        known_from,
        'infinity',
        ''
    from public.testing_detail_fact
    union all
    select
        'testing_detail_fact',
        concat_ws(' ', location_id, report_date, test_id),
        known_from,
        known_to,
        change
    from history.testing_detail_fact_revision
),

successions as (
    select
        *,
        lead(known_from) over (partition by name, key order by known_from) as next_known_from
    from believed
),

doubt as materialized (
    select finding from mart.data_quality
    union all
    select finding from mart.calculated_differences
),

loaded as (
    -- Names of what is loaded, among all that a check can need: reports, figures by their columns, versions of rows.
    select array_agg(need.name) as names
    from (
        select
            count(*) as reports,
            count(*) filter (where report.location_id = 0) as nation,
            count(*) filter (where report.location_id <> 0) as states,
            count(report.states_reporting) as states_reporting,
            count(report.data_quality_grade) as data_quality_grade,
            count(cases.total_cases) as total_cases,
            count(cases.confirmed_cases) as confirmed_cases,
            count(cases.probable_cases) as probable_cases,
            count(tests.total_tests) as total_tests,
            count(hospital.currently_hospitalized) as currently_hospitalized,
            count(hospital.currently_in_icu) as currently_in_icu,
            count(hospital.currently_on_ventilator) as currently_on_ventilator,
            count(deaths.total_deaths) as total_deaths,
            count(deaths.confirmed_deaths) as confirmed_deaths,
            count(deaths.probable_deaths) as probable_deaths,
            (select count(*) from believed) as versions,
            (select count(nullif(change, '')) from believed) as superseded_versions
        from public.cases_dimension as report
        left join public.cases_fact as cases using (location_id, report_date)
        left join public.testing_fact as tests using (location_id, report_date)
        left join public.hospitalization_fact as hospital using (location_id, report_date)
        left join public.death_fact as deaths using (location_id, report_date)
    ) as counted
    cross join lateral jsonb_each(to_jsonb(counted)) as need (name, amount)
    where need.amount <> '0'
),

findings (name, is_required, needs, findings, meaning) as (
    select
        'reports without a row in every fact',
        true,
        '{reports}'::text[],
        count(cases_dimension.cases_id),
        'each report has one row in each of the four facts'
    from public.cases_dimension
    left join public.cases_fact using (location_id, report_date)
    left join public.testing_fact using (location_id, report_date)
    left join public.hospitalization_fact using (location_id, report_date)
    left join public.death_fact using (location_id, report_date)
    where num_nulls(cases_fact.cases_id, testing_fact.cases_id, hospitalization_fact.cases_id, death_fact.cases_id) > 0
    union all
    select
        'rows that lead to no document',
        true,
        '{versions}',
        count(*),
        'known_from of every row is the time of a load or of a vintage'
    from believed
    where
        not exists (
            select from ops.document_load as load
            where load.known_at = believed.known_from
        )
        and not exists (
            select from ops.vintage as vintage
            where vintage.known_at = believed.known_from
        )
    union all
    select
        'overlapping times of belief',
        true,
        '{superseded_versions}',
        count(*),
        'one version of a row at a time'
    from successions
    where known_to > next_known_from
    union all
    select
        'holes in times of belief',
        true,
        '{superseded_versions}',
        count(*),
        'a revised row has a successor from the same moment on'
    from successions
    where change in ('revised', 'source_changed') and known_to is distinct from next_known_from
    union all
    select
        'more than 56 states reporting',
        true,
        '{states_reporting}',
        count(*),
        'there are 56 states and territories'
    from public.cases_dimension
    where states_reporting > 56
    union all
    select
        advisory.name,
        false,
        advisory.needs::text[],
        (
            select count(*) from doubt
            where doubt.finding = advisory.name
        ),
        advisory.meaning
    from (
        values
        ('missing days', '{reports}', 'days without a report between a location''s first and last'),
        ('falling total of cases', '{total_cases}', 'a running total below the day before'),
        ('falling total of tests', '{total_tests}', 'a running total below the day before'),
        ('falling total of deaths', '{total_deaths}', 'a running total below the day before'),
        ('jumps of new cases', '{total_cases}', 'at least 1,000 new cases, and more than five times the mean of the 7 days before'),
        ('jumps of new deaths', '{total_deaths}', 'at least 100 new deaths, and more than five times the median of the 7 days before'),
        ('days without new cases', '{total_cases}', 'no new case, but at least 1,000 a day in the mean of the 7 days before'),
        ('figures that went missing', '{reports}', 'cases, tests, deaths or patients not published, but the day before they were'),
        ('more in intensive care than in hospital', '{currently_in_icu, currently_hospitalized}', 'currently_in_icu above currently_hospitalized'),
        ('more on ventilators than in intensive care', '{currently_on_ventilator, currently_in_icu}', 'currently_on_ventilator above currently_in_icu'),
        ('cases that do not add up', '{confirmed_cases, probable_cases, total_cases}', 'confirmed plus probable cases differ from the total'),
        ('deaths that do not add up', '{confirmed_deaths, probable_deaths, total_deaths}', 'confirmed plus probable deaths differ from the total'),
        ('national figures that are not the sum', '{nation, states}', 'cases, tests, deaths or patients of the nation differ from the sum over states'),
        ('poor grades', '{data_quality_grade}', 'the source graded the state''s reporting D or F'),
        ('grades that are none', '{data_quality_grade}', 'a grade other than A+, A, B, C, D and F'),
        ('population percents that differ', '{reports}', 'population_percent against our own calculation'),
        ('changes that differ', '{reports}', 'change_from_prior_day against our own calculation'),
        ('weekly changes that differ', '{reports}', 'seven_day_change_percent against our own, by more than the last digit'),
        ('averages that differ', '{reports}', 'seven_day_average against our own calculation')
    ) as advisory (name, needs, meaning)
)

select
    name,
    case when is_required then 'required' else 'advisory' end as kind,
    findings::bigint as findings,
    case
        when findings > 0 and is_required then 'FAILED'
        when findings > 0 then 'NOTED'
        when needs <@ (select loaded.names from loaded) then 'PASSED'
        else 'NOT CHECKED'
    end as outcome,
    meaning
from findings;
