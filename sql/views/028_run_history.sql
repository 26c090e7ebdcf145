-- mart.run_history is for operators: how each run went, how long it took, and what was open at its end.

create or replace view mart.run_history as
select
    run.run_id,
    run.command,
    run.source,
    run.locations,
    run.first_day,
    run.last_day,
    run.status,
    run.exit_code,
    run.started_at,
    run.ended_at,
    extract(epoch from coalesce(run.ended_at, now()) - run.started_at) as seconds,
    (counts.documents ->> 'requested')::integer as documents_requested,
    (counts.documents ->> 'loaded')::integer as documents_loaded,
    (counts.documents ->> 'unchanged')::integer as documents_unchanged,
    (counts.documents ->> 'not_modified')::integer as documents_not_modified,
    (counts.documents ->> 'not_published')::integer as documents_not_published,
    (counts.documents ->> 'stale')::integer as documents_stale,
    (counts.documents ->> 'skipped')::integer as documents_skipped,
    (counts.documents ->> 'failed')::integer as documents_failed,
    (counts.documents ->> 'rejected')::integer as documents_rejected,
    (run.summary ->> 'revisions')::bigint as revisions,
    (
        select count(*)
        from ops.document_load as event
        where
            event.outcome = 'rejected' and event.known_at <= counts.at
            and coalesce(event.closed_at > counts.at, true)
    ) as open_rejections,
    (
        select count(*)
        from ops.drift as change
        where
            change.first_seen_at <= counts.at
            and coalesce(change.accepted_at > counts.at, true) and coalesce(change.ended_at > counts.at, true)
    ) as open_drift,
    (
        select count(*)
        from ops.finding as finding
        where finding.found_at <= counts.at and coalesce(finding.ended_at > counts.at, true)
    ) as open_findings
from ops.run as run
cross join lateral (
    select
        run.summary -> 'documents' as documents,
        coalesce(run.ended_at, now()) as at
) as counts;
comment on view mart.run_history is 'One row per load or replay: how it went, how long it took, its documents by outcome, and what was open when it ended.';
comment on column mart.run_history.run_id is 'Number of the run: ops.run.run_id.';
comment on column mart.run_history.command is 'load, replay, or replay --rejected.';
comment on column mart.run_history.source is 'Source of the documents, as in ops.run.';
comment on column mart.run_history.locations is 'The --locations option as given.';
comment on column mart.run_history.first_day is 'First reporting day that the run asked for.';
comment on column mart.run_history.last_day is 'Last reporting day that the run asked for.';
comment on column mart.run_history.status is 'Status of the run, as in ops.run.';
comment on column mart.run_history.exit_code is 'Exit code of the process; null while the run lasts, or if it was killed.';
comment on column mart.run_history.started_at is 'Start (UTC instant); now() - started_at is the age of the run.';
comment on column mart.run_history.ended_at is 'End (UTC instant); null while the run lasts.';
comment on column mart.run_history.seconds is 'Seconds from start to end, or so far.';
comment on column mart.run_history.documents_requested is 'Documents asked for; like all counts, null if the run was killed.';
comment on column mart.run_history.documents_loaded is 'Documents with news, whose rows were written.';
comment on column mart.run_history.documents_unchanged is 'Documents with the same data as loaded last.';
comment on column mart.run_history.documents_not_modified is 'Documents that had not changed, as the source said.';
comment on column mart.run_history.documents_not_published is 'Documents of a day that the source does not have.';
comment on column mart.run_history.documents_stale is 'Documents built before the one loaded last.';
comment on column mart.run_history.documents_skipped is 'Documents that people have decided to pass over.';
comment on column mart.run_history.documents_failed is 'Documents that could not be had or written.';
comment on column mart.run_history.documents_rejected is 'Documents that broke the contract.';
comment on column mart.run_history.revisions is 'Rows that the run revised or withdrew.';
comment on column mart.run_history.open_rejections is 'Rejected documents that were open at the end of the run, or are open now while it lasts.';
comment on column mart.run_history.open_drift is 'Changes of the source that were open then.';
comment on column mart.run_history.open_findings is 'Findings that stood then.';
