-- Every number that was revised or withdrawn. The view is made from the numbers that a fact and its history share, with
-- one arm per fact of the same text, so that none can be forgotten or differ.

do $$
declare
    arms text;
begin
    with
    measures as (
        select
            facts.fact,
            facts.is_detail,
            quote_literal(array_agg(col.attname order by col.attnum)) as names,
            string_agg(format('when %1$L then old.%1$I', col.attname), ' ' order by col.attnum) as old_values,
            string_agg(
                format('when %1$L then coalesce(next.%1$I, current.%1$I)', col.attname), ' ' order by col.attnum
            ) as new_values
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
            and col.atttypid in ('bigint'::regtype, 'numeric'::regtype) and past.atttypid = col.atttypid
            and col.attname <> all(array['location_id', 'report_date', 'cases_id', 'test_id', 'known_from'])
        group by facts.fact, facts.is_detail
    )

    -- The row in the place of an old one begins when the old one ends, and is the current row or in the history too.
    select string_agg(format(
        $arm$
            select
                location.location_code,
                old.report_date,
                %1$L as fact,
                %2$s as test_id,
                cell.measure,
                case cell.measure %3$s end as old_value,
                case cell.measure %4$s end as new_value,
                old.known_from as believed_from,
                old.known_to as known_from,
                old.location_id,
                old.change as kind,
                old.superseded_by_run_id as run_id
            from history.%5$I as old
            inner join public.location_dimension as location using (location_id)
            left join public.%1$I as current on
                current.location_id = old.location_id and current.report_date = old.report_date
                and current.known_from = old.known_to and old.change <> 'withdrawn' %6$s
            left join history.%5$I as next on
                next.location_id = old.location_id and next.report_date = old.report_date
                and next.known_from = old.known_to and old.change <> 'withdrawn' %7$s
            cross join lateral unnest(
                case when old.change = 'withdrawn' then %8$s::text[] else old.changed_columns end
            ) as cell (measure)
            where old.change <> 'withdrawn' or case cell.measure %3$s end is not null
        $arm$,
        fact,
        case when is_detail then 'old.test_id' else 'null::smallint' end,
        old_values,
        new_values,
        fact || '_revision',
        case when is_detail then 'and current.test_id = old.test_id' else '' end,
        case when is_detail then 'and next.test_id = old.test_id' else '' end,
        names
    ), ' union all ' order by fact) into strict arms
    from measures;

    execute format(
        $create$
            create view mart.revision_history as
            with carried as (
                select
                    series, known_at, part.label, lag(known_at) over (partition by series, part.label order by known_at) as before
                from ops.vintage
                cross join lateral unnest(carried) as part (label)
            )

            select
                cell.location_code, cell.report_date, cell.fact, test.test_type, test.unit, test.result,
                cell.measure, cell.old_value, cell.new_value, cell.believed_from, carried.before as known_after, cell.known_from,
                (carried.before at time zone 'UTC')::date - cell.report_date as lag_days_min,
                (cell.known_from at time zone 'UTC')::date - cell.report_date as lag_days,
                cell.kind, cell.run_id
            from (%s) as cell
            left join public.test_dimension as test using (test_id)
            left join carried on
                carried.known_at = cell.known_from
                and carried.series = case cell.location_id when 0 then 'nation' else 'state' end
                and carried.label = cell.fact || '.' || cell.measure || coalesce(' (test_id ' || test_id || ')', '')
        $create$, arms
    );
end
$$;
comment on view mart.revision_history is 'One row per number of a fact that was changed or withdrawn, with its old and its new value. Changed grades and the like are in history.cases_dimension_revision.';
comment on column mart.revision_history.location_code is 'Postal code; the nation is US.';
comment on column mart.revision_history.report_date is 'Reporting day of the number.';
comment on column mart.revision_history.fact is 'Table of the number.';
comment on column mart.revision_history.test_type is 'Test: pcr, antibody or antigen; testing_detail_fact only.';
comment on column mart.revision_history.unit is 'Unit that is counted: encounters, specimens or people; testing_detail_fact only.';
comment on column mart.revision_history.result is 'Results that are counted; testing_detail_fact only.';
comment on column mart.revision_history.measure is 'Column of the number.';
comment on column mart.revision_history.old_value is 'The number that was believed; null if it was not published.';
comment on column mart.revision_history.new_value is 'The number in its place; null if it is not published any more.';
comment on column mart.revision_history.believed_from is 'When the old value began to be believed (UTC instant).';
comment on column mart.revision_history.known_after is 'The vintage before that carried the column (UTC instant): the change was published between it and known_from. Null if a load learned of the change.';
comment on column mart.revision_history.known_from is 'When the change was known (UTC instant), by a vintage or a load; it may have been published before.';
comment on column mart.revision_history.lag_days_min is 'Days from the reporting day to known_after: the change came later. Null with it.';
comment on column mart.revision_history.lag_days is 'Days from the reporting day to known_from: the change came no later.';
comment on column mart.revision_history.kind is 'revised; withdrawn: the whole row is no longer published; source_changed: the next load read another source.';
comment on column mart.revision_history.run_id is 'Run that learned of the change: ops.run.run_id.';
