-- history.<table>_as_of(instant) has the rows that were believed at any time, for every table with a history.
-- The functions are made from the tables' own columns, so that none can be forgotten.

do $$
declare
    tracked text;
    columns text;
begin
    foreach tracked in array array[
        'cases_dimension', 'cases_fact', 'testing_fact', 'hospitalization_fact', 'death_fact', 'testing_detail_fact'
    ] loop
        select string_agg(quote_ident(attname), ', ' order by attnum) into strict columns
        from pg_attribute
        where attrelid = format('public.%I', tracked)::regclass and attnum > 0 and not attisdropped;

        execute format(
            $create$
                create or replace function history.%1$I(at timestamptz) returns setof public.%2$I
                language sql stable parallel safe as $body$
                    select %3$s from public.%2$I where known_from <= at
                    union all
                    select %3$s from history.%4$I where known_from <= at and at < known_to
                $body$
            $create$,
            tracked || '_as_of', tracked, columns, tracked || '_revision'
        );
        execute format(
            'comment on function history.%I(timestamptz) is %L',
            tracked || '_as_of', format('Rows of %s as they were believed at an instant; before the first load there are none.', tracked)
        );
    end loop;
end
$$;
