-- Roles without login, to be granted to people and programs: covid_loader does the daily job, covid_reader reads. Roles
-- belong to the whole server; where the right to create them is missing, a notice says so and the rest goes on. Once they
-- are there, this file and sql/views/900_reader.sql can be run again by hand.

do $$
declare
    wanted text;
    -- Every table of the program with the rights of covid_loader on it; covid_reader reads the same tables, and neither
    -- has a right on any other. Deletes are allowed only in the star, its history and the digests of reports.
    tables constant text[] := array[
        ['public.date_dimension', 'select'],
        ['public.location_dimension', 'select, update'],
        ['public.test_dimension', 'select'],
        ['public.field_definitions_dimension', 'select, insert, update'],
        ['public.cases_dimension', 'select, insert, update, delete'],
        ['public.cases_fact', 'select, insert, update, delete'],
        ['public.testing_fact', 'select, insert, update, delete'],
        ['public.hospitalization_fact', 'select, insert, update, delete'],
        ['public.death_fact', 'select, insert, update, delete'],
        ['public.testing_detail_fact', 'select, insert, update, delete'],
        ['history.cases_dimension_revision', 'select, insert, delete'],
        ['history.cases_fact_revision', 'select, insert, delete'],
        ['history.testing_fact_revision', 'select, insert, delete'],
        ['history.hospitalization_fact_revision', 'select, insert, delete'],
        ['history.death_fact_revision', 'select, insert, delete'],
        ['history.testing_detail_fact_revision', 'select, insert, delete'],
        ['ops.migration', 'select'],
        ['ops.run', 'select, insert, update'],
        ['ops.document', 'select, insert, update'],
        ['ops.document_load', 'select, insert, update'],
        ['ops.report_digest', 'select, insert, update, delete'],
        ['ops.vintage', 'select, insert'],
        ['ops.drift', 'select, insert, update'],
        ['ops.alias', 'select, insert, update'],
        ['ops.tombstone', 'select, insert, update'],
        ['ops.finding', 'select, insert, update'],
        ['ops.alert', 'select, insert']
    ];
    place text[];
begin
    foreach wanted in array array['covid_loader', 'covid_reader'] loop
        if to_regrole(wanted) is null then
            begin
                execute format('create role %I nologin', wanted);
            exception
                -- Another database of this server may be creating the same role just now.
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then
                    raise notice 'role % is missing and % may not create it; an administrator can: create role %;', wanted, current_user, wanted;
            end;
        end if;
        continue when to_regrole(wanted) is null;

        -- Everybody may use the schema public, and make temporary tables, unless an administrator has changed that.
        if has_schema_privilege('public', 'usage with grant option') then
            execute format('grant usage on schema public to %I', wanted);
        end if;
        if wanted = 'covid_loader' and has_database_privilege(current_database(), 'temporary with grant option') then
            execute format('grant temporary on database %I to %I', current_database(), wanted);
        end if;
        execute format('grant usage on schema history, ops to %I', wanted);
        foreach place slice 1 in array tables loop
            execute format('grant %s on %s to %I', case wanted when 'covid_loader' then place[2] else 'select' end, place[1], wanted);
        end loop;
    end loop;
end
$$;
