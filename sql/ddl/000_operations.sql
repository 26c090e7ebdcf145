-- Operations: the applied files, the runs, the documents that they read, and the events, changes and alerts of these.
-- Applied by `main.py init-db` and `main.py load`; also by hand: psql -v ON_ERROR_STOP=1 -f sql/ddl/000_operations.sql

create schema ops;
comment on schema ops is 'Operations of covid-tracking-etl: runs, documents as received, what became of each, applied schema files.';

create table ops.migration (
    file text primary key,
    checksum text not null,
    objects text[] not null default array[]::text[],
    applied_at timestamptz not null default clock_timestamp()
);
comment on table ops.migration is 'One row per applied SQL file of tables, which never changes afterwards; and one, views, for all files of sql/views together.';
comment on column ops.migration.file is 'Path below sql/, for example ddl/020_facts.sql; or views.';
comment on column ops.migration.checksum is 'SHA-256 of the file as it was applied, hexadecimal; of views: of all files of sql/.';
comment on column ops.migration.objects is 'Views and functions that the files of views have made, in this order; empty for tables.';
comment on column ops.migration.applied_at is 'When the file was applied (UTC instant).';

create table ops.run (
    run_id bigint generated always as identity primary key,
    command text not null check (command in ('load', 'replay', 'replay --rejected')),
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
comment on table ops.run is 'One row per load or replay, from the moment that it holds the lock and the schema stands. Dry runs leave none.';
comment on column ops.run.run_id is 'Number of the run, in order of start; gaps are normal.';
comment on column ops.run.command is 'load; replay: the star was rebuilt from all loaded documents; replay --rejected: rejected documents were loaded.';
comment on column ops.run.source is 'Source of the documents: api, snapshot, an address or a directory; stored in a replay, which reads ops.document. The source as asked for, such as auto, until the run has chosen one.';
comment on column ops.run.first_day is 'First reporting day that the run asked for.';
comment on column ops.run.last_day is 'Last reporting day that the run asked for.';
comment on column ops.run.locations is 'The --locations option as given.';
comment on column ops.run.program_version is 'Version of covid-tracking-etl.';
comment on column ops.run.host is 'Host name of the machine or container of the run.';
comment on column ops.run.pid is 'Process id on the host.';
comment on column ops.run.started_at is 'Start (UTC instant).';
comment on column ops.run.ended_at is 'End (UTC instant); null while the run lasts.';
comment on column ops.run.status is 'running; ok: no document failed or was rejected; partial: some were; failed: all were, or the run broke off; interrupted: a signal ended the run, or a later run found it left open.';
comment on column ops.run.exit_code is 'Exit code of the process; null while the run lasts, or if it was killed.';
comment on column ops.run.summary is 'The summary as printed by --json: counts of documents and rows, failures, seconds.';

create table ops.document (
    document_id bigint generated always as identity primary key,
    sha256 text not null unique,
    data_hash text,
    body bytea,
    size_bytes bigint not null check (size_bytes >= 0)
);
alter table ops.document alter column body set storage external;
comment on table ops.document is 'One row per distinct document received, with the bytes from which every figure can be derived again.';
comment on column ops.document.document_id is 'Number of the document; gaps are normal.';
comment on column ops.document.sha256 is 'SHA-256 of the decompressed body, hexadecimal: the sha256sum of the file, or of a .gz file once it is decompressed.';
comment on column ops.document.data_hash is 'SHA-256 over the reports as published, without the build time; of a document that departs from the declaration over its data in canonical form. Null if the document breaks the contract.';
comment on column ops.document.body is 'The body, gzip-compressed by the source, or else by the loader. Null after `prune`.';
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
    outcome text not null check (outcome in ('loaded', 'rejected', 'refused')),
    reason text,
    known_at timestamptz not null unique,
    build_time timestamptz,
    processing_key text not null,
    etag text,
    last_modified text,
    changed_rows bigint not null default 0 check (changed_rows >= 0),
    closed_at timestamptz,
    check ((outcome = 'loaded') = (reason is null)),
    check (outcome = 'rejected' or closed_at is null)
);
create index document_load_location on ops.document_load (location_id, document_load_id);
create index document_load_open on ops.document_load (location_id) where outcome = 'rejected' and closed_at is null;
comment on table ops.document_load is 'One row per event: a document that was loaded or rejected, in order. Documents without news leave no row.';
comment on column ops.document_load.document_load_id is 'Number of the event, in order; gaps are normal.';
comment on column ops.document_load.run_id is 'Run that read the document: ops.run.run_id.';
comment on column ops.document_load.document_id is 'Content of the document: ops.document.document_id.';
comment on column ops.document_load.source is 'Source of the document, as in ops.run.';
comment on column ops.document_load.address is 'Path of the document below the source, for example states/ca/daily.json.';
comment on column ops.document_load.location_id is 'Location of the document: location_dimension.location_id; null for states.json.';
comment on column ops.document_load.first_day is 'First reporting day for which the document was taken as complete.';
comment on column ops.document_load.last_day is 'Last reporting day for which the document was taken as complete.';
comment on column ops.document_load.outcome is 'loaded; rejected: the document broke the contract and changed nothing; refused: the document was loaded once, and a replay under stricter rules left it out (--allow-rejected).';
comment on column ops.document_load.reason is 'Why the document was rejected or refused, with the paths; null if loaded.';
comment on column ops.document_load.known_at is 'When the warehouse learned of the document (UTC instant), strictly increasing. The rows of this load have the same known_from.';
comment on column ops.document_load.build_time is 'When the source says it built the document (meta.build_time, UTC instant).';
comment on column ops.document_load.processing_key is 'Hash of the rules that turned the document into rows.';
comment on column ops.document_load.etag is 'Validator with which the next load asks for the document only if it has changed; null unless the whole document was loaded.';
comment on column ops.document_load.last_modified is 'A second validator, used like etag.';
comment on column ops.document_load.changed_rows is 'How many rows of the star the document inserted, updated or withdrew; 0 if it confirmed them all.';
comment on column ops.document_load.closed_at is 'When a rejected document was settled (UTC instant): it was loaded, a later sound document had all its days, or these were passed over. Null while it is open.';

create table ops.report_digest (
    location_id smallint primary key,
    digests bytea not null check (length(digests) % 20 = 0)
);
alter table ops.report_digest alter column digests set storage external;
comment on table ops.report_digest is 'One row per location: digests of its reports as published, by which a load knows them again without comparing their rows. A report without a digest is compared.';
comment on column ops.report_digest.location_id is 'Location of the reports: location_dimension.location_id.';
comment on column ops.report_digest.digests is '20 bytes for each report: its day, in days from 2000-01-01 as a big-endian integer of 4 bytes, and its digest, the first 16 bytes of a SHA-256 over that of the report as published, the processing key under which it became the current rows, and the population of its location then.';

create table ops.vintage (
    series text not null check (series in ('nation', 'state')),
    known_at timestamptz not null,
    previous_at timestamptz,
    exactness text not null check (exactness in ('commit', 'bound')),
    carried text[] not null,
    origin text not null,
    sha256 text not null,
    primary key (series, known_at),
    check (previous_at < known_at)
);
comment on table ops.vintage is 'One row per vintage of the shipped past: all that was published of the nation, or of the states, at one time before the first load. Its rows are in the history alone.';
comment on column ops.vintage.series is 'nation or state.';
comment on column ops.vintage.known_at is 'When the vintage was known (UTC instant). The rows that it brought have the same known_from.';
comment on column ops.vintage.previous_at is 'known_at of the vintage before: a change was published after that time; null for the first.';
comment on column ops.vintage.exactness is 'commit: known_at is the time of a robot''s copy; bound: the latest time at which the copy can have been made.';
comment on column ops.vintage.carried is 'Tables and columns that the vintage had, such as death_fact.total_deaths, with the number of a kind of test. It says nothing of others, which keep the values of the vintage before.';
comment on column ops.vintage.origin is 'Repository, path and commit of the copy.';
comment on column ops.vintage.sha256 is 'SHA-256 of the file of all changes of the series from which the past was made.';

create table ops.drift (
    drift_id bigint generated always as identity primary key,
    endpoint_kind text not null check (endpoint_kind in ('nation', 'state')),
    signal text not null check (signal in ('definition', 'shape')),
    change text not null,
    path text not null,
    before text,
    after text,
    severity text not null check (severity in ('breaking', 'notice')),
    locations text[] not null,
    last_location text not null,
    build_time timestamptz,
    first_seen_at timestamptz not null,
    first_run_id bigint not null references ops.run,
    last_seen_at timestamptz not null,
    last_run_id bigint not null references ops.run,
    accepted_at timestamptz,
    ended_at timestamptz
);
create unique index drift_current on ops.drift (endpoint_kind, change, path, coalesce(after, ''))
where signal = 'shape' and ended_at is null;
comment on table ops.drift is 'One row per change in what the source publishes, in its field definitions or in the shape of its data. Open until it is accepted or over.';
comment on column ops.drift.drift_id is 'Number of the change, for `drift --accept`; gaps are normal.';
comment on column ops.drift.endpoint_kind is 'Kind of the documents: nation or state.';
comment on column ops.drift.signal is 'definition: the source''s description of a field has changed; shape: the paths or types of its data have.';
comment on column ops.drift.change is 'path added, path gone, path renamed, type changed, definitions unreadable; definition added, removed, renamed, deprecated, restored, retitled; prior names changed.';
comment on column ops.drift.path is 'Path in the document; in a change of a definition its field, or its name if it has none.';
comment on column ops.drift.before is 'The type, path or title before the change.';
comment on column ops.drift.after is 'The type, path or title after the change.';
comment on column ops.drift.severity is 'breaking: a path that feeds a column is gone or has another type, so that documents are rejected; notice: no column is touched.';
comment on column ops.drift.locations is 'Codes of the locations whose documents have shown the change; empty for definitions, which all documents of a kind share.';
comment on column ops.drift.last_location is 'Code of the location whose document was the last to show the change.';
comment on column ops.drift.build_time is 'When the source built the last document that showed the change (UTC instant).';
comment on column ops.drift.first_seen_at is 'When the change was first seen (UTC instant).';
comment on column ops.drift.first_run_id is 'Run that saw the change first: ops.run.run_id.';
comment on column ops.drift.last_seen_at is 'When the last run to see the change first saw it (UTC instant).';
comment on column ops.drift.last_run_id is 'Run that saw the change last: ops.run.run_id.';
comment on column ops.drift.accepted_at is 'When somebody accepted the change (UTC instant); null while nobody has.';
comment on column ops.drift.ended_at is 'When a later document of the same location was without the change (UTC instant); null while it lasts. Changes of definitions do not end.';

create table ops.alias (
    alias_id bigint generated always as identity primary key,
    endpoint_kind text not null check (endpoint_kind in ('nation', 'state')),
    path text not null,
    published text,
    location_code text,
    drift_id bigint not null references ops.drift,
    accepted_at timestamptz not null default clock_timestamp(),
    undone_at timestamptz
);
comment on table ops.alias is 'One row per alias: the accepted replacement for a path that feeds columns, in documents that lack the path.';
comment on column ops.alias.alias_id is 'Number of the alias; gaps are normal.';
comment on column ops.alias.endpoint_kind is 'Kind of the documents: nation or state.';
comment on column ops.alias.path is 'Path in a report that feeds columns, for example cases.total.';
comment on column ops.alias.published is 'Path in a report that is read in its place; null if it was accepted that nothing is published any more.';
comment on column ops.alias.location_code is 'Code of the location whose documents are read so; null for all documents of the kind. That nothing is published is accepted for single locations only.';
comment on column ops.alias.drift_id is 'Change that was accepted: ops.drift.drift_id.';
comment on column ops.alias.accepted_at is 'When the change was accepted (UTC instant).';
comment on column ops.alias.undone_at is 'When the acceptance was taken back (UTC instant); null while the alias holds.';

create table ops.tombstone (
    tombstone_id bigint generated always as identity primary key,
    location_id smallint not null,
    report_date date,
    reason text not null check (reason <> ''),
    created_at timestamptz not null,
    undone_at timestamptz,
    check (created_at < undone_at)
);
create unique index tombstone_current on ops.tombstone (location_id, coalesce(report_date, '-infinity'))
where undone_at is null;
comment on table ops.tombstone is 'One row per tombstone: a report, or a location, that loads pass over. Its known figures stay as they are.';
comment on column ops.tombstone.tombstone_id is 'Number of the tombstone, for `skip --undo`; gaps are normal.';
comment on column ops.tombstone.location_id is 'Location that is passed over: location_dimension.location_id.';
comment on column ops.tombstone.report_date is 'Reporting day that is passed over; null for all days.';
comment on column ops.tombstone.reason is 'Reason, in the words of the person who gave it.';
comment on column ops.tombstone.created_at is 'When the tombstone began to hold (UTC instant): for loads known from then on.';
comment on column ops.tombstone.undone_at is 'When the tombstone ended (UTC instant); null while it holds.';

create table ops.finding (
    finding_id bigint generated always as identity primary key,
    check_name text not null,
    location_id smallint not null,
    report_date date,
    measure text not null,
    value bigint not null,
    meaning text not null,
    document_id bigint not null references ops.document,
    run_id bigint not null references ops.run,
    found_at timestamptz not null,
    ended_at timestamptz
);
create index finding_location on ops.finding (location_id) where ended_at is null;
comment on table ops.finding is 'One row per doubtful value that a bound found in a loaded document. `main.py check` runs the checks over all that is loaded.';
comment on column ops.finding.finding_id is 'Number of the finding; gaps are normal.';
comment on column ops.finding.check_name is 'Name of the check: highest value (more than twice the highest share of the population ever published), values gone (a measure has become null on all days), mass revision (one document has changed many rows that were known).';
comment on column ops.finding.location_id is 'Location of the report: location_dimension.location_id.';
comment on column ops.finding.report_date is 'Reporting day; null if the finding is about all days.';
comment on column ops.finding.measure is 'Table and column of the value.';
comment on column ops.finding.value is 'The doubtful value; for values gone the number of values before, for a mass revision that of the rows.';
comment on column ops.finding.meaning is 'The doubt in words.';
comment on column ops.finding.document_id is 'Content of the document: ops.document.document_id.';
comment on column ops.finding.run_id is 'Run that made the finding: ops.run.run_id.';
comment on column ops.finding.found_at is 'When the finding was made (UTC instant): known_at of the load.';
comment on column ops.finding.ended_at is 'When a later load was without the finding (UTC instant); null while it stands.';

create table ops.alert (
    alert_id bigint generated always as identity primary key,
    scope text not null,
    sent_at timestamptz not null default clock_timestamp(),
    trouble text,
    message text not null,
    run_id bigint references ops.run
);
comment on table ops.alert is 'One row per alert that was delivered. None is repeated before the trouble changes or a day has passed.';
comment on column ops.alert.alert_id is 'Number of the alert; gaps are normal.';
comment on column ops.alert.scope is 'Command that sent the alert, with its subject; an alert of another scope is no repetition.';
comment on column ops.alert.sent_at is 'When the alert was sent (UTC instant).';
comment on column ops.alert.trouble is 'The trouble, in words that stay the same as long as it lasts; null if there was none.';
comment on column ops.alert.message is 'Text of the alert as sent.';
comment on column ops.alert.run_id is 'Run that sent the alert, which held the news of this run and of all before it: ops.run.run_id; null if no run did.';
