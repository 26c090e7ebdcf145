-- Empties the staging tables. A delete of the rows of a small document is ten times as fast as a truncate, but leaves
-- dead rows behind; a table that has grown by them is truncated.
do $$
declare
    stage regclass;
begin
    foreach stage in array %(stages)s::regclass[] loop
        if pg_relation_size(stage) > 64 * 1024 then
            execute format('truncate %%s', stage);
        else
            execute format('delete from %%s', stage);
        end if;
    end loop;
end
$$;
