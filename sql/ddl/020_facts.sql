-- The star's facts, and the report that they share. Facts hold the current belief, history.* the earlier ones.
-- Their foreign keys are in 050_keys.sql.

create table public.cases_dimension (
    location_id smallint not null,
    report_date date not null,
    cases_id bigint not null generated always as (
        location_id::bigint * 100000000
        + (
            extract(year from report_date) * 10000
            + extract(month from report_date) * 100
            + extract(day from report_date)
        )::bigint
    ) stored,
    states_reporting bigint check (states_reporting >= 0),
    data_quality_grade text,
    updated_at timestamptz,
    total_tests_source text,
    source_built_at timestamptz not null,
    run_id bigint not null,
    document_id bigint not null,
    known_from timestamptz not null,
    primary key (location_id, report_date),
    unique (cases_id)
);
comment on table public.cases_dimension is 'One row per published report, with its description and the origin of its figures. Grain: location and reporting day.';
comment on column public.cases_dimension.location_id is 'The location: location_dimension.location_id.';
comment on column public.cases_dimension.report_date is 'Reporting day, as labelled by the source: date_dimension.date.';
comment on column public.cases_dimension.cases_id is 'The report as one number, location and day (620210307 is CA on 2021-03-07); the facts have it too.';
comment on column public.cases_dimension.states_reporting is 'Number of states and territories with a row on the day, with a figure or without one. The nation only.';
comment on column public.cases_dimension.data_quality_grade is 'The source''s grade of the state''s reporting: A+, A, B, C, D, F, N/A; as published, errors (#REF!) included. States only.';
comment on column public.cases_dimension.updated_at is 'When the state last updated its figures, by the source (UTC instant). States only.';
comment on column public.cases_dimension.total_tests_source is 'The state''s test count that total_tests is: its name in the API v1, or posNeg (positive plus negative). States only.';
comment on column public.cases_dimension.source_built_at is 'When the source built the document that last changed a row of the report (meta.build_time, UTC instant).';
comment on column public.cases_dimension.run_id is 'Run that last changed a row of the report: ops.run.run_id.';
comment on column public.cases_dimension.document_id is 'Document that last changed a row of the report: ops.document.document_id.';
comment on column public.cases_dimension.known_from is 'When the warehouse last learned of a change in a row of the report (UTC instant).';

create table public.cases_fact (
    location_id smallint not null,
    report_date date not null,
    cases_id bigint not null generated always as (
        location_id::bigint * 100000000
        + (
            extract(year from report_date) * 10000
            + extract(month from report_date) * 100
            + extract(day from report_date)
        )::bigint
    ) stored,
    total_cases bigint check (total_cases >= 0),
    total_cases_population_percent numeric check (total_cases_population_percent >= 0),
    total_cases_change_from_prior_day bigint,
    total_cases_seven_day_change_percent numeric check (total_cases_seven_day_change_percent >= -100),
    confirmed_cases bigint check (confirmed_cases >= 0),
    confirmed_cases_population_percent numeric check (confirmed_cases_population_percent >= 0),
    confirmed_cases_change_from_prior_day bigint,
    confirmed_cases_seven_day_change_percent numeric check (confirmed_cases_seven_day_change_percent >= -100),
    confirmed_cases_seven_day_average bigint check (confirmed_cases_seven_day_average >= 0),
    probable_cases bigint check (probable_cases >= 0),
    probable_cases_population_percent numeric check (probable_cases_population_percent >= 0),
    probable_cases_change_from_prior_day bigint,
    probable_cases_seven_day_change_percent numeric check (probable_cases_seven_day_change_percent >= -100),
    probable_cases_seven_day_average bigint check (probable_cases_seven_day_average >= 0),
    recovered bigint check (recovered >= 0),
    recovered_population_percent numeric check (recovered_population_percent >= 0),
    recovered_change_from_prior_day bigint,
    recovered_seven_day_change_percent numeric check (recovered_seven_day_change_percent >= -100),
    recovered_seven_day_average bigint check (recovered_seven_day_average >= 0),
    known_from timestamptz not null,
    primary key (location_id, report_date)
);
comment on table public.cases_fact is 'Cases of one location as known on one reporting day, cumulative since the start of reporting. Grain: location and reporting day. Cumulative figures are not additive over days. Null: not published, never 0.';
comment on column public.cases_fact.location_id is 'The location: location_dimension.location_id.';
comment on column public.cases_fact.report_date is 'Reporting day, as labelled by the source: date_dimension.date.';
comment on column public.cases_fact.cases_id is 'The report as one number, location and day (620210307 is CA on 2021-03-07); equals cases_dimension.cases_id.';
comment on column public.cases_fact.total_cases is 'Confirmed plus probable cases, cumulative (the nation: sum over reporting states).';
comment on column public.cases_fact.total_cases_population_percent is 'total_cases as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.cases_fact.total_cases_change_from_prior_day is 'total_cases minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.cases_fact.total_cases_seven_day_change_percent is 'Change of total_cases against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.cases_fact.confirmed_cases is 'Confirmed cases, cumulative. States only; null for the nation.';
comment on column public.cases_fact.confirmed_cases_population_percent is 'confirmed_cases as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.cases_fact.confirmed_cases_change_from_prior_day is 'confirmed_cases minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.cases_fact.confirmed_cases_seven_day_change_percent is 'Change of confirmed_cases against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.cases_fact.confirmed_cases_seven_day_average is 'Mean of confirmed_cases itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source.';
comment on column public.cases_fact.probable_cases is 'Probable cases, cumulative. States only; null for the nation.';
comment on column public.cases_fact.probable_cases_population_percent is 'probable_cases as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.cases_fact.probable_cases_change_from_prior_day is 'probable_cases minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.cases_fact.probable_cases_seven_day_change_percent is 'Change of probable_cases against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.cases_fact.probable_cases_seven_day_average is 'Mean of probable_cases itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source.';
comment on column public.cases_fact.recovered is 'People counted as recovered, cumulative. States only; null for the nation.';
comment on column public.cases_fact.recovered_population_percent is 'recovered as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.cases_fact.recovered_change_from_prior_day is 'recovered minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.cases_fact.recovered_seven_day_change_percent is 'Change of recovered against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.cases_fact.recovered_seven_day_average is 'Mean of recovered itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source.';
comment on column public.cases_fact.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at of the load that wrote it.';

create table public.testing_fact (
    location_id smallint not null,
    report_date date not null,
    cases_id bigint not null generated always as (
        location_id::bigint * 100000000
        + (
            extract(year from report_date) * 10000
            + extract(month from report_date) * 100
            + extract(day from report_date)
        )::bigint
    ) stored,
    total_tests bigint check (total_tests >= 0),
    total_tests_population_percent numeric check (total_tests_population_percent >= 0),
    total_tests_change_from_prior_day bigint,
    total_tests_seven_day_change_percent numeric check (total_tests_seven_day_change_percent >= -100),
    pending_tests bigint check (pending_tests >= 0),
    pending_tests_population_percent numeric check (pending_tests_population_percent >= 0),
    pending_tests_change_from_prior_day bigint,
    pending_tests_seven_day_change_percent numeric check (pending_tests_seven_day_change_percent >= -100),
    pending_tests_seven_day_average bigint check (pending_tests_seven_day_average >= 0),
    known_from timestamptz not null,
    primary key (location_id, report_date)
);
comment on table public.testing_fact is 'Tests of one location as known on one reporting day. Units differ between states: see cases_dimension.total_tests_source. Grain: location and reporting day. Cumulative figures are not additive over days. Null: not published, never 0.';
comment on column public.testing_fact.location_id is 'The location: location_dimension.location_id.';
comment on column public.testing_fact.report_date is 'Reporting day, as labelled by the source: date_dimension.date.';
comment on column public.testing_fact.cases_id is 'The report as one number, location and day (620210307 is CA on 2021-03-07); equals cases_dimension.cases_id.';
comment on column public.testing_fact.total_tests is 'Total test results, cumulative (a person may count many times, so that percents may pass 100).';
comment on column public.testing_fact.total_tests_population_percent is 'total_tests as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.testing_fact.total_tests_change_from_prior_day is 'total_tests minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.testing_fact.total_tests_seven_day_change_percent is 'Change of total_tests against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.testing_fact.pending_tests is 'Tests whose results were pending on the day. States only; null for the nation.';
comment on column public.testing_fact.pending_tests_population_percent is 'pending_tests as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.testing_fact.pending_tests_change_from_prior_day is 'pending_tests minus its value of the calendar day before; negative after a correction or a decline; null if either is null. Calculated by the source.';
comment on column public.testing_fact.pending_tests_seven_day_change_percent is 'Change of pending_tests against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.testing_fact.pending_tests_seven_day_average is 'Mean of pending_tests over the last 7 days, rounded. Calculated by the source.';
comment on column public.testing_fact.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at of the load that wrote it.';

create table public.hospitalization_fact (
    location_id smallint not null,
    report_date date not null,
    cases_id bigint not null generated always as (
        location_id::bigint * 100000000
        + (
            extract(year from report_date) * 10000
            + extract(month from report_date) * 100
            + extract(day from report_date)
        )::bigint
    ) stored,
    currently_hospitalized bigint check (currently_hospitalized >= 0),
    currently_hospitalized_population_percent numeric check (currently_hospitalized_population_percent >= 0),
    currently_hospitalized_change_from_prior_day bigint,
    currently_hospitalized_seven_day_change_percent numeric check (currently_hospitalized_seven_day_change_percent >= -100),
    currently_hospitalized_seven_day_average bigint check (currently_hospitalized_seven_day_average >= 0),
    cumulative_hospitalized bigint check (cumulative_hospitalized >= 0),
    currently_in_icu bigint check (currently_in_icu >= 0),
    currently_in_icu_population_percent numeric check (currently_in_icu_population_percent >= 0),
    currently_in_icu_change_from_prior_day bigint,
    currently_in_icu_seven_day_change_percent numeric check (currently_in_icu_seven_day_change_percent >= -100),
    currently_in_icu_seven_day_average bigint check (currently_in_icu_seven_day_average >= 0),
    cumulative_in_icu bigint check (cumulative_in_icu >= 0),
    currently_on_ventilator bigint check (currently_on_ventilator >= 0),
    currently_on_ventilator_population_percent numeric check (currently_on_ventilator_population_percent >= 0),
    currently_on_ventilator_change_from_prior_day bigint,
    currently_on_ventilator_seven_day_change_percent numeric check (currently_on_ventilator_seven_day_change_percent >= -100),
    currently_on_ventilator_seven_day_average bigint check (currently_on_ventilator_seven_day_average >= 0),
    cumulative_on_ventilator bigint check (cumulative_on_ventilator >= 0),
    known_from timestamptz not null,
    primary key (location_id, report_date)
);
comment on table public.hospitalization_fact is 'Hospital patients of one location on one reporting day: in care now (currently), and ever since the start of reporting (cumulative). Grain: location and reporting day. Cumulative figures are not additive over days. Null: not published, never 0.';
comment on column public.hospitalization_fact.location_id is 'The location: location_dimension.location_id.';
comment on column public.hospitalization_fact.report_date is 'Reporting day, as labelled by the source: date_dimension.date.';
comment on column public.hospitalization_fact.cases_id is 'The report as one number, location and day (620210307 is CA on 2021-03-07); equals cases_dimension.cases_id.';
comment on column public.hospitalization_fact.currently_hospitalized is 'People in hospital on the day.';
comment on column public.hospitalization_fact.currently_hospitalized_population_percent is 'currently_hospitalized as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.hospitalization_fact.currently_hospitalized_change_from_prior_day is 'currently_hospitalized minus its value of the calendar day before; negative after a correction or a decline; null if either is null. Calculated by the source.';
comment on column public.hospitalization_fact.currently_hospitalized_seven_day_change_percent is 'Change of currently_hospitalized against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.hospitalization_fact.currently_hospitalized_seven_day_average is 'Mean of currently_hospitalized over the last 7 days, rounded. Calculated by the source.';
comment on column public.hospitalization_fact.cumulative_hospitalized is 'People ever hospitalized, cumulative. States only; null for the nation.';
comment on column public.hospitalization_fact.currently_in_icu is 'People in intensive care on the day.';
comment on column public.hospitalization_fact.currently_in_icu_population_percent is 'currently_in_icu as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.hospitalization_fact.currently_in_icu_change_from_prior_day is 'currently_in_icu minus its value of the calendar day before; negative after a correction or a decline; null if either is null. Calculated by the source.';
comment on column public.hospitalization_fact.currently_in_icu_seven_day_change_percent is 'Change of currently_in_icu against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.hospitalization_fact.currently_in_icu_seven_day_average is 'Mean of currently_in_icu over the last 7 days, rounded. Calculated by the source.';
comment on column public.hospitalization_fact.cumulative_in_icu is 'People ever in intensive care, cumulative. States only; null for the nation.';
comment on column public.hospitalization_fact.currently_on_ventilator is 'People on a ventilator on the day.';
comment on column public.hospitalization_fact.currently_on_ventilator_population_percent is 'currently_on_ventilator as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.hospitalization_fact.currently_on_ventilator_change_from_prior_day is 'currently_on_ventilator minus its value of the calendar day before; negative after a correction or a decline; null if either is null. Calculated by the source.';
comment on column public.hospitalization_fact.currently_on_ventilator_seven_day_change_percent is 'Change of currently_on_ventilator against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.hospitalization_fact.currently_on_ventilator_seven_day_average is 'Mean of currently_on_ventilator over the last 7 days, rounded. Calculated by the source.';
comment on column public.hospitalization_fact.cumulative_on_ventilator is 'People ever on a ventilator, cumulative. States only; null for the nation.';
comment on column public.hospitalization_fact.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at of the load that wrote it.';

create table public.death_fact (
    location_id smallint not null,
    report_date date not null,
    cases_id bigint not null generated always as (
        location_id::bigint * 100000000
        + (
            extract(year from report_date) * 10000
            + extract(month from report_date) * 100
            + extract(day from report_date)
        )::bigint
    ) stored,
    total_deaths bigint check (total_deaths >= 0),
    total_deaths_population_percent numeric check (total_deaths_population_percent >= 0),
    total_deaths_change_from_prior_day bigint,
    total_deaths_seven_day_change_percent numeric check (total_deaths_seven_day_change_percent >= -100),
    total_deaths_seven_day_average bigint check (total_deaths_seven_day_average >= 0),
    confirmed_deaths bigint check (confirmed_deaths >= 0),
    confirmed_deaths_population_percent numeric check (confirmed_deaths_population_percent >= 0),
    confirmed_deaths_change_from_prior_day bigint,
    confirmed_deaths_seven_day_change_percent numeric check (confirmed_deaths_seven_day_change_percent >= -100),
    confirmed_deaths_seven_day_average bigint check (confirmed_deaths_seven_day_average >= 0),
    probable_deaths bigint check (probable_deaths >= 0),
    probable_deaths_population_percent numeric check (probable_deaths_population_percent >= 0),
    probable_deaths_change_from_prior_day bigint,
    probable_deaths_seven_day_change_percent numeric check (probable_deaths_seven_day_change_percent >= -100),
    probable_deaths_seven_day_average bigint check (probable_deaths_seven_day_average >= 0),
    known_from timestamptz not null,
    primary key (location_id, report_date)
);
comment on table public.death_fact is 'Deaths of one location as known on one reporting day, cumulative since the start of reporting. Grain: location and reporting day. Cumulative figures are not additive over days. Null: not published, never 0.';
comment on column public.death_fact.location_id is 'The location: location_dimension.location_id.';
comment on column public.death_fact.report_date is 'Reporting day, as labelled by the source: date_dimension.date.';
comment on column public.death_fact.cases_id is 'The report as one number, location and day (620210307 is CA on 2021-03-07); equals cases_dimension.cases_id.';
comment on column public.death_fact.total_deaths is 'Confirmed plus probable deaths, cumulative.';
comment on column public.death_fact.total_deaths_population_percent is 'total_deaths as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.death_fact.total_deaths_change_from_prior_day is 'total_deaths minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.death_fact.total_deaths_seven_day_change_percent is 'Change of total_deaths against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.death_fact.total_deaths_seven_day_average is 'Mean of total_deaths itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source.';
comment on column public.death_fact.confirmed_deaths is 'Confirmed deaths, cumulative. States only; null for the nation.';
comment on column public.death_fact.confirmed_deaths_population_percent is 'confirmed_deaths as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.death_fact.confirmed_deaths_change_from_prior_day is 'confirmed_deaths minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.death_fact.confirmed_deaths_seven_day_change_percent is 'Change of confirmed_deaths against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.death_fact.confirmed_deaths_seven_day_average is 'Mean of confirmed_deaths itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source.';
comment on column public.death_fact.probable_deaths is 'Probable deaths, cumulative. States only; null for the nation.';
comment on column public.death_fact.probable_deaths_population_percent is 'probable_deaths as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.death_fact.probable_deaths_change_from_prior_day is 'probable_deaths minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.death_fact.probable_deaths_seven_day_change_percent is 'Change of probable_deaths against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.death_fact.probable_deaths_seven_day_average is 'Mean of probable_deaths itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source.';
comment on column public.death_fact.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at of the load that wrote it.';

create table public.testing_detail_fact (
    location_id smallint not null,
    report_date date not null,
    cases_id bigint not null generated always as (
        location_id::bigint * 100000000
        + (
            extract(year from report_date) * 10000
            + extract(month from report_date) * 100
            + extract(day from report_date)
        )::bigint
    ) stored,
    test_id smallint not null,
    value bigint check (value >= 0),
    population_percent numeric check (population_percent >= 0),
    change_from_prior_day bigint,
    seven_day_change_percent numeric check (seven_day_change_percent >= -100),
    seven_day_average bigint check (seven_day_average >= 0),
    known_from timestamptz not null,
    primary key (location_id, report_date, test_id)
);
comment on table public.testing_detail_fact is 'Tests of one state by kind of test, as known on one reporting day, cumulative. Grain: location, reporting day and kind of test; a row is there if any of its five figures was published. Not additive over days, nor over kinds of test. States only.';
comment on column public.testing_detail_fact.location_id is 'The location: location_dimension.location_id.';
comment on column public.testing_detail_fact.report_date is 'Reporting day, as labelled by the source: date_dimension.date.';
comment on column public.testing_detail_fact.cases_id is 'The report as one number, location and day (620210307 is CA on 2021-03-07); equals cases_dimension.cases_id.';
comment on column public.testing_detail_fact.test_id is 'The kind of test: test_dimension.test_id.';
comment on column public.testing_detail_fact.value is 'Tests, or people tested, cumulative, in the unit of the kind of test.';
comment on column public.testing_detail_fact.population_percent is 'value as a percent of the population, 0 to 100 and beyond, 4 decimals. Calculated by the source.';
comment on column public.testing_detail_fact.change_from_prior_day is 'value minus its value of the calendar day before; negative after a correction; null if either is null. Calculated by the source.';
comment on column public.testing_detail_fact.seven_day_change_percent is 'Change of value against 7 days before, in percent of the value then, 1 decimal; null if that was null or 0. Calculated by the source.';
comment on column public.testing_detail_fact.seven_day_average is 'Mean of value itself over the last 7 days, rounded: the mean of a running total, not of new ones per day. Calculated by the source. Not published for every kind.';
comment on column public.testing_detail_fact.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at of the load that wrote it.';
