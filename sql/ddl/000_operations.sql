-- Operations: what was applied, which runs there were, which documents they read, and what became of them.
-- Applied by `main.py init-db` and `main.py load`; also by hand: psql -v ON_ERROR_STOP=1 -f sql/ddl/000_operations.sql

create schema ops;
comment on schema ops is 'Operations of covid-tracking-etl: runs, documents as received, what became of each, applied schema files.';

create table ops.migration (
    file text primary key,
    checksum text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table ops.migration is 'One row per applied SQL file. A file that has changed since it was applied stops the program.';
comment on column ops.migration.file is 'Path below sql/, for example ddl/020_facts.sql.';
comment on column ops.migration.checksum is 'SHA-256 of the file as it was applied, hexadecimal.';
comment on column ops.migration.applied_at is 'When the file was applied (UTC instant).';

create table ops.run (
    run_id bigint generated always as identity primary key,
    source text not null,
    first_day date not null,
    last_day date not null,
    locations text not null,
    program_version text not null,
    host text not null,
    pid integer not null,
    started_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    status text not null default 'running'
    check (status in ('running', 'ok', 'partial', 'failed', 'interrupted')),
    exit_code smallint,
    summary jsonb,
    check ((status = 'running') = (ended_at is null))
);
comment on table ops.run is 'One row per load that was started. Dry runs leave none.';
comment on column ops.run.run_id is 'Number of the run, in order of start; gaps are normal.';
comment on column ops.run.source is 'Where the documents came from: api, snapshot, an address or a directory.';
comment on column ops.run.first_day is 'First reporting day that the run asked for.';
comment on column ops.run.last_day is 'Last reporting day that the run asked for.';
comment on column ops.run.locations is 'The --locations option as given.';
comment on column ops.run.program_version is 'Version of covid-tracking-etl.';
comment on column ops.run.host is 'Host name of the machine or container that ran it.';
comment on column ops.run.pid is 'Process id on that host.';
comment on column ops.run.started_at is 'Start (UTC instant).';
comment on column ops.run.ended_at is 'End (UTC instant); null while it runs.';
comment on column ops.run.status is 'running; ok: everything asked for was had; partial: some documents were not; failed; interrupted: by a signal, or found left open by a later run.';
comment on column ops.run.exit_code is 'Exit code of the process; null while it runs or when it was killed.';
comment on column ops.run.summary is 'The summary as printed by --json: counts of documents and rows, failures, seconds.';

create table ops.document (
    document_id bigint generated always as identity primary key,
    sha256 text not null unique,
    data_hash text,
    body bytea,
    size_bytes bigint not null check (size_bytes >= 0)
);
alter table ops.document alter column body set storage external;
comment on table ops.document is 'One row per distinct document received: its bytes, from which every figure can be derived again.';
comment on column ops.document.document_id is 'Number of the document; gaps are normal.';
comment on column ops.document.sha256 is 'SHA-256 of the decompressed body, hexadecimal; equals sha256sum of the file.';
comment on column ops.document.data_hash is 'SHA-256 of the data subtree in canonical form: build time, key order and white space do not count. Null where the contract is broken.';
comment on column ops.document.body is 'The body, gzip-compressed: as received where the source compressed it, else by the loader. Null after `prune`.';
comment on column ops.document.size_bytes is 'Length of the decompressed body, in bytes.';

create table ops.document_load (
    document_load_id bigint generated always as identity primary key,
    run_id bigint not null references ops.run,
    document_id bigint not null references ops.document,
    source text not null,
    address text not null,
    location_id smallint,
    first_day date not null,
    last_day date not null,
    outcome text not null check (outcome in ('loaded', 'rejected')),
    reason text,
    known_at timestamptz not null unique,
    build_time timestamptz,
    processing_key text not null,
    etag text,
    last_modified text,
    changed_rows bigint not null default 0 check (changed_rows >= 0),
    check ((outcome = 'rejected') = (reason is not null))
);
create index document_load_location on ops.document_load (location_id, document_load_id);
comment on table ops.document_load is 'One row per document that was loaded or rejected, in order. Documents without news leave no row.';
comment on column ops.document_load.document_load_id is 'Number of the event, in order; gaps are normal.';
comment on column ops.document_load.run_id is 'The run that did it.';
comment on column ops.document_load.document_id is 'The content.';
comment on column ops.document_load.source is 'Where the document came from, as in ops.run.';
comment on column ops.document_load.address is 'Path of the document below the source, for example states/ca/daily.json.';
comment on column ops.document_load.location_id is 'Location that the document speaks of; null for states.json.';
comment on column ops.document_load.first_day is 'First reporting day for which the document was taken as complete.';
comment on column ops.document_load.last_day is 'Last reporting day for which the document was taken as complete.';
comment on column ops.document_load.outcome is 'loaded, or rejected: it broke the contract and changed nothing.';
comment on column ops.document_load.reason is 'Why it was rejected, with the paths; null if loaded.';
comment on column ops.document_load.known_at is 'When the warehouse learned it (UTC instant), strictly increasing. Rows written by this load have it as known_from.';
comment on column ops.document_load.build_time is 'When the source says it built the document (meta.build_time, UTC instant).';
comment on column ops.document_load.processing_key is 'Hash of the rules that turned the document into rows.';
comment on column ops.document_load.etag is 'Validator of the document, to ask for it only if it has changed; null if it was not wholly loaded.';
comment on column ops.document_load.last_modified is 'Validator of the document, as etag.';
comment on column ops.document_load.changed_rows is 'How many rows of the star it inserted, updated or withdrew; 0 for one that confirmed what was known.';
