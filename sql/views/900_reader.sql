-- The roles of sql/ddl/040_roles.sql read the views of the program.

do $$
declare
    wanted text;
begin
    foreach wanted in array array['covid_loader', 'covid_reader'] loop
        if to_regrole(wanted) is not null then
            execute format('grant usage on schema mart to %I', wanted);
            execute format(
                'grant select on'
                ' mart.daily_summary, mart.new_per_day, mart.rolling_7d, mart.weekly, mart.latest, mart.state_ranking,'
                ' mart.positivity, mart.revision_history, mart.data_quality, mart.calculated_differences, mart.run_history,'
                ' mart.vintage, mart.archive, mart.revision_summary to %I',
                wanted
            );
        end if;
    end loop;
end
$$;
