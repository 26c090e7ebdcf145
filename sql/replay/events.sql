-- The loads of some locations in their order, with what a superseded row was called then.
select
    load.document_load_id,
    load.run_id,
    load.document_id,
    load.address,
    load.location_id,
    load.first_day,
    load.last_day,
    load.known_at,
    load.build_time,
    case
        when load.source = lag(load.source) over (partition by load.location_id order by load.document_load_id)
            then 'revised'
        else 'source_changed'
    end as change,
    document.body is null as is_pruned
from ops.document_load as load
inner join ops.document using (document_id)
where load.outcome = 'loaded' and load.location_id = any(%(location_ids)s)
order by load.document_load_id;
