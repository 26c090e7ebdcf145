-- Every column of what can be exported: of the star (the dimensions and facts in public) and of the views in mart.
select
    relation.relname as relation,
    case when relation.relkind in ('v', 'm') then 'view' else 'table' end as kind,
    namespace.nspname as schema,
    coalesce(obj_description(relation.oid, 'pg_class'), '') as meaning,
    attribute.attname as column_name,
    format_type(attribute.atttypid, null) as type,
    coalesce(col_description(relation.oid, attribute.attnum), '') as column_meaning,
    coalesce(attribute.attnum = any(key.conkey), false) as in_key
from pg_class as relation
inner join pg_namespace as namespace on relation.relnamespace = namespace.oid
inner join pg_attribute as attribute on relation.oid = attribute.attrelid
left join pg_constraint as key on relation.oid = key.conrelid and key.contype = 'p'
where
    (
        (namespace.nspname = 'public' and relation.relkind in ('r', 'p') and relation.relname ~ '_(dimension|fact)$')
        or (namespace.nspname = 'mart' and relation.relkind in ('v', 'm'))
    )
    and attribute.attnum > 0
    and not attribute.attisdropped
order by namespace.nspname <> 'public', relation.relname !~ '_fact$', relation.oid, attribute.attnum;
