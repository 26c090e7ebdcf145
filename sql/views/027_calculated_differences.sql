-- The figures that the source calculated, and that differ from our own calculation. sql/checks/validate.sql counts them.

create view mart.calculated_differences as
with
series as (
    select
        cases.location_id,
        cases.report_date,
        'cases_fact' as fact,
        null::smallint as test_id,
        figure.*
    from public.cases_fact as cases
    cross join
        lateral (
            values
            (
                'total_cases', cases.total_cases,
                cases.total_cases_population_percent,
                cases.total_cases_change_from_prior_day,
                cases.total_cases_seven_day_change_percent,
                null::bigint, false
            ),
            (
                'confirmed_cases', cases.confirmed_cases,
                cases.confirmed_cases_population_percent,
                cases.confirmed_cases_change_from_prior_day,
                cases.confirmed_cases_seven_day_change_percent,
                cases.confirmed_cases_seven_day_average, true
            ),
            (
                'probable_cases', cases.probable_cases,
                cases.probable_cases_population_percent,
                cases.probable_cases_change_from_prior_day,
                cases.probable_cases_seven_day_change_percent,
                cases.probable_cases_seven_day_average, true
            ),
            (
                'recovered', cases.recovered,
                cases.recovered_population_percent,
                cases.recovered_change_from_prior_day,
                cases.recovered_seven_day_change_percent,
                cases.recovered_seven_day_average, true
            )
        )
            as figure (
                measure, value, population_percent, change_from_prior_day, seven_day_change_percent, seven_day_average, has_average
            )
    union all
    select
        tests.location_id,
        tests.report_date,
        'testing_fact' as fact,
        null::smallint as test_id,
        figure.*
    from public.testing_fact as tests
    cross join
        lateral (
            values
            (
                'total_tests', tests.total_tests,
                tests.total_tests_population_percent,
                tests.total_tests_change_from_prior_day,
                tests.total_tests_seven_day_change_percent,
                null::bigint, false
            ),
            (
                'pending_tests', tests.pending_tests,
                tests.pending_tests_population_percent,
                tests.pending_tests_change_from_prior_day,
                tests.pending_tests_seven_day_change_percent,
                tests.pending_tests_seven_day_average, true
            )
        )
            as figure (
                measure, value, population_percent, change_from_prior_day, seven_day_change_percent, seven_day_average, has_average
            )
    union all
    select
        hospital.location_id,
        hospital.report_date,
        'hospitalization_fact' as fact,
        null::smallint as test_id,
        figure.*
    from public.hospitalization_fact as hospital
    cross join
        lateral (
            values
            (
                'currently_hospitalized', hospital.currently_hospitalized,
                hospital.currently_hospitalized_population_percent,
                hospital.currently_hospitalized_change_from_prior_day,
                hospital.currently_hospitalized_seven_day_change_percent,
                hospital.currently_hospitalized_seven_day_average, true
            ),
            (
                'currently_in_icu', hospital.currently_in_icu,
                hospital.currently_in_icu_population_percent,
                hospital.currently_in_icu_change_from_prior_day,
                hospital.currently_in_icu_seven_day_change_percent,
                hospital.currently_in_icu_seven_day_average, true
            ),
            (
                'currently_on_ventilator', hospital.currently_on_ventilator,
                hospital.currently_on_ventilator_population_percent,
                hospital.currently_on_ventilator_change_from_prior_day,
                hospital.currently_on_ventilator_seven_day_change_percent,
                hospital.currently_on_ventilator_seven_day_average, true
            )
        )
            as figure (
                measure, value, population_percent, change_from_prior_day, seven_day_change_percent, seven_day_average, has_average
            )
    union all
    select
        deaths.location_id,
        deaths.report_date,
        'death_fact' as fact,
        null::smallint as test_id,
        figure.*
    from public.death_fact as deaths
    cross join
        lateral (
            values
            (
                'total_deaths', deaths.total_deaths,
                deaths.total_deaths_population_percent,
                deaths.total_deaths_change_from_prior_day,
                deaths.total_deaths_seven_day_change_percent,
                deaths.total_deaths_seven_day_average, true
            ),
            (
                'confirmed_deaths', deaths.confirmed_deaths,
                deaths.confirmed_deaths_population_percent,
                deaths.confirmed_deaths_change_from_prior_day,
                deaths.confirmed_deaths_seven_day_change_percent,
                deaths.confirmed_deaths_seven_day_average, true
            ),
            (
                'probable_deaths', deaths.probable_deaths,
                deaths.probable_deaths_population_percent,
                deaths.probable_deaths_change_from_prior_day,
                deaths.probable_deaths_seven_day_change_percent,
                deaths.probable_deaths_seven_day_average, true
            )
        )
            as figure (
                measure, value, population_percent, change_from_prior_day, seven_day_change_percent, seven_day_average, has_average
            )
    union all
    select
        location_id,
        report_date,
        'testing_detail_fact',
        test_id,
        'value',
        value,
        population_percent,
        change_from_prior_day,
        seven_day_change_percent,
        seven_day_average,
        -- The source publishes no average for totals of tests, nor for people positive by PCR.
        test_id not in (1, 2, 5, 6, 8, 11, 14, 17)
    from public.testing_detail_fact
),

dated as (
    -- Each day beside those with which the source compares it. A missing day has no value.
    select
        series.*,
        location.location_code,
        location.name,
        location.location_type,
        location.population,
        first_value(series.value) over day_before as day_before_value,
        first_value(series.value) over week_before as week_before_value,
        avg(series.value::double precision) over days as mean_of_week
    from series
    inner join public.location_dimension as location using (location_id)
    window
        day_before as (
            partition by location.location_code, series.measure, series.test_id order by series.report_date
            range between interval '1 day' preceding and interval '1 day' preceding
        ),
        week_before as (
            partition by location.location_code, series.measure, series.test_id order by series.report_date
            range between interval '7 days' preceding and interval '7 days' preceding
        ),
        days as (
            partition by location.location_code, series.measure, series.test_id order by series.report_date
            range between interval '6 days' preceding and current row
        )
),

recomputed as (
    -- The rules are the API's, which snapshot/README.md and tools/build_snapshot.py have as well.
    select
        *,
        round((value::double precision / population * 100)::numeric, 4) as own_percent,
        value - day_before_value as own_change,
        round(((value - week_before_value)::double precision / nullif(week_before_value, 0) * 100)::numeric, 1) as own_week_change,
        -- round() of a double precision number is half to even, like the source's.
        case when value is not null then round(mean_of_week)::bigint end as own_average
    from dated
),

compared as (
    select
        *,
        (population_percent is distinct from own_percent) as percent_differs,
        (change_from_prior_day is distinct from own_change) as change_differs,
        -- At exact halves the rounding of binary fractions decides: the last digit may differ.
        (
            num_nulls(seven_day_change_percent, own_week_change) = 1
            or abs(seven_day_change_percent - own_week_change) > 0.1
        ) as week_change_differs,
        (has_average and seven_day_average is distinct from own_average) as average_differs
    from recomputed
)

select
    compared.location_code,
    compared.name,
    compared.location_type,
    compared.report_date,
    difference.finding,
    compared.fact,
    test.test_type,
    test.unit,
    test.result,
    case when compared.test_id is null then compared.measure || '_' else '' end || difference.calculated as measure,
    difference.published_value,
    difference.recomputed_value
from compared
cross join
    lateral (
        values
        (compared.percent_differs, 'population percents that differ', 'population_percent', compared.population_percent, compared.own_percent),
        (compared.change_differs, 'changes that differ', 'change_from_prior_day', compared.change_from_prior_day, compared.own_change),
        (compared.week_change_differs, 'weekly changes that differ', 'seven_day_change_percent', compared.seven_day_change_percent, compared.own_week_change),
        (compared.average_differs, 'averages that differ', 'seven_day_average', compared.seven_day_average, compared.own_average)
    ) as difference (differs, finding, calculated, published_value, recomputed_value)
left join public.test_dimension as test on compared.test_id = test.test_id
where
    (compared.percent_differs or compared.change_differs or compared.week_change_differs or compared.average_differs)
    and difference.differs;
comment on view mart.calculated_differences is 'One row per calculated figure of the source that differs from our own calculation. There is none in the shipped history. The source''s figure is kept as published. The view recomputes every figure, which takes over a second for all locations, and a tenth of one for a single location_code.';
comment on column mart.calculated_differences.location_code is 'Postal code; the nation is US.';
comment on column mart.calculated_differences.name is 'Name of the location.';
comment on column mart.calculated_differences.location_type is 'nation, state or territory.';
comment on column mart.calculated_differences.report_date is 'Reporting day of the figure.';
comment on column mart.calculated_differences.finding is 'Name of the check in sql/checks/validate.sql.';
comment on column mart.calculated_differences.fact is 'Table of the figure.';
comment on column mart.calculated_differences.test_type is 'Test: pcr, antibody or antigen; testing_detail_fact only.';
comment on column mart.calculated_differences.unit is 'Unit that is counted: encounters, specimens or people; testing_detail_fact only.';
comment on column mart.calculated_differences.result is 'Results that are counted; testing_detail_fact only.';
comment on column mart.calculated_differences.measure is 'Column of the figure.';
comment on column mart.calculated_differences.published_value is 'The figure as published, in the unit of the measure; null if it was not published.';
comment on column mart.calculated_differences.recomputed_value is 'Our own calculation from the loaded counts; null if a count that it needs is not known.';
