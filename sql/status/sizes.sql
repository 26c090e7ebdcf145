-- How large everything is, in bytes, and which file of sql/ was applied last.
select
    pg_database_size(current_database()) as database_bytes,
    (
        select sum(pg_total_relation_size(oid))::bigint
        from pg_class
        where relkind = 'r' and relnamespace = 'public'::regnamespace
    ) as star_bytes,
    (
        select sum(pg_total_relation_size(oid))::bigint
        from pg_class
        where relkind = 'r' and relnamespace = 'history'::regnamespace
    ) as history_bytes,
    pg_total_relation_size('ops.document') as documents_bytes,
    (select count(*) from ops.migration) as schema_files,
    (
        select max(file)
        from ops.migration
        where not starts_with(file, 'views/')
    ) as schema_version;
