-- The doubtful figures among those published. They are defined here alone; sql/checks/validate.sql counts them.

create view mart.data_quality as
with
daily as (
    select
        location.location_id,
        report_date,
        summary.total_cases,
        summary.total_tests,
        summary.total_deaths,
        new.new_cases,
        new.new_tests,
        new.new_deaths,
        avg(new.new_cases) over week_before as usual_cases,
        array_agg(new.new_deaths) over week_before as deaths_of_week
    from mart.new_per_day as new
    inner join mart.daily_summary as summary using (location_code, report_date)
    inner join public.location_dimension as location using (location_code)
    window week_before as (
        partition by location.location_id order by report_date
        range between interval '7 days' preceding and interval '1 day' preceding
    )
),

many_deaths as (
    -- Deaths are compared with a median: a backlog is often published over days, and would raise a mean.
    select
        location_id,
        report_date,
        new_deaths,
        (select percentile_cont(0.5) within group (order by day) from unnest(deaths_of_week) as day) as usual_deaths
    from daily
    where new_deaths >= 100
),

coverage as (
    select
        location_id,
        min(report_date) as first_date,
        max(report_date) as last_date
    from public.cases_dimension
    group by location_id
),

doubt as (
    select
        location_id,
        report_date,
        'falling total of cases' as finding,
        'total_cases' as measure,
        total_cases as value,
        total_cases - new_cases as compared_with
    from daily
    where new_cases < 0
    union all
    select
        location_id,
        report_date,
        'falling total of tests',
        'total_tests',
        total_tests,
        total_tests - new_tests
    from daily
    where new_tests < 0
    union all
    select
        location_id,
        report_date,
        'falling total of deaths',
        'total_deaths',
        total_deaths,
        total_deaths - new_deaths
    from daily
    where new_deaths < 0
    union all
    select
        location_id,
        report_date,
        'jumps of new cases',
        'new_cases',
        new_cases,
        round(usual_cases, 3)
    from daily
    where new_cases >= 1000 and new_cases > 5 * usual_cases
    union all
    select
        location_id,
        report_date,
        'jumps of new deaths',
        'new_deaths',
        new_deaths,
        usual_deaths
    from many_deaths
    where new_deaths > 5 * usual_deaths
    union all
    select
        location_id,
        report_date,
        'days without new cases',
        'new_cases',
        new_cases,
        round(usual_cases, 3)
    from daily
    where new_cases = 0 and usual_cases >= 1000
    union all
    select
        fact.location_id,
        fact.report_date,
        'figures that went missing',
        'total_cases',
        null,
        day_before.total_cases
    from public.cases_fact as fact
    inner join public.cases_fact as day_before
        on fact.location_id = day_before.location_id and fact.report_date = day_before.report_date + 1
    where fact.total_cases is null and day_before.total_cases is not null
    union all
    select
        fact.location_id,
        fact.report_date,
        'figures that went missing',
        'total_tests',
        null,
        day_before.total_tests
    from public.testing_fact as fact
    inner join public.testing_fact as day_before
        on fact.location_id = day_before.location_id and fact.report_date = day_before.report_date + 1
    where fact.total_tests is null and day_before.total_tests is not null
    union all
    select
        fact.location_id,
        fact.report_date,
        'figures that went missing',
        'total_deaths',
        null,
        day_before.total_deaths
    from public.death_fact as fact
    inner join public.death_fact as day_before
        on fact.location_id = day_before.location_id and fact.report_date = day_before.report_date + 1
    where fact.total_deaths is null and day_before.total_deaths is not null
    union all
    select
        fact.location_id,
        fact.report_date,
        'figures that went missing',
        'currently_hospitalized',
        null,
        day_before.currently_hospitalized
    from public.hospitalization_fact as fact
    inner join public.hospitalization_fact as day_before
        on fact.location_id = day_before.location_id and fact.report_date = day_before.report_date + 1
    where fact.currently_hospitalized is null and day_before.currently_hospitalized is not null
    union all
    select
        fact.location_id,
        fact.report_date,
        'figures that went missing',
        'currently_in_icu',
        null,
        day_before.currently_in_icu
    from public.hospitalization_fact as fact
    inner join public.hospitalization_fact as day_before
        on fact.location_id = day_before.location_id and fact.report_date = day_before.report_date + 1
    where fact.currently_in_icu is null and day_before.currently_in_icu is not null
    union all
    select
        fact.location_id,
        fact.report_date,
        'figures that went missing',
        'currently_on_ventilator',
        null,
        day_before.currently_on_ventilator
    from public.hospitalization_fact as fact
    inner join public.hospitalization_fact as day_before
        on fact.location_id = day_before.location_id and fact.report_date = day_before.report_date + 1
    where fact.currently_on_ventilator is null and day_before.currently_on_ventilator is not null
    union all
    select
        location_id,
        report_date,
        'more in intensive care than in hospital',
        'currently_in_icu',
        currently_in_icu,
        currently_hospitalized
    from public.hospitalization_fact
    where currently_in_icu > currently_hospitalized
    union all
    select
        location_id,
        report_date,
        'more on ventilators than in intensive care',
        'currently_on_ventilator',
        currently_on_ventilator,
        currently_in_icu
    from public.hospitalization_fact
    where currently_on_ventilator > currently_in_icu
    union all
    select
        location_id,
        report_date,
        'cases that do not add up',
        'total_cases',
        total_cases,
        confirmed_cases + probable_cases
    from public.cases_fact
    where confirmed_cases + probable_cases <> total_cases
    union all
    select
        location_id,
        report_date,
        'deaths that do not add up',
        'total_deaths',
        total_deaths,
        confirmed_deaths + probable_deaths
    from public.death_fact
    where confirmed_deaths + probable_deaths <> total_deaths
    union all
    select
        nation.location_id,
        nation.report_date,
        'national figures that are not the sum',
        'total_cases',
        nation.total_cases,
        state_sum.figure
    from public.cases_fact as nation
    inner join (
        select
            report_date,
            sum(total_cases) as figure
        from public.cases_fact
        where location_id <> 0
        group by report_date
    ) as state_sum using (report_date)
    where nation.location_id = 0 and nation.total_cases <> state_sum.figure
    union all
    select
        nation.location_id,
        nation.report_date,
        'national figures that are not the sum',
        'total_tests',
        nation.total_tests,
        state_sum.figure
    from public.testing_fact as nation
    inner join (
        select
            report_date,
            sum(total_tests) as figure
        from public.testing_fact
        where location_id <> 0
        group by report_date
    ) as state_sum using (report_date)
    where nation.location_id = 0 and nation.total_tests <> state_sum.figure
    union all
    select
        nation.location_id,
        nation.report_date,
        'national figures that are not the sum',
        'total_deaths',
        nation.total_deaths,
        state_sum.figure
    from public.death_fact as nation
    inner join (
        select
            report_date,
            sum(total_deaths) as figure
        from public.death_fact
        where location_id <> 0
        group by report_date
    ) as state_sum using (report_date)
    where nation.location_id = 0 and nation.total_deaths <> state_sum.figure
    union all
    select
        nation.location_id,
        nation.report_date,
        'national figures that are not the sum',
        'currently_hospitalized',
        nation.currently_hospitalized,
        state_sum.figure
    from public.hospitalization_fact as nation
    inner join (
        select
            report_date,
            sum(currently_hospitalized) as figure
        from public.hospitalization_fact
        where location_id <> 0
        group by report_date
    ) as state_sum using (report_date)
    where nation.location_id = 0 and nation.currently_hospitalized <> state_sum.figure
    union all
    select
        location_id,
        report_date,
        'poor grades',
        'data_quality_grade',
        null,
        null
    from public.cases_dimension
    where data_quality_grade in ('D', 'F')
    union all
    select
        location_id,
        report_date,
        'grades that are none',
        'data_quality_grade',
        null,
        null
    from public.cases_dimension
    where data_quality_grade not in ('A+', 'A', 'B', 'C', 'D', 'F')
    union all
    select
        coverage.location_id,
        calendar.date,
        'missing days',
        'report_date',
        null,
        null
    from coverage
    inner join public.date_dimension as calendar on calendar.date between coverage.first_date and coverage.last_date
    left join public.cases_dimension as report
        on coverage.location_id = report.location_id and calendar.date = report.report_date
    where report.cases_id is null
)

select
    location.location_code,
    location.name,
    location.location_type,
    report_date,
    doubt.finding,
    doubt.measure,
    doubt.value::numeric as value,
    doubt.compared_with::numeric as compared_with,
    report.data_quality_grade
from doubt
inner join public.location_dimension as location using (location_id)
left join public.cases_dimension as report using (location_id, report_date);
comment on view mart.data_quality is 'One row per finding: a doubtful figure of a location on a reporting day. A report may have several findings, most have none. Findings are about what the source published; nothing is corrected. docs/data-quality.md explains those of the shipped history.';
comment on column mart.data_quality.location_code is 'Postal code; the nation is US.';
comment on column mart.data_quality.name is 'Name of the location.';
comment on column mart.data_quality.location_type is 'nation, state or territory.';
comment on column mart.data_quality.report_date is 'Reporting day of the finding; for missing days the day without a report.';
comment on column mart.data_quality.finding is 'Name of the check in sql/checks/validate.sql, which says what it means.';
comment on column mart.data_quality.measure is 'Doubtful column of a fact, of cases_dimension, or of mart.new_per_day (new_*).';
comment on column mart.data_quality.value is 'The figure, in the unit of the measure; null for missing days, missing figures and grades.';
comment on column mart.data_quality.compared_with is 'The figure that makes it doubtful, in the same unit: the calendar day before, the mean or (deaths) the median of the 7 days before, the larger group of patients, or the sum. Not additive.';
comment on column mart.data_quality.data_quality_grade is 'The source''s own grade of the day, A+ to F; null for missing days and where there was no grade.';
