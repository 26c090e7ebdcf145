-- The earlier beliefs: every superseded row of a table, with the time for which it was believed. The rows of the past, as
-- it was published before the first load, are here alone: known from the time of a vintage (ops.vintage).

create schema history;
comment on schema history is 'Superseded rows of the star. Each was believed from known_from until known_to.';

create table history.cases_dimension_revision (
    like public.cases_dimension including comments,
    known_to timestamptz not null,
    change text not null check (change in ('revised', 'withdrawn', 'source_changed')),
    changed_columns text[] not null,
    superseded_by_run_id bigint not null,
    primary key (location_id, report_date, known_from),
    check (known_from < known_to)
);
-- A vintage is no document.
alter table history.cases_dimension_revision
alter column source_built_at drop not null,
alter column document_id drop not null,
add check (num_nulls(source_built_at, document_id) in (0, 2));
comment on table history.cases_dimension_revision is 'One row per superseded row of cases_dimension, as it was.';
comment on column history.cases_dimension_revision.source_built_at is 'When the source built the document that last changed a row of the report (meta.build_time, UTC instant); null for a vintage.';
comment on column history.cases_dimension_revision.run_id is 'Run that last changed a row of the report, or that loaded the past: ops.run.run_id.';
comment on column history.cases_dimension_revision.document_id is 'Document that last changed a row of the report: ops.document.document_id; null for a vintage.';
comment on column history.cases_dimension_revision.known_from is 'When the warehouse last learned of a change in a row of the report (UTC instant); of a vintage ops.vintage.known_at, from which on what describes the report was published.';
comment on column history.cases_dimension_revision.known_to is 'When the warehouse learned otherwise (UTC instant): known_from of the row in its place, if there is one.';
comment on column history.cases_dimension_revision.change is 'revised; withdrawn: the row is no longer published; source_changed: the next load read another source.';
comment on column history.cases_dimension_revision.changed_columns is 'Columns whose values changed; empty if the row was withdrawn, or if only figures of the report changed.';
comment on column history.cases_dimension_revision.superseded_by_run_id is 'Run that learned otherwise, or that loaded the past: ops.run.run_id.';

create table history.cases_fact_revision (
    like public.cases_fact including comments,
    known_to timestamptz not null,
    change text not null check (change in ('revised', 'withdrawn', 'source_changed')),
    changed_columns text[] not null,
    superseded_by_run_id bigint not null,
    primary key (location_id, report_date, known_from),
    check (known_from < known_to)
);
comment on table history.cases_fact_revision is 'One row per superseded row of cases_fact, as it was.';
comment on column history.cases_fact_revision.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at; or when it was published: ops.vintage.known_at.';
comment on column history.cases_fact_revision.known_to is 'When the warehouse learned otherwise (UTC instant): known_from of the row in its place, if there is one.';
comment on column history.cases_fact_revision.change is 'revised; withdrawn: the row is no longer published; source_changed: the next load read another source.';
comment on column history.cases_fact_revision.changed_columns is 'Columns whose values changed; empty if the row was withdrawn.';
comment on column history.cases_fact_revision.superseded_by_run_id is 'Run that learned otherwise, or that loaded the past: ops.run.run_id.';

create table history.testing_fact_revision (
    like public.testing_fact including comments,
    known_to timestamptz not null,
    change text not null check (change in ('revised', 'withdrawn', 'source_changed')),
    changed_columns text[] not null,
    superseded_by_run_id bigint not null,
    primary key (location_id, report_date, known_from),
    check (known_from < known_to)
);
comment on table history.testing_fact_revision is 'One row per superseded row of testing_fact, as it was.';
comment on column history.testing_fact_revision.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at; or when it was published: ops.vintage.known_at.';
comment on column history.testing_fact_revision.known_to is 'When the warehouse learned otherwise (UTC instant): known_from of the row in its place, if there is one.';
comment on column history.testing_fact_revision.change is 'revised; withdrawn: the row is no longer published; source_changed: the next load read another source.';
comment on column history.testing_fact_revision.changed_columns is 'Columns whose values changed; empty if the row was withdrawn.';
comment on column history.testing_fact_revision.superseded_by_run_id is 'Run that learned otherwise, or that loaded the past: ops.run.run_id.';

create table history.hospitalization_fact_revision (
    like public.hospitalization_fact including comments,
    known_to timestamptz not null,
    change text not null check (change in ('revised', 'withdrawn', 'source_changed')),
    changed_columns text[] not null,
    superseded_by_run_id bigint not null,
    primary key (location_id, report_date, known_from),
    check (known_from < known_to)
);
comment on table history.hospitalization_fact_revision is 'One row per superseded row of hospitalization_fact, as it was.';
comment on column history.hospitalization_fact_revision.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at; or when it was published: ops.vintage.known_at.';
comment on column history.hospitalization_fact_revision.known_to is 'When the warehouse learned otherwise (UTC instant): known_from of the row in its place, if there is one.';
comment on column history.hospitalization_fact_revision.change is 'revised; withdrawn: the row is no longer published; source_changed: the next load read another source.';
comment on column history.hospitalization_fact_revision.changed_columns is 'Columns whose values changed; empty if the row was withdrawn.';
comment on column history.hospitalization_fact_revision.superseded_by_run_id is 'Run that learned otherwise, or that loaded the past: ops.run.run_id.';

create table history.death_fact_revision (
    like public.death_fact including comments,
    known_to timestamptz not null,
    change text not null check (change in ('revised', 'withdrawn', 'source_changed')),
    changed_columns text[] not null,
    superseded_by_run_id bigint not null,
    primary key (location_id, report_date, known_from),
    check (known_from < known_to)
);
comment on table history.death_fact_revision is 'One row per superseded row of death_fact, as it was.';
comment on column history.death_fact_revision.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at; or when it was published: ops.vintage.known_at.';
comment on column history.death_fact_revision.known_to is 'When the warehouse learned otherwise (UTC instant): known_from of the row in its place, if there is one.';
comment on column history.death_fact_revision.change is 'revised; withdrawn: the row is no longer published; source_changed: the next load read another source.';
comment on column history.death_fact_revision.changed_columns is 'Columns whose values changed; empty if the row was withdrawn.';
comment on column history.death_fact_revision.superseded_by_run_id is 'Run that learned otherwise, or that loaded the past: ops.run.run_id.';

create table history.testing_detail_fact_revision (
    like public.testing_detail_fact including comments,
    known_to timestamptz not null,
    change text not null check (change in ('revised', 'withdrawn', 'source_changed')),
    changed_columns text[] not null,
    superseded_by_run_id bigint not null,
    primary key (location_id, report_date, test_id, known_from),
    check (known_from < known_to)
);
comment on table history.testing_detail_fact_revision is 'One row per superseded row of testing_detail_fact, as it was.';
comment on column history.testing_detail_fact_revision.known_from is 'When the warehouse learned this row (UTC instant): ops.document_load.known_at; or when it was published: ops.vintage.known_at.';
comment on column history.testing_detail_fact_revision.known_to is 'When the warehouse learned otherwise (UTC instant): known_from of the row in its place, if there is one.';
comment on column history.testing_detail_fact_revision.change is 'revised; withdrawn: the row is no longer published; source_changed: the next load read another source.';
comment on column history.testing_detail_fact_revision.changed_columns is 'Columns whose values changed; empty if the row was withdrawn.';
comment on column history.testing_detail_fact_revision.superseded_by_run_id is 'Run that learned otherwise, or that loaded the past: ops.run.run_id.';
