-- Accepted aliases that hold, newest first: what was accepted last is what is published now.
select
    endpoint_kind,
    location_code,
    path,
    published
from ops.alias
where undone_at is null
order by alias_id desc;
