-- The roles of sql/ddl/040_roles.sql read all views, present and future.

do $$
declare
    wanted text;
begin
    foreach wanted in array array['covid_loader', 'covid_reader'] loop
        if exists (select from pg_roles where rolname = wanted) then
            execute format('grant usage on schema mart to %I', wanted);
            execute format('grant select on all tables in schema mart to %I', wanted);
            execute format('alter default privileges in schema mart grant select on tables to %I', wanted);
        end if;
    end loop;
end
$$;
