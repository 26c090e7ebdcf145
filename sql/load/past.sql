-- Puts versions of rows from before the first load into the history of one table. The last version of a row ends when the
-- first loaded one begins. That end is a revision in the columns that the last vintage carried and that differ.
--
-- etl/load/past.py fills in the names, and the query of the versions. They are staged at first. After a replay they are
-- taken out of the history, since the loaded row that ended them may have become another.
--
-- Bound: location_id, last_vintage; for staged versions known_at and run_id of the load that brings them.
with version as (
    {versions}
),

loaded as (
    select distinct on ({key}) *
    from (
        select
            {key},
            {values},
            known_from
        from public.{table}
        where location_id = %(location_id)s
        union all
        select
            {key},
            {values},
            known_from
        from history.{revision}
        where location_id = %(location_id)s and known_from > %(last_vintage)s
    ) as loaded_row
    order by {key}, known_from
)

insert into history.{revision} (
    location_id, cases_id, {key}, {values}, {stamps}, known_to, change, changed_columns, superseded_by_run_id
)
select
    %(location_id)s,
    %(location_id)s::bigint * 100000000 + to_char(report_date, 'YYYYMMDD')::bigint as cases_id,
    {key},
    {version_values},
    {stamp_values},
    coalesce(version.known_to, loaded.known_from, version.ends_at),
    coalesce(version.change, case when loaded.known_from is null then 'withdrawn' else 'revised' end),
    case
        when version.changed_columns is not null then version.changed_columns
        when loaded.known_from is null then array[]::text[]
        else array_remove(array[{changed_columns}], null)
    end,
    version.run_id
from version
left join loaded using ({key});
