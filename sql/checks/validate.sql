-- Checks of what is loaded: one row per check with PASSED or FAILED and the number of findings.
-- By hand: psql -f sql/checks/validate.sql; by the program: main.py check, which exits with 7 if a required check fails.
--
-- Required checks hold whatever the source publishes: a finding is a fault of the loader, or of somebody's own SQL.
-- Advisory checks find what the source published and a reader should know; docs/data-quality.md explains the findings of
-- the shipped history. mart.data_quality lists them one by one, but for the last four, which recompute every figure.

with series as (
    select
        location_id,
        report_date,
        'total_cases' as measure,
        total_cases as value,
        total_cases_population_percent as population_percent,
        total_cases_change_from_prior_day as change_from_prior_day,
        total_cases_seven_day_change_percent as seven_day_change_percent,
        null::bigint as seven_day_average,
        false as has_average
    from cases_fact
    union all
    select
        location_id,
        report_date,
        'confirmed_cases' as measure,
        confirmed_cases as value,
        confirmed_cases_population_percent as population_percent,
        confirmed_cases_change_from_prior_day as change_from_prior_day,
        confirmed_cases_seven_day_change_percent as seven_day_change_percent,
        confirmed_cases_seven_day_average as seven_day_average,
        true as has_average
    from cases_fact
    union all
    select
        location_id,
        report_date,
        'probable_cases' as measure,
        probable_cases as value,
        probable_cases_population_percent as population_percent,
        probable_cases_change_from_prior_day as change_from_prior_day,
        probable_cases_seven_day_change_percent as seven_day_change_percent,
        probable_cases_seven_day_average as seven_day_average,
        true as has_average
    from cases_fact
    union all
    select
        location_id,
        report_date,
        'recovered' as measure,
        recovered as value,
        recovered_population_percent as population_percent,
        recovered_change_from_prior_day as change_from_prior_day,
        recovered_seven_day_change_percent as seven_day_change_percent,
        recovered_seven_day_average as seven_day_average,
        true as has_average
    from cases_fact
    union all
    select
        location_id,
        report_date,
        'total_tests' as measure,
        total_tests as value,
        total_tests_population_percent as population_percent,
        total_tests_change_from_prior_day as change_from_prior_day,
        total_tests_seven_day_change_percent as seven_day_change_percent,
        null::bigint as seven_day_average,
        false as has_average
    from testing_fact
    union all
    select
        location_id,
        report_date,
        'pending_tests' as measure,
        pending_tests as value,
        pending_tests_population_percent as population_percent,
        pending_tests_change_from_prior_day as change_from_prior_day,
        pending_tests_seven_day_change_percent as seven_day_change_percent,
        pending_tests_seven_day_average as seven_day_average,
        true as has_average
    from testing_fact
    union all
    select
        location_id,
        report_date,
        'currently_hospitalized' as measure,
        currently_hospitalized as value,
        currently_hospitalized_population_percent as population_percent,
        currently_hospitalized_change_from_prior_day as change_from_prior_day,
        currently_hospitalized_seven_day_change_percent as seven_day_change_percent,
        currently_hospitalized_seven_day_average as seven_day_average,
        true as has_average
    from hospitalization_fact
    union all
    select
        location_id,
        report_date,
        'currently_in_icu' as measure,
        currently_in_icu as value,
        currently_in_icu_population_percent as population_percent,
        currently_in_icu_change_from_prior_day as change_from_prior_day,
        currently_in_icu_seven_day_change_percent as seven_day_change_percent,
        currently_in_icu_seven_day_average as seven_day_average,
        true as has_average
    from hospitalization_fact
    union all
    select
        location_id,
        report_date,
        'currently_on_ventilator' as measure,
        currently_on_ventilator as value,
        currently_on_ventilator_population_percent as population_percent,
        currently_on_ventilator_change_from_prior_day as change_from_prior_day,
        currently_on_ventilator_seven_day_change_percent as seven_day_change_percent,
        currently_on_ventilator_seven_day_average as seven_day_average,
        true as has_average
    from hospitalization_fact
    union all
    select
        location_id,
        report_date,
        'total_deaths' as measure,
        total_deaths as value,
        total_deaths_population_percent as population_percent,
        total_deaths_change_from_prior_day as change_from_prior_day,
        total_deaths_seven_day_change_percent as seven_day_change_percent,
        total_deaths_seven_day_average as seven_day_average,
        true as has_average
    from death_fact
    union all
    select
        location_id,
        report_date,
        'confirmed_deaths' as measure,
        confirmed_deaths as value,
        confirmed_deaths_population_percent as population_percent,
        confirmed_deaths_change_from_prior_day as change_from_prior_day,
        confirmed_deaths_seven_day_change_percent as seven_day_change_percent,
        confirmed_deaths_seven_day_average as seven_day_average,
        true as has_average
    from death_fact
    union all
    select
        location_id,
        report_date,
        'probable_deaths' as measure,
        probable_deaths as value,
        probable_deaths_population_percent as population_percent,
        probable_deaths_change_from_prior_day as change_from_prior_day,
        probable_deaths_seven_day_change_percent as seven_day_change_percent,
        probable_deaths_seven_day_average as seven_day_average,
        true as has_average
    from death_fact
    union all
    select
        location_id,
        report_date,
        'test kind ' || test_id as measure,
        value,
        population_percent,
        change_from_prior_day,
        seven_day_change_percent,
        seven_day_average,
        test_id not in (1, 2, 5, 6, 8, 11, 14, 17) as has_average
    from testing_detail_fact
),

dated as (
    -- The same day, and those that the source compares with. A day that is not there has no value.
    select
        series.*,
        location.population,
        lag(series.value) over day_by_day as last_value,
        lag(series.report_date) over day_by_day as last_date,
        first_value(series.value) over week as week_ago_value,
        first_value(series.report_date) over week as week_ago_date,
        avg(series.value::double precision) over days as mean_of_week
    from series
    inner join location_dimension as location using (location_id)
    window
        day_by_day as (partition by series.location_id, series.measure order by series.report_date),
        week as (
            partition by series.location_id, series.measure order by series.report_date
            range between interval '7 days' preceding and current row
        ),
        days as (
            partition by series.location_id, series.measure order by series.report_date
            range between interval '6 days' preceding and current row
        )
),

recomputed as (
    -- By the API's rules: snapshot/README.md and tools/build_snapshot.py have them as well.
    select
        *,
        round((value::double precision / population * 100)::numeric, 4) as own_percent,
        case when last_date = report_date - 1 then value - last_value end as own_change,
        case
            when week_ago_date = report_date - 7 and week_ago_value <> 0
                then round(((value - week_ago_value)::double precision / week_ago_value * 100)::numeric, 1)
        end as own_week_change,
        -- Of a double precision number round() is half to even, like the source's.
        case when value is not null then round(mean_of_week)::bigint end as own_average
    from dated
),

believed as (
    -- Every version of every row: its key as text, and for how long it was believed.
    select
        'cases_dimension' as name,
        concat_ws(' ', location_id, report_date) as key,
        known_from,
        'infinity'::timestamptz as known_to,
        '' as change
    from cases_dimension
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
    from cases_fact
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
    from testing_fact
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
    from hospitalization_fact
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
    from death_fact
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
    from testing_detail_fact
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
),

findings (name, is_required, findings, meaning) as (
    select
        'reports without a row in every fact',
        true,
        count(cases_dimension.cases_id),
        'each report has one row in each of the four facts'
    from cases_dimension
    left join cases_fact using (location_id, report_date)
    left join testing_fact using (location_id, report_date)
    left join hospitalization_fact using (location_id, report_date)
    left join death_fact using (location_id, report_date)
    where num_nulls(cases_fact.cases_id, testing_fact.cases_id, hospitalization_fact.cases_id, death_fact.cases_id) > 0
    union all
    select
        'rows that lead to no document',
        true,
        count(*),
        'known_from of every row is the time of a load of its location'
    from believed
    where
        not exists (
            select from ops.document_load as load
            where load.known_at = believed.known_from
        )
    union all
    select
        'overlapping times of belief',
        true,
        count(*),
        'one version of a row at a time'
    from successions
    where known_to > next_known_from
    union all
    select
        'holes in times of belief',
        true,
        count(*),
        'a revised row has a successor from the same moment on'
    from successions
    where change in ('revised', 'source_changed') and known_to is distinct from next_known_from
    union all
    select
        'more than 56 states reporting',
        true,
        count(*),
        'there are 56 states and territories'
    from cases_dimension
    where states_reporting > 56
    union all
    select
        advisory.name,
        false,
        (
            select count(*) from doubt
            where doubt.finding = advisory.name
        ),
        advisory.meaning
    from (
        values
        ('missing days', 'days without a report between a location''s first and last'),
        ('falling total of cases', 'a running total below the day before'),
        ('falling total of tests', 'a running total below the day before'),
        ('falling total of deaths', 'a running total below the day before'),
        ('jumps of new cases', 'at least 1,000 new cases, and more than five times the mean of the 7 days before'),
        ('jumps of new deaths', 'at least 100 new deaths, and more than five times the median of the 7 days before'),
        ('days without new cases', 'no new case, but at least 1,000 a day in the mean of the 7 days before'),
        ('figures that went missing', 'cases, tests, deaths or patients not published, but the day before they were'),
        ('more in intensive care than in hospital', 'currently_in_icu above currently_hospitalized'),
        ('more on ventilators than in intensive care', 'currently_on_ventilator above currently_in_icu'),
        ('cases that do not add up', 'confirmed plus probable cases differ from the total'),
        ('deaths that do not add up', 'confirmed plus probable deaths differ from the total'),
        ('national figures that are not the sum', 'cases, tests, deaths or patients of the nation differ from the sum over states'),
        ('poor grades', 'the source graded the state''s reporting D or F'),
        ('grades that are none', 'a grade other than A+, A, B, C, D and F')
    ) as advisory (name, meaning)
    union all
    select
        'population percents that differ',
        false,
        count(*),
        'population_percent against our own calculation'
    from recomputed
    where population_percent is distinct from own_percent
    union all
    select
        'changes that differ',
        false,
        count(*),
        'change_from_prior_day against our own calculation'
    from recomputed
    where change_from_prior_day is distinct from own_change
    union all
    select
        'weekly changes that differ',
        false,
        count(*),
        'seven_day_change_percent against our own, by more than the last digit'
    from recomputed
    where
        (seven_day_change_percent is null) <> (own_week_change is null)
        or abs(seven_day_change_percent - own_week_change) > 0.1
    union all
    select
        'averages that differ',
        false,
        count(*),
        'seven_day_average against our own calculation'
    from recomputed
    where has_average and seven_day_average is distinct from own_average
)

select
    name,
    case when is_required then 'required' else 'advisory' end as kind,
    findings::bigint as findings,
    case when findings = 0 then 'PASSED' else 'FAILED' end as outcome,
    meaning
from findings;
