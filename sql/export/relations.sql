-- Each relation that can be exported (the dimensions and facts in public, the views in mart), with its columns and the
-- query that reads it. A relation that knows its location only by number gets the location's code as its first column.
-- Rows are ordered by location, day and key, so that exports of the same rows are the same.
with relation as (
    select
        class.oid,
        namespace.nspname as schema,
        class.relname as name,
        case when class.relkind in ('v', 'm') then 'view' else 'table' end as kind,
        coalesce(obj_description(class.oid, 'pg_class'), '') as meaning
    from pg_class as class
    inner join pg_namespace as namespace on class.relnamespace = namespace.oid
    where
        (namespace.nspname = 'public' and class.relkind in ('r', 'p') and class.relname ~ '_(dimension|fact)$')
        or (namespace.nspname = 'mart' and class.relkind in ('v', 'm'))
),

own_column as (
    select
        relation.oid,
        attribute.attnum as position,
        attribute.attname as name,
        format_type(attribute.atttypid, null) as type,
        coalesce(col_description(relation.oid, attribute.attnum), '') as meaning,
        coalesce(attribute.attnum = any(key.conkey), false) as in_key
    from relation
    inner join pg_attribute as attribute on relation.oid = attribute.attrelid
    left join pg_constraint as key on relation.oid = key.conrelid and key.contype = 'p'
    where attribute.attnum > 0 and not attribute.attisdropped
),

shown_column as (
    select * from own_column
    union all
    select
        number.oid,
        0 as position,
        code.name,
        code.type,
        code.meaning,
        false as in_key
    from own_column as number
    inner join own_column as code on code.oid = 'public.location_dimension'::regclass and code.name = 'location_code'
    where
        number.name = 'location_id'
        and not exists (
            select from own_column as own
            where own.oid = number.oid and own.name = 'location_code'
        )
),

relation_columns as (
    select
        oid,
        min(position) = 0 as has_added_code,
        bool_or(name = 'location_code') and bool_or(name = 'report_date') as is_partitioned,
        jsonb_agg(jsonb_build_object('name', name, 'type', type, 'meaning', meaning) order by position) as columns,
        -- Where the usual text of Postgres is not what other programs read, the query says how a value is written.
        string_agg(
            case type
                when 'timestamp with time zone'
                    then format($$to_char(%1$I at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as %1$I$$, name)
                when 'boolean' then format('%1$I::text as %1$I', name)
                else format('%I', name)
            end,
            ', ' order by position
        ) as expressions,
        string_agg(
            format('%I', name), ', ' order by name <> 'location_code', name <> 'report_date', position
        ) filter (where in_key or name in ('location_code', 'report_date', 'geo_value', 'time_value', 'version', 'measure')) as ordering
    from shown_column
    group by oid
)

select
    relation.name,
    relation.kind,
    relation.meaning,
    described.is_partitioned,
    described.columns,
    format('select %s from %I.%I', described.expressions, relation.schema, relation.name)
    || case
        when described.has_added_code
            then ' left join (select location_id, location_code from public.location_dimension) as code using (location_id)'
        else ''
    end
    || coalesce(' order by ' || described.ordering, '') as query
from relation
inner join relation_columns as described using (oid)
order by relation.schema <> 'public', relation.name !~ '_fact$', relation.oid;
