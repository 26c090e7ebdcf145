-- Every version of every published number, in the layout that forecasters read, and how the numbers were revised.
-- The view is made from the numbers that the source did not calculate, so that none can be forgotten.

do $$
declare
    arms text;
begin
    select string_agg(format(
        $arm$
            select
                row.location_id,
                row.report_date,
                cell.measure,
                step.version,
                case when step.is_there then cell.value end as value
            from (
                select %1$s, known_from, null::timestamptz as withdrawn_at from public.%2$I
                union all
                select %1$s, known_from, case when change = 'withdrawn' then known_to end from history.%3$I
            ) as row %4$s
            cross join lateral (values %5$s) as cell (measure, value)
            cross join lateral (values (row.known_from, true), (row.withdrawn_at, false)) as step (version, is_there)
            where step.version is not null
        $arm$,
        names, fact, fact || '_revision', joined, cells
    ), ' union all ' order by fact) into strict arms
    from (
        select
            facts.fact,
            case when facts.is_detail then 'inner join public.test_dimension as test using (test_id)' else '' end as joined,
            concat_ws(
                ', ', 'location_id', 'report_date', case when facts.is_detail then 'test_id' end,
                string_agg(quote_ident(col.attname), ', ' order by col.attnum)
            ) as names,
            string_agg(
                case
                    when facts.is_detail
                        then '(concat_ws(''_'', test.test_type, test.unit, test.result), row.value)'
                    else format('(%1$L, row.%1$I)', col.attname)
                end,
                ', ' order by col.attnum
            ) as cells
        from (
            values
            ('cases_fact', false), ('testing_fact', false), ('hospitalization_fact', false), ('death_fact', false),
            ('testing_detail_fact', true)
        ) as facts (fact, is_detail)
        inner join pg_attribute as col on col.attrelid = format('public.%I', facts.fact)::regclass
        inner join pg_attribute as past
            on past.attrelid = format('history.%I', facts.fact || '_revision')::regclass and past.attname = col.attname
        where
            col.attnum > 0 and not col.attisdropped and not past.attisdropped
            and col.atttypid = 'bigint'::regtype and past.atttypid = 'bigint'::regtype and col.attname <> 'cases_id'
            and col.attname !~ '(change_from_prior_day|seven_day_average)$'
        group by facts.fact, facts.is_detail
    ) as described;

    execute format(
        $create$
            create view mart.archive as
            select geo_value, time_value, version, measure, value
            from (
                select
                    *,
                    lag(value) over (partition by geo_value, time_value, measure order by version, value nulls first)
                        as value_before
                from (
                    select
                        lower(location.location_code) as geo_value,
                        cell.report_date as time_value,
                        cell.version,
                        cell.measure,
                        cell.value
                    from (%s) as cell
                    inner join public.location_dimension as location using (location_id)
                ) as placed
            ) as compared
            where value is distinct from value_before
        $create$, arms
    );
end
$$;
comment on view mart.archive is 'One row per change of a published number, in the layout of epidemic archives (such as epiprocess''s epi_archive): its value from a version on. A number that is not published any more has a row with null; a version that changes nothing has none.';
comment on column mart.archive.geo_value is 'Postal code in small letters; the nation is us.';
comment on column mart.archive.time_value is 'Reporting day.';
comment on column mart.archive.version is 'When the value became known (UTC instant): the time of a vintage, or of a load.';
comment on column mart.archive.measure is 'Column of the number, such as total_deaths; a kind of test has its type, unit and result, such as pcr_people_positive.';
comment on column mart.archive.value is 'The number; null if it is not published any more.';

create view mart.revision_summary as
with
placed as (
    select
        archive.geo_value,
        archive.time_value,
        archive.measure,
        source.total_tests_source,
        archive.version,
        archive.value,
        (archive.version at time zone 'UTC')::date - archive.time_value as lag
    from mart.archive
    -- A change of the unit of total_tests is no revision.
    left join lateral (
        select belief.total_tests_source
        from public.location_dimension as location
        inner join (
            select
                location_id,
                report_date,
                known_from,
                'infinity'::timestamptz as known_to,
                total_tests_source
            from public.cases_dimension
            union all
            select
                location_id,
                report_date,
                known_from,
                known_to,
                total_tests_source
            from history.cases_dimension_revision
        ) as belief using (location_id)
        where
            lower(location.location_code) = archive.geo_value
            and belief.report_date = archive.time_value
            and belief.known_from <= archive.version and archive.version < belief.known_to
    ) as source on archive.measure = 'total_tests'
    where archive.value is not null
),

version as (
    select
        *,
        lag(value) over steps as value_before,
        last_value(value) over (steps rows between unbounded preceding and unbounded following) as latest_value
    from placed
    window steps as (partition by geo_value, time_value, measure, total_tests_source order by version)
),

judged as (
    select
        *,
        max(version) filter (where abs(value - latest_value) > 0.01 * abs(latest_value)) over (
            partition by geo_value, time_value, measure, total_tests_source
        ) as last_far
    from version
    where value is distinct from value_before
)

select
    upper(geo_value) as location_code,
    time_value as report_date,
    measure,
    total_tests_source,
    count(*) - 1 as n_revisions,
    min(lag) as min_lag,
    max(lag) as max_lag,
    min(lag) filter (where last_far is null or version > last_far) as lag_near_latest,
    max(value) - min(value) as spread,
    round((max(value) - min(value)) / nullif(max(abs(value)), 0)::numeric, 4) as rel_spread,
    min(latest_value) as latest_value
from judged
group by geo_value, time_value, measure, total_tests_source;
comment on view mart.revision_summary is 'One row per report and number: how often and how much it was revised, and when it settled, in the terms of epiprocess''s revision_summary. A total of tests has a row for each source of it, so that a change of unit is no revision; withdrawals are none either.';
comment on column mart.revision_summary.location_code is 'Postal code; the nation is US.';
comment on column mart.revision_summary.report_date is 'Reporting day.';
comment on column mart.revision_summary.measure is 'The number, as in mart.archive.';
comment on column mart.revision_summary.total_tests_source is 'The state''s count that total_tests was; null for other measures, and where the source did not say.';
comment on column mart.revision_summary.n_revisions is 'How many times the value changed after it was published first.';
comment on column mart.revision_summary.min_lag is 'Days from the reporting day to the first version.';
comment on column mart.revision_summary.max_lag is 'Days from the reporting day to the last version that changed the value.';
comment on column mart.revision_summary.lag_near_latest is 'Days from the reporting day to the version from which on the value stayed within 1 percent of the latest.';
comment on column mart.revision_summary.spread is 'The highest value minus the lowest.';
comment on column mart.revision_summary.rel_spread is 'spread as a share of the highest value, 0 to 1, 4 decimals; null if all values are 0.';
comment on column mart.revision_summary.latest_value is 'The value of the last version.';
