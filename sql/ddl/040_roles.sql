-- Roles without login, to be granted to people and programs: covid_loader loads, covid_reader reads. Roles belong to the
-- whole server; where the right to create them is missing, a notice says so and the rest goes on.

do $$
declare
    wanted text;
begin
    foreach wanted in array array['covid_loader', 'covid_reader'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                -- Another database of this server may be creating the same role just now.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise notice 'role % is missing and % may not create it; an administrator can: create role %;', wanted, current_user, wanted;
            end;
        end if;
    end loop;

    -- Everybody may use the schema public, unless an administrator has changed that.
    if has_schema_privilege('public', 'usage with grant option') then
        foreach wanted in array array['covid_loader', 'covid_reader'] loop
            if exists (select from pg_roles where rolname = wanted) then
                execute format('grant usage on schema public to %I', wanted);
            end if;
        end loop;
    end if;

    if exists (select from pg_roles where rolname = 'covid_loader') then
        grant usage on schema history, ops to covid_loader;
        grant select on all tables in schema public, history, ops to covid_loader;
        grant insert, update, delete on
            cases_dimension, cases_fact, testing_fact, hospitalization_fact, death_fact, testing_detail_fact
        to covid_loader;
        grant update on location_dimension to covid_loader;
        grant insert on all tables in schema history to covid_loader;
        grant insert, update on field_definitions_dimension to covid_loader;
        grant insert, update on
            ops.run, ops.document, ops.document_load, ops.drift, ops.alias, ops.tombstone, ops.finding, ops.alert
        to covid_loader;
        grant usage on all sequences in schema ops to covid_loader;
    end if;

    if exists (select from pg_roles where rolname = 'covid_reader') then
        grant usage on schema history, ops to covid_reader;
        grant select on all tables in schema public, history, ops to covid_reader;
        alter default privileges in schema public, history, ops grant select on tables to covid_reader;
    end if;
end
$$;
