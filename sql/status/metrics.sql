-- The state of the warehouse as metrics, in the order in which a textfile of Prometheus shows them: the name, the help,
-- the labels, and the value. Times are seconds since 1970.
with last_run as (
    select *
    from mart.run_history
    where ended_at is not null
    order by run_id desc
    limit 1
),

success as (
    select max(ended_at) as at
    from ops.run
    where (exit_code in (0, 4) or summary @> '{"exit_code": 5, "told": true}') and command = 'load'
)

select
    metric.name,
    metric.help,
    metric.labels,
    metric.value
from success
left join last_run on true
cross join
    lateral (
        values
        ('last_success_timestamp_seconds', 'End of the last load that went well.', '', extract(epoch from success.at)),
        ('last_run_timestamp_seconds', 'End of the last run.', '', extract(epoch from last_run.ended_at)),
        ('last_run_duration_seconds', 'Duration of the last run.', '', last_run.seconds),
        ('last_run_exit_code', 'Exit code of the last run.', '', last_run.exit_code),
        ('last_run_revisions', 'Rows that the last run revised or withdrew.', '', last_run.revisions),
        ('last_run_documents', 'Documents of the last run by outcome.', '{outcome="loaded"}', last_run.documents_loaded),
        ('last_run_documents', '', '{outcome="unchanged"}', last_run.documents_unchanged),
        ('last_run_documents', '', '{outcome="not_modified"}', last_run.documents_not_modified),
        ('last_run_documents', '', '{outcome="not_published"}', last_run.documents_not_published),
        ('last_run_documents', '', '{outcome="stale"}', last_run.documents_stale),
        ('last_run_documents', '', '{outcome="skipped"}', last_run.documents_skipped),
        ('last_run_documents', '', '{outcome="failed"}', last_run.documents_failed),
        ('last_run_documents', '', '{outcome="rejected"}', last_run.documents_rejected),
        (
            'open_rejections', 'Rejected documents that are open.', '',
            (
                select count(*) from ops.document_load
                where outcome = 'rejected' and closed_at is null
            )
        ),
        (
            'open_drift', 'Changes of the source that are open.', '',
            (
                select count(*) from ops.drift
                where accepted_at is null and ended_at is null
            )
        ),
        ('open_findings', 'Findings that stand.', '', (
            select count(*) from ops.finding
            where ended_at is null
        )),
        ('reports', 'Reports in the star.', '', (select count(*) from public.cases_dimension)),
        ('database_bytes', 'Size of the database.', '', pg_database_size(current_database()))
    ) as metric (name, help, labels, value)
where metric.value is not null;
