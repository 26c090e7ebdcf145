-- What was told last of a command, and whether that was within a day.
select
    trouble,
    sent_at > clock_timestamp() - interval '1 day' as is_fresh
from ops.alert
where scope = %(scope)s
order by alert_id desc
limit 1;
