-- Accepted aliases, newest first: what was accepted last is what is published now.
select
    endpoint_kind,
    path,
    published
from ops.alias
order by alias_id desc;
