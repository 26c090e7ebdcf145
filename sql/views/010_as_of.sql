-- history.<table>_as_of(instant) has the rows that were believed at any time, for every table with a history.
-- The functions are made from the columns that a table and its history share, so that none can be forgotten, and a
-- column that somebody added to one of them is left out. A body of `begin atomic` means what it meant when it was made,
-- whatever a caller has in search_path.

do $$
declare
    tracked text;
    columns text;
    typed_columns text;
begin
    foreach tracked in array array[
        'cases_dimension', 'cases_fact', 'testing_fact', 'hospitalization_fact', 'death_fact', 'testing_detail_fact'
    ] loop
        select
            string_agg(quote_ident(col.attname), ', ' order by col.attnum),
            string_agg(format('%I %s', col.attname, format_type(col.atttypid, col.atttypmod)), ', ' order by col.attnum)
        into strict columns, typed_columns
        from pg_attribute as col
        inner join pg_attribute as old
            on old.attname = col.attname and old.atttypid = col.atttypid and not old.attisdropped
        where
            col.attrelid = format('public.%I', tracked)::regclass
            and old.attrelid = format('history.%I', tracked || '_revision')::regclass
            and col.attnum > 0 and not col.attisdropped;

        execute format(
            $create$
                create function history.%1$I(at timestamptz) returns table (%2$s)
                language sql stable parallel safe begin atomic
                    select %3$s from public.%4$I where known_from <= %1$I.at
                    union all
                    select %3$s from history.%5$I where known_from <= %1$I.at and %1$I.at < known_to;
                end
            $create$,
            tracked || '_as_of', typed_columns, columns, tracked, tracked || '_revision'
        );
        execute format(
            'comment on function history.%I(timestamptz) is %L',
            tracked || '_as_of', format('Rows of %s as they were believed at an instant; the shipped past included.', tracked)
        );
    end loop;
end
$$;
