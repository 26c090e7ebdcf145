-- Brings one table to what one document says of one location.
--
-- It serves every table of the star: etl/load/merge.py fills in the names that etl/transform/declaration.py declares.
-- All parts of the statement see the table as it was before it. A row that does not differ is not touched: it gets no new
-- version, no lock and no WAL.
--
-- Bound: location_id; days, the only ones whose rows may change; changed_days, on which a row counts as changed even if
-- its values are not; known_at, run_id, document_id, build_time and change of the event.
with known as (
    select {columns} from public.{table}
    where
        location_id = %(location_id)s
        and report_date = any(%(days)s::date[])
),

staged as (
    select
        true as is_staged,
        *
    from {stage}
),

difference as (
    select
        {key},
        known.location_id is null as is_new,
        staged.is_staged is null as is_gone,
        {staged_values}
    from known
    full join staged using ({key})
    where
        known.location_id is null
        or staged.is_staged is null
        or row({known_values}) is distinct from row({staged_values})
        or report_date = any(%(changed_days)s)
),

superseded as (
    insert into history.{revision} ({columns}, known_to, change, changed_columns, superseded_by_run_id)
    select
        {known_columns},
        %(known_at)s,
        case when difference.is_gone then 'withdrawn' else %(change)s end as change,
        case
            when difference.is_gone then array[]::text[]
            else array_remove(array[{changed_columns}], null)
        end as changed_columns,
        %(run_id)s
    from known
    inner join difference using ({key})
    returning change = 'withdrawn' or changed_columns <> array[]::text[] as is_revision
),

withdrawn as (
    delete from public.{table} as target
    using difference
    where
        target.location_id = %(location_id)s
        and ({target_key}) = ({new_key})
        and difference.is_gone
),

updated as (
    update public.{table} as target
    set {assignments}
    from difference
    where
        target.location_id = %(location_id)s
        and ({target_key}) = ({new_key})
        and not difference.is_new and not difference.is_gone
),

inserted as (
    insert into public.{table} (location_id, {key}, {values}, {stamps})
    select
        %(location_id)s,
        {key},
        {values},
        {stamp_values}
    from difference
    where is_new
)

select
    count(*) filter (where is_new) as inserted,
    count(*) filter (where not is_new and not is_gone) as updated,
    count(*) filter (where is_gone) as withdrawn,
    (select count(*) filter (where superseded.is_revision) from superseded) as revisions,
    array_agg(distinct report_date) as changed_days
from difference;
